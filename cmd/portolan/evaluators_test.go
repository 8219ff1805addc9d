package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	"replace":   `$replace($s, "0", $s)`,
	"join":      `$join($split($s, ""), $s)`,
	"string":    `$string($a)`,
	"transform": `$a ~> |*|{"c": 1}|`,
	"equal":     `$a = $a`,
	"descend":   `$count($a.**)`,
	"loop":      `( $f := function($x) { $f($x + 1) }; $f(1) )`,
}

// killer is one of the killers, with its $s of 640 KiB and its $a, which holds itself twice
// on 40 levels.
func killer(expression string) string {
	return `( $s := $reduce([1..16], function($t, $i) { $t & $t }, "0123456789");
		$a := $reduce([1..40], function($v, $i) { { "x": $v, "y": $v } }, 1); { "name": ` + expression + ` } )`
}

func newTestEvaluators(tb testing.TB, timeout time.Duration) *evaluators {
	tb.Helper()
	e := newEvaluators(timeout)
	tb.Cleanup(e.close)
	return e
}

// fromSystem is what this process has from the system, in bytes.
func fromSystem() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

func TestEvaluatorsOutliveKillers(t *testing.T) {
	before := fromSystem()
	e := newTestEvaluators(t, 300*time.Millisecond)
	for name, expression := range killers {
		if v, _, err := e.Evaluate(t.Context(), killer(expression), nil); !errors.Is(err, jsonata.ErrMemory) && !errors.Is(err, jsonata.ErrOverrun) {
			t.Errorf("%s: %.50v, %v", name, v, err)
		}
		if v, _, err := e.Evaluate(t.Context(), `{ "n": x }`, map[string]any{"x": json.Number("12345678901234567890")}); fmt.Sprint(v) != "map[n:12345678901234567890]" || err != nil {
			t.Errorf("after %s: %v, %v", name, v, err)
		}
	}
	if grown := int64(fromSystem()) - int64(before); grown > 200<<20 {
		t.Errorf("this process grew by %d MiB", grown>>20)
	}
}

// saveAccount makes an account of planhat with an override of users.update, and gives the
// answer to it.
func (r *running) saveAccount(t *testing.T, override map[string]any) (int, map[string]any) {
	t.Helper()
	body := map[string]any{"integration": "planhat", "context": map[string]any{}}
	for _, d := range demo(t) {
		if d.Integration == "planhat" {
			body["context"] = d.Credentials
		}
	}
	if override != nil {
		body["overrides"] = map[string]any{"ticketing.users.update": override}
	}
	res, answer := r.ask(t, http.MethodPost, accountsPath, demoAdminToken, body)
	return res.StatusCode, answer
}

// What kills is refused when it is saved, and when only a call's data makes it one, it
// fails that call; nobody else notices.
func TestServeOutlivesKillers(t *testing.T) {
	before := fromSystem()
	r := start(t, "--sandbox", "--eval-timeout", "400ms")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	sample := ""
	for _, d := range demo(t) {
		if d.Integration == "planhat" {
			sample = d.SampleID
		}
	}
	call := func(account any, body map[string]any) (int, map[string]any) {
		res, answer := r.ask(t, http.MethodPatch, fmt.Sprintf("/unified/ticketing/users/%s?integrated_account_id=%v", sample, account), demoToken, body)
		return res.StatusCode, answer
	}
	for name, expression := range killers {
		for _, key := range []string{"response_mapping", "request_body_mapping"} {
			if key == "request_body_mapping" && name != "replace" {
				continue // it goes the same way
			}
			status, answer := r.saveAccount(t, map[string]any{key: killer(expression)})
			if text := fmt.Sprint(answer); status != http.StatusBadRequest || !strings.Contains(text, "E047-costly-override") {
				t.Errorf("%s in %s is answered %d %.500s", name, key, status, text)
			}
		}
	}
	_, other := r.saveAccount(t, map[string]any{"response_mapping": `{ "nickname": "other" }`})
	for name, expression := range map[string]string{
		"replace": `{ "custom": { "x": $replace(body.custom_fields.x, "0", body.custom_fields.x) } }`,
		"equal": `( $a := $reduce([1..$length(body.custom_fields.x) > 1000 ? 40 : 1], function($v, $i) { { "x": $v, "y": $v } }, 1);
			{ "custom": { "x": $a = $a } } )`,
	} {
		status, made := r.saveAccount(t, map[string]any{"request_body_mapping": expression})
		if status != http.StatusCreated {
			t.Fatalf("%s is not saved: %d %v", name, status, made)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			status, answer := call(made["id"], map[string]any{"custom_fields": map[string]any{"x": strings.Repeat("0", 640<<10)}})
			text, _ := json.Marshal(answer)
			if status != http.StatusInternalServerError || !strings.Contains(string(text), `"col":1,"file":"account overrides/request_body_mapping","line":1}`) {
				t.Errorf("%s answers %d %.500s", name, status, text)
			}
		})
		for range 5 {
			wait.Go(func() {
				if status, answer := call(other["id"], ada); status != http.StatusOK || answer["nickname"] != "other" {
					t.Errorf("beside %s another's call is answered %d %v", name, status, answer)
				}
			})
		}
		wait.Wait()
	}
	if grown := int64(fromSystem()) - int64(before); grown > 400<<20 {
		t.Errorf("this process grew by %d MiB", grown>>20)
	}
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
}

