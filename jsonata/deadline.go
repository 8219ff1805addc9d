package jsonata

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// ErrOverrun is the error of an evaluation that exceeded its deadline.
var ErrOverrun = fmt.Errorf("expression took too long: %w", context.DeadlineExceeded)

// WithDeadline adds the deadline of an evaluation to ctx, for several evaluations in a row that
// share it. Without it, each evaluation has its own. The evaluations and the returned function run
// in the goroutine that calls WithDeadline.
func (l *Language) WithDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	d := &deadline{Context: ctx, clock: l.limits.Clock, half: l.limits.EvalTimeout / 2, every: looks}
	d.start, d.end = d.clock(), d.half
	return d, d.release
}

// deadline is a context with the deadline of an evaluation. gnata calls Err before every step,
// so no timer is needed.
//
// The clock runs on while the process or the goroutine waits for a processor, and such a wait must
// not end an evaluation. The clock therefore ends only the first half of the deadline. The second
// half is processor time of the thread, to which the goroutine is bound from then on.
type deadline struct {
	context.Context
	clock func() time.Time
	start time.Time
	half  time.Duration
	bound bool          // the second half has begun
	last  time.Duration // of the last look, since start or, if bound, of the thread
	end   time.Duration // of the half
	asked int           // how often Err was called
	every int           // the time is read at each call of Err with this distance
	over  bool
}

const (
	// looks is after how many calls of Err the time is read at first: reading it can cost as much
	// as a step of the evaluator.
	looks = 16
	// slow is a duration of that many steps after which the time is read at each step.
	slow = time.Millisecond
)

// Err returns the error of the inner context, or ErrOverrun.
func (d *deadline) Err() error {
	if err := d.Context.Err(); err != nil {
		return err
	}
	if d.asked++; d.asked%d.every == 0 {
		d.look()
	}
	if d.over {
		return ErrOverrun
	}
	return nil
}

func (d *deadline) look() {
	now := d.now()
	if now-d.last > slow {
		d.every = 1
	}
	d.last = now
	switch {
	case now <= d.end:
	case d.bound:
		d.over = true
	default:
		runtime.LockOSThread()
		d.bound = true
		d.last = d.now()
		d.end = d.last + d.half
	}
}

func (d *deadline) now() time.Duration {
	if d.bound {
		return threadTime()
	}
	return d.clock().Sub(d.start)
}

func (d *deadline) release() {
	if d.bound {
		runtime.UnlockOSThread()
		d.bound = false
	}
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
