package jsonata

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrOverrun is the error of an evaluation that exceeded its deadline.
var ErrOverrun = fmt.Errorf("expression took too long: %w", context.DeadlineExceeded)

// WithDeadline adds the deadline of an evaluation to ctx, for several evaluations in a row that
// share it. Without it, each evaluation has its own.
func (l *Language) WithDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.limits.Clock == nil {
		ctx, cancel := context.WithTimeoutCause(ctx, l.limits.EvalTimeout, ErrOverrun)
		return &deadline{Context: ctx}, cancel
	}
	return &deadline{Context: ctx, clock: l.limits.Clock, end: l.limits.Clock().Add(l.limits.EvalTimeout)}, func() {}
}

// deadline is a context with the deadline of an evaluation. gnata calls Err before every step,
// so no timer is needed.
type deadline struct {
	context.Context
	clock func() time.Time // nil: the inner context has the deadline
	end   time.Time
	asked atomic.Uint32 // how often Err was called
	over  atomic.Bool   // the deadline was seen to have passed
}

// looks is after how many calls of Err the clock is read: reading it can cost as much as a
// step of the evaluator.
const looks = 16

// Err returns the error of the inner context, or ErrOverrun.
func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if d.clock != nil && d.asked.Add(1)%looks == 0 && d.clock().After(d.end) {
		d.over.Store(true)
	}
	if d.over.Load() {
		return ErrOverrun
	}
	return nil
}

// Value returns the deadline itself under deadlineKey.
func (d *deadline) Value(key any) any {
	if key == (deadlineKey{}) {
		return d
	}
	return d.Context.Value(key)
}

type deadlineKey struct{}

func hasDeadline(ctx context.Context) bool { return ctx.Value(deadlineKey{}) != nil }

// causeOf returns why ctx has ended.
func causeOf(ctx context.Context) error {
	if err := ctx.Err(); errors.Is(err, ErrOverrun) {
		return err
	}
	return context.Cause(ctx)
}
