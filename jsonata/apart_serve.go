package jsonata

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// apartGrace is how much longer than its deadline an evaluation may go on: the time of
	// one step.
	apartGrace = 500 * time.Millisecond
	// maxApartExprs is how many expressions a ServeApart keeps compiled.
	maxApartExprs = 500
)

// errStuck is an evaluation that does not end, in this process.
var errStuck = errors.New("an evaluation does not end")

// ServeApart answers what AskApart asks, one after the other, until nothing more comes
// from r. An error asks for the end of the process: an evaluation that does not end may
// still be running.
func ServeApart(ctx context.Context, language *Language, r io.Reader, w io.Writer) error {
	compiled := map[string]*Expr{}
	for {
		frame, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a question: %w", err)
		}
		var question ApartQuestion
		if err := decodeFrame(frame, &question); err != nil {
			return err
		}
		if err := writeFrame(w, nil); err != nil { // the sign that it has begun
			return fmt.Errorf("answer: %w", err)
		}
		answer := language.inTime(func() *ApartAnswer { return language.answer(ctx, compiled, question) })
		if err := writeFrame(w, answer.encoded()); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if answer == stuck {
			return errStuck
		}
	}
}

// answer compiles what is asked, unless compiled holds it, and evaluates it.
func (l *Language) answer(ctx context.Context, compiled map[string]*Expr, question ApartQuestion) *ApartAnswer {
	x := compiled[question.Source]
	if x == nil {
		var err error
		if x, err = l.Compile(question.Source); err != nil {
			return answerOf(nil, false, err)
		}
		x.meter = true
		if len(compiled) >= maxApartExprs {
			clear(compiled)
		}
		compiled[question.Source] = x
	}
	if question.Compile {
		return &ApartAnswer{}
	}
	return answerOf(x.Eval(ctx, question.Bindings))
}

// stuck is the answer of an evaluation that does not end.
var stuck = answerOf(nil, false, ErrOverrun)

// inTime is what answer returns within deadline and grace, or stuck.
func (l *Language) inTime(answer func() *ApartAnswer) *ApartAnswer {
	answers := make(chan *ApartAnswer, 1)
	go func() { answers <- answer() }()
	late := time.NewTimer(l.limits.EvalTimeout + apartGrace)
	defer late.Stop()
	select {
	case answer := <-answers:
		return answer
	case <-late.C:
		return stuck
	}
}

func (a *ApartAnswer) encoded() []byte {
	frame, bad := encodeFrame(a)
	if bad != nil {
		frame, _ = encodeFrame(answerOf(nil, false, fmt.Errorf("result: %w", bad))) // two short texts
	}
	return frame
}