// idleOne takes the one process that there is.
func (e *evaluators) idleOne(t *testing.T) *evaluator {
	t.Helper()
	for range cap(e.idle) {
		v := <-e.idle
		e.idle <- v
		if v != nil {
			return v
		}
	}
	t.Fatal("no process is there")
	return nil
}

// One that died is replaced; a caller who goes away, or the end, ends an evaluation; and in
// the end no process is left.
func TestEvaluatorsComeAndGo(t *testing.T) {
	e := newTestEvaluators(t, time.Minute)
	one := func() error { _, _, err := e.Evaluate(t.Context(), `1`, nil); return err }
	for range 2 * cap(e.idle) { // each place comes round
		if err := one(); err != nil {
			t.Fatal(err)
		}
	}
	dead := e.idleOne(t)
	if err := dead.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 2 * cap(e.idle) {
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
			_, _, err := e.Evaluate(ctx, killers["loop"], nil)
			done <- err
		}()
		for len(e.idle) == cap(e.idle) {
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
	e.shut()
	if err := <-done; !errors.Is(err, jsonata.ErrApart) {
		t.Errorf("at the end: %v", err)
	}
	ended := newEvaluators(time.Minute)
	if _, _, err := ended.Evaluate(t.Context(), `1`, nil); err != nil {
		t.Fatal(err)
	}
	own := ended.idleOne(t)
	ended.close()
	if err := own.command.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a process is left: %v", err)
	}
	if _, _, err := ended.Evaluate(t.Context(), `1`, nil); !errors.Is(err, jsonata.ErrApart) {
		t.Errorf("after the end: %v", err)
	}
}

// Calls of many tenants share the processes, and each gets its own.
func TestEvaluatorsKeepTenantsApart(t *testing.T) {
	e := newTestEvaluators(t, 10*time.Second)
	var wait sync.WaitGroup
	for tenant := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("tenant%d", tenant)
			for i := range 50 {
				v, _, err := e.Evaluate(t.Context(), `{ "`+name+`": who & "`+name+`", "n": n }`, map[string]any{"who": name, "n": i})
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
	b.Run("apart", func(b *testing.B) {
		e := newTestEvaluators(b, time.Second)
		for b.Loop() {
			if _, _, err := e.Evaluate(b.Context(), source, bindings); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			e := newEvaluators(time.Second)
			if _, _, err := e.Evaluate(b.Context(), source, bindings); err != nil {
				b.Fatal(err)
			}
			e.close()
		}
	})
}

// What does not compile says why, and its process goes on.
func TestEvaluatorsCompile(t *testing.T) {
	e := newTestEvaluators(t, 10*time.Second)
	if err := e.Compile(t.Context(), `{ "n": 1 }`); err != nil {
		t.Fatal(err)
	}
	before := e.idleOne(t)
	for src, offset := range map[string]int{`{ "n": }`: 7, `$match(n, /(a{1,1000}b{1,1000}){1}` + strings.Repeat(`c{1000}`, 30) + `/)`: 10} {
		for range cap(e.idle) {
			err := e.Compile(t.Context(), src)
			if bad, ok := errors.AsType[*jsonata.SyntaxError](err); !ok || bad.Offset != offset {
				t.Errorf("%.30s: %v, want a syntax error at %d", src, err, offset)
			}
		}
	}
	if before.command.ProcessState != nil {
		t.Error("the process has ended")
	}
}
