package worker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/jsonata"
)

// testCommand makes this program a worker, by TestMain.
func testCommand(timeout time.Duration) []string { return []string{"worker", timeout.String()} }

func TestMain(m *testing.M) {
	if os.Args[0] != "worker" {
		os.Exit(m.Run())
	}
	if os.Args[1] == "confined" {
		tryConfined()
		return
	}
	timeout, err := time.ParseDuration(os.Args[1])
	if err == nil {
		err = Serve(context.Background(), jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{EvalTimeout: timeout}), os.Stdin, os.Stdout)
	}
	if err != nil {
		os.Exit(1)
	}
}

// pipedWorker is a jsonata.Worker in this process, at the other end of two pipes.
type pipedWorker struct {
	tb testing.TB
	pipes
	done chan error // of serve
}

func newPipedWorker(tb testing.TB, language *jsonata.Language) *pipedWorker {
	tb.Helper()
	in, requests := io.Pipe()
	responses, out := io.Pipe()
	w := &pipedWorker{tb, pipes{requests, responses}, make(chan error, 1)}
	go func() {
		w.done <- serve(context.Background(), language, in, out)
		_ = out.Close()
		_ = in.Close() // further requests get an error
	}()
	return w
}

// servedBy is a jsonata.Worker that evaluates in language until the test ends.
func servedBy(tb testing.TB, language *jsonata.Language) *pipedWorker {
	tb.Helper()
	w := newPipedWorker(tb, language)
	tb.Cleanup(func() {
		w.close()
		if err := <-w.done; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return w
}

func (w *pipedWorker) do(req request) (any, bool, error) {
	frame, err := req.encode()
	if err != nil {
		return nil, false, err
	}
	started := false
	res, err := w.exchange(frame, jsonata.DefaultValues, func() { started = true })
	if err != nil {
		return nil, false, err
	}
	if !started {
		w.tb.Error("a response from a worker that has not started")
	}
	return res.result()
}

func (w *pipedWorker) Compile(_ context.Context, source string) error {
	_, _, err := w.do(request{source: source, compile: true})
	return err
}

func (w *pipedWorker) Evaluate(_ context.Context, source string, bindings map[string]any) (any, bool, error) {
	return w.do(request{source: source, bindings: bindings})
}

// An expression returns the same in a worker as in this process.
func TestWorkerReturnsTheSame(t *testing.T) {
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{EvalTimeout: 5 * time.Second, ResultBytes: 1 << 20})
	remote := language.WithWorker(servedBy(t, language))
	bindings := map[string]any{
		"big": json.Number("12345678901234567890"), "exact": json.Number("0.10000000000000000001"), "none": nil, "text": "ä\u2028日<&>\"\\\x00",
		"list": []any{nil, json.Number("1"), []any{}, map[string]any{}}, "deep": map[string]any{"x": map[string]any{"y": true}}, "f": 1.5,
	}
	for _, src := range []string{
		`big`, `exact`, `none`, `nowhere`, `text`, `list`, `deep`, `f`, `$`, `[]`, `{}`, `""`, `null`, `{"a": null, "b": nowhere, "c": [null, nowhere]}`,
		`1/3`, `1e21`, `-0`, `$string(big)`, `text & "ü"`, `list[0]`, `$uppercase(text)`, `$lookup(deep, "x").y`, `$jsonParse("[1,null]")`,
		`$error("own")`, `$sum(text)`, `$number("x" & text)`, `( $f := function($x) { 1 + $f($x) }; $f(1) )`, `$pad("", 2000000)`, `function($x) { $x }`,
		`$reduce([1..1000], function($s, $i) { { "s": $s } }, {})`, `$reduce([1..1001], function($s, $i) { { "s": $s } }, 1)`, `[1..200000]`,
	} {
		eval := func(l *jsonata.Language) (any, bool, string) {
			x, err := l.CompileUntrusted(t.Context(), src)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			v, present, err := x.Eval(t.Context(), bindings)
			if err != nil {
				return nil, present, err.Error()
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			return string(text), present, ""
		}
		here, presentHere, failedHere := eval(language)
		there, presentThere, failedThere := eval(remote)
		if diff := cmp.Diff([]any{here, presentHere, failedHere}, []any{there, presentThere, failedThere}); diff != "" {
			t.Errorf("%s differs (-here +worker):\n%s", src, diff)
		}
	}
}

// Errors that decide something keep their identity.
func TestWorkerErrors(t *testing.T) {
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{EvalTimeout: 200 * time.Millisecond, ResultBytes: 2000})
	w := servedBy(t, language)
	for src, want := range map[string]error{
		`( $f := function($x) { $f($x) }; $f(1) )`: context.DeadlineExceeded,
		`[1..1000]`: jsonata.ErrTooLarge,
		`( $f := function($x) { 1 + $f($x) }; $f(1) )`:                         jsonata.ErrRecursion,
		`$length($reduce([1..40], function($s, $i) { $s & $s }, "012345678"))`: jsonata.ErrMemory,
	} {
		_, present, err := w.Evaluate(t.Context(), src, nil)
		if errors.Is(want, jsonata.ErrMemory) && errors.Is(err, jsonata.ErrOverrun) {
			continue // a slow machine
		}
		if present || !errors.Is(err, want) || !jsonata.Costly(err) {
			t.Errorf("%s: %v, %v, want %v", src, present, err, want)
		}
	}
	if _, _, err := w.Evaluate(t.Context(), `1`, map[string]any{"secret": make(chan int)}); !errors.Is(err, errNotPlain) {
		t.Errorf("bindings that are not plain: %v", err)
	}
}

// An expression that does not compile in a worker has the same error as here.
func TestWorkerCompiles(t *testing.T) {
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{EvalTimeout: 5 * time.Second})
	remote := language.WithWorker(servedBy(t, language))
	for _, src := range []string{
		`{ "a": b }`, `{ "a": }`, `$eval("1")`, `$match(a, /(/)`, `a & $match(a, /(a{1,100}){1,10}/)`, ``,
		`$match(s, /` + strings.Repeat(`a{0,1000}`, 1500) + `/)`, `$match(s, /[` + strings.Repeat("B-\U0001e942", 2300) + `]/i)`,
	} {
		_, here := language.CompileUntrusted(t.Context(), src)
		_, there := remote.CompileUntrusted(t.Context(), src)
		if diff := cmp.Diff(here, there); diff != "" {
			t.Errorf("%.50s differs (-here +worker):\n%s", src, diff)
		}
	}
	if _, err := remote.CompileUntrusted(t.Context(), `$error("evaluated")`); err != nil {
		t.Errorf("compiling gave %v", err)
	}
	if x, err := remote.CompileUntrusted(t.Context(), `$contains("aaaaaaaaaaa", /(a{1,10}){1,10}/) ? "yes"`); err != nil || x.RegexpSize() == 0 {
		t.Fatalf("%+v, %v", x, err)
	} else if v, _, err := x.Eval(t.Context(), nil); v != "yes" || err != nil {
		t.Errorf("gave %v, %v", v, err)
	}
}

