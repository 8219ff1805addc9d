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

// ServeApart evaluates what AskApart asks, one after the other, until nothing more comes
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
		var question apartQuestion
		if err := decodeFrame(frame, &question); err != nil {
			return err
		}
		x := compiled[question.Source]
		if x == nil {
			if x, err = language.Compile(question.Source); err != nil {
				return fmt.Errorf("compile: %w", err) // the asker has compiled it before
			}
			x.meter = true
			if len(compiled) >= maxApartExprs {
				clear(compiled)
			}
			compiled[question.Source] = x
		}
		if err := writeFrame(w, nil); err != nil { // the sign that it has begun
			return fmt.Errorf("answer: %w", err)
		}
		answer := x.inTime(ctx, question.Bindings)
		if err := writeFrame(w, answer.encoded()); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
		if answer == stuck {
			return errStuck
		}
	}
}

// stuck is the answer of an evaluation that does not end.
var stuck = answerOf(nil, false, ErrOverrun)

// inTime is what the evaluation comes to within deadline and grace, or stuck.
func (x *Expr) inTime(ctx context.Context, bindings map[string]any) *ApartAnswer {
	answers := make(chan *ApartAnswer, 1)
	go func() { answers <- answerOf(x.Eval(ctx, bindings)) }()
	late := time.NewTimer(x.lang.limits.EvalTimeout + apartGrace)
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
