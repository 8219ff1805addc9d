package jsonata

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Apart compiles and evaluates an override's expression where it can be ended by force: the
// evaluator looks at time and memory between the steps of an expression only, and one step
// can make very much of very little.
type Apart interface {
	// Compile returns nil if source compiles, or a *SyntaxError, ErrOverrun, ErrMemory,
	// ErrApart or the context's error.
	Compile(ctx context.Context, source string) error
	// Evaluate returns what Expr.Eval returns, and as errors those of an ApartAnswer,
	// ErrOverrun, ErrMemory, ErrApart or the context's.
	Evaluate(ctx context.Context, source string, bindings map[string]any) (value any, present bool, err error)
}

// ErrApart says that there is nowhere to evaluate an override; it says nothing of the
// override.
var ErrApart = errors.New("overrides cannot be evaluated at present")

// WithApart is the language with apart for the expressions of overrides. Others, which are
// reviewed, stay in this process.
func (l *Language) WithApart(apart Apart) *Language {
	out := *l
	out.apart = apart
	return &out
}

// EvaluatesApart reports whether expressions of overrides are evaluated in another process.
func (l *Language) EvaluatesApart() bool { return l.apart != nil }

// compileUntrusted compiles an override's expression, apart if the language can: then it has
// no program here and can be evaluated apart only. The error is a *SyntaxError or one of
// Apart.Compile.
func (l *Language) compileUntrusted(src string) (*Expr, error) {
	if l.apart == nil {
		x, err := l.Compile(src)
		if err != nil {
			return nil, err
		}
		x.meter = true
		return x, nil
	}
	if err := l.apart.Compile(context.Background(), src); err != nil {
		return nil, err
	}
	size, err := checkRegexps(src)
	if err != nil {
		return nil, err
	}
	return &Expr{Source: src, lang: l, regexps: size, meter: true}, nil
}

// evalApart is Eval elsewhere. What comes back is as little trusted as what an expression
// gives here.
func (x *Expr) evalApart(ctx context.Context, bindings map[string]any) (any, bool, error) {
	value, present, err := x.lang.apart.Evaluate(ctx, x.Source, bindings)
	if err != nil || !present {
		return nil, false, err
	}
	w := walk{left: x.lang.limits.ResultBytes}
	value, _, err = w.value(value, 0)
	if err != nil {
		return nil, false, fmt.Errorf("result: %w", err)
	}
	return value, true, nil
}

// maxFrame is the longest message between AskApart and ServeApart, in bytes: some of a
// provider's largest answers, or a result of the largest size with every character escaped.
const maxFrame = 96 << 20

// ApartQuestion asks for an evaluation of Source, or only to compile it. Questions and
// answers are JSON, numbers with all their digits.
type ApartQuestion struct {
	Source   string         `json:"source"`
	Bindings map[string]any `json:"bindings"`
	Compile  bool           `json:"compile,omitempty"` // evaluates nothing
}

// ApartAnswer is the result of an ApartQuestion.
type ApartAnswer struct {
	Value   any    `json:"value"`
	Present bool   `json:"present"`         // false: undefined, which is not null
	Error   string `json:"error,omitempty"` // quotes nothing of the data
	Cause   string `json:"cause,omitempty"` // of apartCauses

	// Of an expression that does not compile: the code of the Diagnostic and the byte in
	// the source.
	Code   string `json:"code,omitempty"`
	Offset int    `json:"offset,omitempty"`
}

// apartCauses are the errors that must be known again on the other side.
var apartCauses = map[string]error{
	"overrun": ErrOverrun, "memory": ErrMemory, "large": errTooLarge, "deep": errTooDeep, "recursion": errRecursion,
}

func answerOf(value any, present bool, err error) *ApartAnswer {
	if err == nil {
		return &ApartAnswer{Value: value, Present: present}
	}
	a := &ApartAnswer{Error: err.Error()}
	for name, cause := range apartCauses {
		if errors.Is(err, cause) {
			a.Cause = name
		}
	}
	if bad, ok := errors.AsType[*SyntaxError](err); ok {
		a.Code, a.Offset = bad.Code, bad.Offset
	}
	return a
}

// Result is the answer as Expr.Eval gives it, or the *SyntaxError of an expression that does
// not compile.
func (a *ApartAnswer) Result() (value any, present bool, err error) {
	if a.Code != "" {
		return nil, false, &SyntaxError{Offset: a.Offset, Message: a.Error, Code: a.Code}
	}
	if a.Error != "" {
		return nil, false, &apartError{a.Error, apartCauses[a.Cause]}
	}
	return a.Value, a.Present, nil
}

// apartError is an error of the other side.
type apartError struct {
	text  string
	cause error
}

func (e *apartError) Error() string { return e.text }

func (e *apartError) Unwrap() error { return e.cause }

// AskApart asks the ServeApart that reads w and writes r, and calls taken when that begins
// to compile or to evaluate. An error means that the two do not understand each other any more.
func AskApart(r io.Reader, w io.Writer, question ApartQuestion, taken func()) (*ApartAnswer, error) {
	asked, bad := encodeFrame(question)
	if bad != nil {
		return answerOf(nil, false, fmt.Errorf("bindings: %w", bad)), nil
	}
	if err := writeFrame(w, asked); err != nil {
		return nil, err
	}
	if sign, err := readFrame(r); err != nil || len(sign) > 0 {
		return nil, fmt.Errorf("no sign of an evaluation: %w", err)
	}
	taken()
	frame, err := readFrame(r)
	if err != nil {
		return nil, err
	}
	answer := &ApartAnswer{}
	return answer, decodeFrame(frame, answer)
}

// encodeFrame makes a frame of v; the error says why v fits in none.
func encodeFrame(v any) ([]byte, error) {
	frame, err := json.Marshal(v)
	switch {
	case err != nil:
		return nil, errNotPlain
	case len(frame) > maxFrame:
		return nil, errTooLarge
	}
	return frame, nil
}

// writeFrame writes a length of four bytes, the highest first, and as many bytes.
func writeFrame(w io.Writer, frame []byte) error {
	if len(frame) > maxFrame {
		return errTooLarge
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(frame)))); err != nil { //nolint:gosec // G115: it is shorter than maxFrame
		return err
	}
	if len(frame) == 0 {
		return nil
	}
	_, err := w.Write(frame)
	return err
}

// readFrame reads what writeFrame wrote; io.EOF where nothing more comes. A length alone
// takes no memory.
func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(length[:]))
	if n > maxFrame {
		return nil, errTooLarge
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, r, n); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return frame.Bytes(), nil
}

func decodeFrame(frame []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(frame))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("malformed message: %w", err)
	}
	return nil
}
