package jsonata

import (
	"errors"
	"testing"
	"time"
)

// pausing is a clock of a process that is paused for 130 ms before each look at it.
type pausing struct{ at time.Time }

func (c *pausing) now() time.Time {
	c.at = c.at.Add(130 * time.Millisecond)
	return c.at
}

// Pauses of the process do not end the evaluations of a phase, however many there are.
func TestDeadlineForgivesPauses(t *testing.T) {
	l := testLanguage(Limits{Clock: (&pausing{}).now})
	x, err := l.Compile(`$sum([1..100].($ * 2))`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := l.WithDeadline(t.Context())
	defer cancel()
	for range 20 {
		if v, _, err := x.Eval(ctx, nil); v != 10100.0 || err != nil {
			t.Fatalf("got %v, %v", v, err)
		}
	}
}

// An expression without an end is ended, with or without pauses, alone or as the last of a phase.
func TestDeadlineEndsTheEndless(t *testing.T) {
	for name, limits := range map[string]Limits{"running": {}, "pausing": {Clock: (&pausing{}).now}} {
		l := testLanguage(limits)
		x, err := l.Compile(`($f := function($x){ $f($x + 1) }; $f(0))`)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := x.Eval(t.Context(), nil); !errors.Is(err, ErrOverrun) {
			t.Errorf("%s: got %v, want an overrun", name, err)
		}
		ctx, cancel := l.WithDeadline(t.Context())
		for range 2 { // the phase has ended for the second one too
			if _, _, err := x.Eval(ctx, nil); !errors.Is(err, ErrOverrun) {
				t.Errorf("%s: got %v, want an overrun of the phase", name, err)
			}
		}
		cancel()
	}
}
