package jsonata

import (
	"context"
	"errors"
)

// Worker compiles and evaluates the expressions of overrides in another process, which can be
// killed. In this process, time and memory are checked only between the steps of an expression,
// and a single step may exceed them.
type Worker interface {
	// Compile returns nil if source compiles, or a *SyntaxError, ErrOverrun, ErrMemory,
	// ErrNoWorker or the context's error.
	Compile(ctx context.Context, source string) error
	// Evaluate returns what Expr.Eval returns. Its errors may also be ErrBusy, ErrNoWorker or the
	// context's.
	Evaluate(ctx context.Context, source string, bindings map[string]any) (value any, present bool, err error)
}

// ErrNoWorker means that no worker could evaluate an expression, which may be valid.
var ErrNoWorker = errors.New("overrides cannot be evaluated at present")

// ErrBusy means that too many evaluations of a tenant wait for a worker.
var ErrBusy = errors.New("too many overrides of this environment wait to be evaluated")

// Tenant is on whose behalf a worker evaluates.
type Tenant struct {
	Name    string
	Patient bool // it waits for a worker, however many others do, and never gets ErrBusy
}

type tenantKey struct{}

// WithTenant returns a context of evaluations on behalf of t.
func WithTenant(ctx context.Context, t Tenant) context.Context {
	return context.WithValue(ctx, tenantKey{}, t)
}

// TenantOf returns the tenant of WithTenant; the zero value if there is none.
func TenantOf(ctx context.Context) Tenant {
	t, _ := ctx.Value(tenantKey{}).(Tenant)
	return t
}

// WithWorker returns a copy of l that evaluates the expressions of overrides in w. Others are
// evaluated in this process, and so are all if w is nil.
func (l *Language) WithWorker(w Worker) *Language {
	out := *l
	out.worker = w
	return &out
}

// HasWorker reports whether expressions of overrides are evaluated in another process.
func (l *Language) HasWorker() bool { return l.worker != nil }

// CompileUntrusted compiles an expression with bounded memory, of an override. If there is a
// worker, only that compiles and evaluates it. The error is a *SyntaxError or one of
// Worker.Compile.
func (l *Language) CompileUntrusted(ctx context.Context, src string) (*Expr, error) {
	if l.worker == nil {
		x, err := l.Compile(src)
		if err != nil {
			return nil, err
		}
		x.meter = true
		return x, nil
	}
	if err := l.worker.Compile(ctx, src); err != nil {
		return nil, err
	}
	size, err := checkRegexps(src)
	if err != nil {
		return nil, err
	}
	return &Expr{Source: src, lang: l, regexps: size, meter: true}, nil
}

// evalInWorker is Eval in a worker, whose result is not trusted.
func (x *Expr) evalInWorker(ctx context.Context, bindings map[string]any) (any, bool, error) {
	value, present, err := x.lang.worker.Evaluate(ctx, x.Source, bindings)
	if err != nil {
		return nil, false, err
	}
	return x.result(ctx, value, present)
}
