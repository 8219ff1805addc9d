package jsonata

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pipedApart is an Apart that asks at the other end of two pipes.
type pipedApart func(question ApartQuestion) (any, bool, error)

func (p pipedApart) Compile(_ context.Context, source string) error {
	_, _, err := p(ApartQuestion{Source: source, Compile: true})
	return err
}

func (p pipedApart) Evaluate(_ context.Context, source string, bindings map[string]any) (any, bool, error) {
	return p(ApartQuestion{Source: source, Bindings: bindings})
}

// served is a ServeApart at the other end of two pipes, as an Apart.
func served(tb testing.TB, language *Language) Apart {
	tb.Helper()
	questions, ask := io.Pipe()
	answer, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- ServeApart(context.Background(), language, questions, answers)
		_ = answers.Close()
		_ = questions.Close() // who asks on gets an error
	}()
	tb.Cleanup(func() {
		_ = ask.Close()
		if err := <-done; err != nil {
			tb.Errorf("served: %v", err)
		}
	})
	return pipedApart(func(question ApartQuestion) (any, bool, error) {
		begun := false
		a, err := AskApart(answer, ask, question, func() { begun = true })
		if err != nil {
			return nil, false, err
		}
		if !begun && a.Error == "" {
			tb.Error("an answer without a sign that it had begun")
		}
		return a.Result()
	})
}

// What an expression gives elsewhere is what it gives here.
func TestApartGivesTheSame(t *testing.T) {
	language := NewLanguage(time.Now, rand.Reader, Limits{EvalTimeout: 5 * time.Second, ResultBytes: 1 << 20})
	apart := language.WithApart(served(t, language))
	bindings := map[string]any{
		"big": json.Number("12345678901234567890"), "exact": json.Number("0.10000000000000000001"), "none": nil, "text": "ä\u2028日<&>\"\\\x00",
		"list": []any{nil, json.Number("1"), []any{}, map[string]any{}}, "deep": map[string]any{"x": map[string]any{"y": true}}, "f": 1.5,
	}
	for _, src := range []string{
		`big`, `exact`, `none`, `nowhere`, `text`, `list`, `deep`, `f`, `$`, `[]`, `{}`, `""`, `null`, `{"a": null, "b": nowhere, "c": [null, nowhere]}`,
		`1/3`, `1e21`, `-0`, `$string(big)`, `text & "ü"`, `list[0]`, `$uppercase(text)`, `$lookup(deep, "x").y`, `$jsonParse("[1,null]")`,
		`$error("own")`, `$sum(text)`, `$number("x" & text)`, `( $f := function($x) { 1 + $f($x) }; $f(1) )`, `$pad("", 2000000)`, `function($x) { $x }`,
		`$reduce([1..1100], function($s, $i) { { "s": $s } }, 1)`, `[1..200000]`,
	} {
		eval := func(l *Language) (any, bool, string) {
			x, err := l.Compile(src)
			if err != nil {
				t.Fatalf("%s: %v", src, err)
			}
			x.meter = true
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
		there, presentThere, failedThere := eval(apart)
		if diff := cmp.Diff([]any{here, presentHere, failedHere}, []any{there, presentThere, failedThere}); diff != "" {
			t.Errorf("%s differs (-here +apart):\n%s", src, diff)
		}
	}
}

// Errors that decide something are known again.
func TestApartCauses(t *testing.T) {
	language := NewLanguage(time.Now, rand.Reader, Limits{EvalTimeout: 200 * time.Millisecond, ResultBytes: 1000})
	apart := served(t, language)
	for src, want := range map[string]error{
		`( $f := function($x) { $f($x) }; $f(1) )`: context.DeadlineExceeded,
		`[1..1000]`: errTooLarge,
		`( $f := function($x) { 1 + $f($x) }; $f(1) )`:                         errRecursion,
		`$length($reduce([1..40], function($s, $i) { $s & $s }, "012345678"))`: ErrMemory,
	} {
		_, present, err := apart.Evaluate(t.Context(), src, nil)
		if errors.Is(want, ErrMemory) && errors.Is(err, ErrOverrun) {
			continue // a slow machine
		}
		if present || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", src, present, err, want)
		}
	}
	if _, _, err := apart.Evaluate(t.Context(), `1`, map[string]any{"secret": make(chan int)}); !errors.Is(err, errNotPlain) && err.Error() != "bindings: "+errNotPlain.Error() {
		t.Errorf("what is not plain: %v", err)
	}
}

