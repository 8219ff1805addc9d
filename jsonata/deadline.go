package jsonata

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrOverrun is an evaluation that took longer than its deadline.
var ErrOverrun = fmt.Errorf("expression took too long: %w", context.DeadlineExceeded)

// WithDeadline gives ctx the deadline of an evaluation, for callers with several evaluations
// in a row: they share it. Eval does it itself for any other ctx.
func (l *Language) WithDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.limits.Clock == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, l.limits.EvalTimeout, ErrOverrun)
		return &deadline{Context: ctx}, cancel
	}
	return &deadline{Context: ctx, clock: l.limits.Clock, end: l.limits.Clock().Add(l.limits.EvalTimeout)}, func() {}
}

// deadline is a context with the deadline of an evaluation. The evaluator asks for a
// context's error before every step, so that a look at the clock there is enough.
type deadline struct {
	context.Context
	clock func() time.Time // nil: the context below has the deadline
	end   time.Time
}

// Err is that of the context below, or ErrOverrun.
func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if d.clock != nil && d.clock().After(d.end) {
		return ErrOverrun
	}
	return nil
}

// Value finds the deadline itself under deadlineKey.
func (d *deadline) Value(key any) any {
	if key == (deadlineKey{}) {
		return d
	}
	return d.Context.Value(key)
}

type deadlineKey struct{}

func hasDeadline(ctx context.Context) bool { return ctx.Value(deadlineKey{}) != nil }

// causeOf is why ctx, which has ended, has ended.
func causeOf(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, ErrOverrun) {
		return err
	}
	return context.Cause(ctx)
}