// A request that does not end has a response, and then the worker ends.
func TestServeEndsWithEndlessRequest(t *testing.T) {
	var released atomic.Bool
	t.Cleanup(func() { released.Store(true) })
	busy := func() time.Time {
		for !released.Load() {
			runtime.Gosched()
		}
		return time.Time{}
	}
	language := jsonata.NewLanguage(busy, rand.Reader, jsonata.Limits{})
	w := newPipedWorker(t, language)
	if _, _, err := w.do(request{source: `$millis()`}); !errors.Is(err, jsonata.ErrOverrun) { // one step that does not end
		t.Errorf("got %v", err)
	}
	if err := <-w.done; !errors.Is(err, errEndless) {
		t.Errorf("served on: %v", err)
	}
}

// A worker ends before the regular expressions that it has compiled take too much memory.
func TestServeEndsAfterManyRegexps(t *testing.T) {
	w := newPipedWorker(t, jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}))
	served := 0
	for {
		v, _, err := w.do(request{source: fmt.Sprintf(`$contains("b", /%d|a{1,1000}a{1,1000}/)`, served)})
		if err != nil {
			break
		}
		if served++; v != false || served > 2*maxRegexps/2000 {
			t.Fatalf("%v, %d served", v, served)
		}
	}
	if size := maxRegexps / served; size < 2000 || size > 10_000 {
		t.Errorf("%d served", served)
	}
	if err := <-w.done; err != nil {
		t.Error(err)
	}
}

// A request that waits for a processor for longer than its limit has its own response.
func TestServeForgivesWaits(t *testing.T) {
	const limit = 10 * time.Millisecond
	own := &response{}
	waiting := func() time.Duration { return 0 }
	if res := inTime(limit, waiting, func() *response { time.Sleep(3 * limit); return own }); res != own {
		t.Errorf("got %+v", res)
	}
}

// A result that fits in no frame is an error that fits.
func TestResponseThatFitsInNoFrame(t *testing.T) {
	for name, value := range map[string]any{"not plain": make(chan int), "large": strings.Repeat("x", maxFrame)} {
		res, err := decodeResponse(responseOf(value, true, nil).encode(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if v, present, err := res.result(); err == nil || present || jsonata.Costly(err) != (name == "large") {
			t.Errorf("%s: %v, %v, %v", name, fmt.Sprintf("%.20v", v), present, err)
		}
	}
}
