package jsonata

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// fixedWorker compiles everything and evaluates every expression to its value.
type fixedWorker struct{ value any }

func (fixedWorker) Compile(context.Context, string) error { return nil }

func (w fixedWorker) Evaluate(context.Context, string, map[string]any) (any, bool, error) {
	return w.value, true, nil
}

// A worker's result is trusted as little as one from here.
func TestWorkerResultIsChecked(t *testing.T) {
	for name, value := range map[string]any{
		"large": strings.Repeat("x", 2000), "not finite": json.Number("1e999"), "deep": nested(1001), "no JSON": make(chan int), "many": make([]any, 50),
	} {
		x, err := NewLanguage(time.Now, rand.Reader, Limits{ResultBytes: 1000, Values: 50}).WithWorker(fixedWorker{value}).CompileUntrusted(t.Context(), `1`)
		if err != nil {
			t.Fatal(err)
		}
		if v, _, err := x.Eval(t.Context(), nil); err == nil {
			t.Errorf("%s: gave %v", name, v)
		}
	}
}

// If there is a worker, this process compiles no override, and still knows the size of its
// regular expressions.
func TestWorkerCompilesAlone(t *testing.T) {
	x, err := NewLanguage(time.Now, rand.Reader, Limits{}).WithWorker(fixedWorker{}).CompileUntrusted(t.Context(), `1 2 (/a{10}/)`)
	if err != nil {
		t.Fatal(err)
	}
	if x.prog != nil || x.RegexpSize() < 10 {
		t.Errorf("program %v, regular expressions of %d instructions", x.prog, x.RegexpSize())
	}
}

func nested(levels int) any {
	var v any = true
	for range levels {
		v = []any{v}
	}
	return v
}
