package worker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/jsonata"
)

// killers make so much of so little in one step that nothing in the process can stop them.
var killers = map[string]string{
	"concat":    `$a & ""`,
	"transform": `$a ~> |*|{"c": 1}|`,
	"equal":     `$a = $a`,
	"loop":      `( $f := function($x) { $f($x + 1) }; $f(1) )`,
}

// killer is one of the killers, with its $s of 640 KiB and its $a, which holds itself twice
// on 40 levels.
func killer(expression string) string {
	return `( $s := $reduce([1..16], function($t, $i) { $t & $t }, "0123456789");
		$a := $reduce([1..40], function($v, $i) { { "x": $v, "y": $v } }, 1); { "name": ` + expression + ` } )`
}

func newTestPool(tb testing.TB, timeout time.Duration) *Pool {
	tb.Helper()
	p := New(testCommand(timeout), timeout)
	tb.Cleanup(p.Close)
	return p
}

// fromSystem is what this process has from the system, in bytes.
func fromSystem() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

func TestPoolOutlivesKillers(t *testing.T) {
	before := fromSystem()
	p := newTestPool(t, 300*time.Millisecond)
	for name, expression := range killers {
		if v, _, err := p.Evaluate(t.Context(), killer(expression), nil); !errors.Is(err, jsonata.ErrMemory) && !errors.Is(err, jsonata.ErrOverrun) {
			t.Errorf("%s: %.50v, %v", name, v, err)
		}
		if v, _, err := p.Evaluate(t.Context(), `{ "n": x }`, map[string]any{"x": json.Number("12345678901234567890")}); fmt.Sprint(v) != "map[n:12345678901234567890]" || err != nil {
			t.Errorf("after %s: %v, %v", name, v, err)
		}
	}
	if grown := int64(fromSystem()) - int64(before); grown > 200<<20 {
		t.Errorf("this process grew by %d MiB", grown>>20)
	}
}

// A result with more values than the pool allows is not decoded, and its worker ends.
func TestPoolLimitsValues(t *testing.T) {
	p := New(testCommand(time.Minute), time.Minute, WithValues(101))
	t.Cleanup(p.Close)
	if v, _, err := p.Evaluate(t.Context(), `[1..100]`, nil); err != nil || len(v.([]any)) != 100 {
		t.Errorf("as many as allowed: %v, %v", v, err)
	}
	w := p.idleOne(t)
	for range cap(p.idle) {
		if v, _, err := p.Evaluate(t.Context(), `[1..101]`, nil); !errors.Is(err, jsonata.ErrMemory) {
			t.Errorf("more: %v, %v", v, err)
		}
	}
	if w.command.ProcessState == nil {
		t.Error("the worker is still there")
	}
}

// idleOne takes the one process that there is.
func (p *Pool) idleOne(t *testing.T) *process {
	t.Helper()
	for range cap(p.idle) {
		v := <-p.idle
		p.idle <- v
		if v != nil {
			return v
		}
	}
	t.Fatal("no process is there")
	return nil
}

// One that died is replaced; a caller who goes away, or the end, ends an evaluation; and in
// the end no process is left.
func TestPoolReplacesAndEndsWorkers(t *testing.T) {
	p := newTestPool(t, time.Minute)
	one := func() error { _, _, err := p.Evaluate(t.Context(), `1`, nil); return err }
	for range 2 * cap(p.idle) { // each place comes round
		if err := one(); err != nil {
			t.Fatal(err)
		}
	}
	dead := p.idleOne(t)
	if err := dead.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 * cap(p.idle) {
		if err := one(); err != nil {
			t.Errorf("after one died: %v", err)
		}
	}
	if dead.command.ProcessState == nil {
		t.Error("nobody waited for the dead one")
	}
	busy := func(ctx context.Context) chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := p.Evaluate(ctx, killers["loop"], nil)
			done <- err
		}()
		for len(p.idle) == cap(p.idle) {
			runtime.Gosched()
		}
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := busy(ctx)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who goes away: %v", err)
	}
	done = busy(t.Context())
	p.cancel()
	if err := <-done; !errors.Is(err, jsonata.ErrNoWorker) {
		t.Errorf("at the end: %v", err)
	}
	ended := New(testCommand(time.Minute), time.Minute)
	if _, _, err := ended.Evaluate(t.Context(), `1`, nil); err != nil {
		t.Fatal(err)
	}
	own := ended.idleOne(t)
	ended.Close()
	if err := own.command.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process is left: %v", err)
	}
	if _, _, err := ended.Evaluate(t.Context(), `1`, nil); !errors.Is(err, jsonata.ErrNoWorker) {
		t.Errorf("after the end: %v", err)
	}
}

// A request whose worker does not respond in time has one further worker.
func TestPoolRepeatsLateRequests(t *testing.T) {
	const period = 300 * time.Millisecond
	p := New(testCommand(time.Minute), period-killGrace)
	t.Cleanup(p.Close)
	began := time.Now()
	if _, _, err := p.Evaluate(t.Context(), killers["loop"], nil); !errors.Is(err, jsonata.ErrOverrun) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took < 2*period {
		t.Errorf("took %s, want two periods of %s", took, period)
	}
}

// Calls of many tenants share the processes, and each gets its own.
func TestPoolSeparatesRequests(t *testing.T) {
	p := newTestPool(t, 10*time.Second)
	var wait sync.WaitGroup
	for tenant := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("tenant%d", tenant)
			for i := range 50 {
				v, _, err := p.Evaluate(t.Context(), `{ "`+name+`": who & "`+name+`", "n": n }`, map[string]any{"who": name, "n": float64(i)})
				if want := fmt.Sprintf("map[n:%d %s:%s%s]", i, name, name, name); fmt.Sprint(v) != want || err != nil {
					t.Errorf("got %v, %v, want %s", v, err, want)
				}
			}
		})
	}
	wait.Wait()
}

// The same override here and in a process of its own.
func BenchmarkEvaluate(b *testing.B) {
	const source = `{ "person": { "kind": body.last_name, "site": context.site } }`
	bindings := map[string]any{
		"body": map[string]any{"first_name": "Ada", "last_name": "Quill"}, "context": map[string]any{"site": "acme"}, "id": "7", "query": map[string]any{},
	}
	b.Run("here", func(b *testing.B) {
		x, err := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).Compile(source)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, _, err := x.Eval(b.Context(), bindings); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("worker", func(b *testing.B) {
		p := newTestPool(b, time.Second)
		for b.Loop() {
			if _, _, err := p.Evaluate(b.Context(), source, bindings); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			p := New(testCommand(time.Second), time.Second)
			if _, _, err := p.Evaluate(b.Context(), source, bindings); err != nil {
				b.Fatal(err)
			}
			p.Close()
		}
	})
}

// A syntax error is returned, and the worker goes on.
func TestPoolCompiles(t *testing.T) {
	p := newTestPool(t, 10*time.Second)
	if err := p.Compile(t.Context(), `{ "n": 1 }`); err != nil {
		t.Fatal(err)
	}
	before := p.idleOne(t)
	for src, offset := range map[string]int{`{ "n": }`: 7, `$match(n, /(a{1,1000}b{1,1000}){1}` + strings.Repeat(`c{1000}`, 30) + `/)`: 10} {
		for range cap(p.idle) {
			err := p.Compile(t.Context(), src)
			if bad, ok := errors.AsType[*jsonata.SyntaxError](err); !ok || bad.Offset != offset {
				t.Errorf("%.30s: %v, want a syntax error at %d", src, err, offset)
			}
		}
	}
	if before.command.ProcessState != nil {
		t.Error("the process has ended")
	}
}