// An evaluation that does not end is told, and then nothing more is served.
func TestServeApartEndsWhenStuck(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	language := NewLanguage(func() time.Time { <-release; return time.Time{} }, rand.Reader, Limits{})
	questions, ask := io.Pipe()
	answer, answers := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- ServeApart(context.Background(), language, questions, answers) }()
	a, err := AskApart(answer, ask, ApartQuestion{Source: `$millis()`}, func() {}) // one step that does not end
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Result(); !errors.Is(err, ErrOverrun) {
		t.Errorf("answered %v", err)
	}
	if err := <-done; !errors.Is(err, errStuck) {
		t.Errorf("served on: %v", err)
	}
}

// A result is as little trusted as one from here.
func TestApartResultIsChecked(t *testing.T) {
	for name, value := range map[string]any{
		"large": strings.Repeat("x", 2000), "not finite": json.Number("1e999"), "deep": nested(1001), "no JSON": make(chan int),
	} {
		apart := pipedApart(func(ApartQuestion) (any, bool, error) { return value, true, nil })
		x, err := NewLanguage(time.Now, rand.Reader, Limits{ResultBytes: 1000}).WithApart(apart).Compile(`1`)
		if err != nil {
			t.Fatal(err)
		}
		x.meter = true
		if v, _, err := x.Eval(t.Context(), nil); err == nil {
			t.Errorf("%s: gave %v", name, v)
		}
	}
}

func nested(levels int) any {
	var v any = true
	for range levels {
		v = []any{v}
	}
	return v
}

// Whatever comes, reading a frame ends, takes no more memory than came, and what was
// written is read.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x00", "\x00\x00\x00\x02{}", "\xff\xff\xff\xff", "\x00\x00\x00\x09{}", "\x05\xff\xff\xff{"} {
		f.Add([]byte(seed))
	}
	f.Add([]byte("\x00\x00\x00\x1e" + `{"source":"1","bindings":null}`))
	f.Fuzz(func(t *testing.T, src []byte) {
		frame, err := readFrame(bytes.NewReader(src))
		if err == nil && !bytes.Equal(frame, src[4:4+len(frame)]) {
			t.Fatalf("%q became %q", src, frame)
		}
		if err == nil {
			_ = decodeFrame(frame, &ApartQuestion{})
			_ = decodeFrame(frame, &ApartAnswer{})
		}
		var written bytes.Buffer
		if err := writeFrame(&written, src); err != nil {
			t.Fatal(err)
		}
		if back, err := readFrame(&written); err != nil || !bytes.Equal(back, src) {
			t.Fatalf("%q came back as %q, %v", src, back, err)
		}
	})
}

// An expression that does not compile elsewhere has the same error as here.
func TestApartCompiles(t *testing.T) {
	language := NewLanguage(time.Now, rand.Reader, Limits{EvalTimeout: 5 * time.Second})
	apart := language.WithApart(served(t, language))
	for _, src := range []string{`{ "a": b }`, `{ "a": }`, `$eval("1")`, `$match(a, /(/)`, `a & $match(a, /(a{1,100}){1,10}/)`, ``, costlyRegexps["folded ranges"], costlyRegexps["repeats"]} {
		_, here := language.Compile(src)
		x, there := apart.compileUntrusted(src)
		if diff := cmp.Diff(here, there); diff != "" {
			t.Errorf("%.50s differs (-here +apart):\n%s", src, diff)
		}
		if x != nil && x.prog != nil {
			t.Errorf("%.50s has a program here", src)
		}
	}
	if x, err := apart.compileUntrusted(`$contains("aaaaaaaaaaa", /(a{1,10}){1,10}/) ? "yes"`); err != nil || x.regexps == 0 {
		t.Fatalf("%+v, %v", x, err)
	} else if v, _, err := x.Eval(t.Context(), nil); v != "yes" || err != nil {
		t.Errorf("gave %v, %v", v, err)
	}
}
