package jsonata

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var exprClock = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// repeated is a random source that always returns the same byte.
type repeated byte

func (r repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func testLanguage(limits Limits) *Language {
	return NewLanguage(func() time.Time { return exprClock }, repeated(0xab), limits)
}

func decodeJSON(tb testing.TB, src string) any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(src))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%s: %v", src, err)
	}
	return v
}

func encodeJSON(tb testing.TB, v any) string {
	tb.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// evalText evaluates src over the JSON object input: JSON text, "undefined", or the error.
func evalText(tb testing.TB, l *Language, src, input string) string {
	tb.Helper()
	x, err := l.Compile(src)
	if err != nil {
		return "compile: " + err.Error()
	}
	v, present, err := x.Eval(tb.Context(), decodeJSON(tb, input).(map[string]any))
	switch {
	case err != nil:
		return "error: " + err.Error()
	case !present:
		return "undefined"
	default:
		return encodeJSON(tb, v)
	}
}

func TestEval(t *testing.T) {
	const input = `{"body":{"id":9007199254740993,"none":null,"list":[1,null,2],"one":["x"],"zero":[],"name":"Ada"}}`
	tests := []struct{ name, src, want string }{
		{"path", `body.name`, `"Ada"`},
		{"undefined", `body.missing`, "undefined"},
		{"null is present", `body.none`, "null"},
		{"null inside a list", `body.list`, "[1,null,2]"},
		{"null of a list", `body.list[1]`, "null"},
		{"null of a lookup", `$lookup(body, "none")`, "null"},
		{"null compared in a list", `body.list[$ = null]`, "null"},
		{"null in a result", `{"a": body.none, "b": body.missing}`, `{"a":null}`},
		{"big integer", `{"id": body.id}`, `{"id":9007199254740993}`},
		{"big integer as text", `$string(body.id)`, `"9007199254740993"`},
		{"no item", `body.zero`, "[]"},
		{"keys", `$keys(body.{"a": 1})[]`, `["a"]`},
		{"sequence inside", `{"k": $keys(body)[0]}`, `{"k":"id"}`},
		{"infinite", `1/0`, "error: result: a number is not finite"},
		{"function", `$uppercase`, "error: result: a function is not a value"},
		{"function inside", `{"f": function($x){$x}}`, "error: result: a function is not a value"},
		{"minus zero", `-0 * 1`, "0"},
		{"division after a predicate", `body.list[2] / 2`, "1"},
		{"division after a block", `(1; 6) / 3`, "2"},
		{"escaped bracket", `$replace("a(b", /\(/, "-")`, `"a-b"`},
		{"own function as a step", `( $f := function($a, $b) { {"a": $a, "b": $b} }; [$f(1).a, body.$f(2).a, body.list[0].$f(3).b] )`, `[1,2]`},
		{"binding inside a function", `( $f := function($x) { body.name & $x }; body.one.$f($) )`, `"Adax"`},
		{"root inside a function", `( $f := function($x) { $.body.name & $x }; body.one.$f($) )`, `"Adax"`},
		{"kept name inside a function", `( $f := function($x) { $count(body[]) }; body.one.$f($) )`, `1`},
		{"library function as a step", `body.name.$mapValues($, {"Ada": {"x": 1}}).x`, "1"},
		{"library function as a first step", `$match(body.name, /d/).index`, "1"},
		{"now as a step", `body.$now()`, `"2026-03-04T05:06:07.089Z"`},
		{"now", `$now()`, `"2026-03-04T05:06:07.089Z"`},
		{"now with a picture", `$now("[Y0001]-[M01]")`, `"2026-03"`},
		{"now with a timezone", `$now("[H01]:[m01]", "+0200")`, `"07:06"`},
		{"time of the engine's day", `$toMillis("10:30", "[H]:[m]") = $toMillis("2026-03-04T10:30:00Z")`, "true"},
		{"time of the engine's day, in twelve hours", `$toMillis("10:30 pm", "[h]:[m] [P]") = $toMillis("2026-03-04T22:30:00Z")`, "true"},
		{"minute of the engine's hour", `$toMillis("30", "[m]") = $toMillis("2026-03-04T05:30:00Z")`, "true"},
		{"day of the engine's month", `$toMillis("9 at 7", "[D] at [H]") = $toMillis("2026-03-09T07:00:00Z")`, "true"},
		{"day of the engine's year", `$toMillis("60", "[d]") = $toMillis("2026-03-01")`, "true"},
		{"month of the engine's year", `$toMillis("12/24", "[M]/[D]") = $toMillis("2026-12-24")`, "true"},
		{"nothing of the clock", `$toMillis("2024-02-29 7", "[Y]-[M]-[D] [H]") = $toMillis("2024-02-29T07:00:00Z")`, "true"},
		{"a bracket in a picture", `$toMillis("[10:30", "[[[H]:[m]") = $toMillis("2026-03-04T10:30:00Z")`, "true"},
		{"millis", `$millis()`, "1772600767089"},
		{"uuid", `$uuid()`, `"abababab-abab-4bab-abab-abababababab"`},
		{"nothing", `()`, "undefined"},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, evalText(t, l, tt.src, input)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
			}
		})
	}
}

func TestEvalErrorsQuoteNoData(t *testing.T) {
	const input = `{"secret":"hunter2","n":5}`
	tests := []struct{ src, want string }{
		{`$toMillis(secret)`, "error: D3110: $toMillis: the text is not a date and time"},
		{`$error(secret)`, "error: D3137"},
		{`$error("no role")`, "error: D3137: no role"},
		{`$assert(false, "wrong")`, "error: D3141: wrong"},
		{`$assert(false, secret)`, "error: D3141: an assertion failed"},
		{`secret + 1`, "error: T2001: the left side of an operator is not a number"},
		{`$number(secret)`, "error: D3030: $number: the text is not a number"},
		{`$substring(n, 1)`, "error: T0410: $substring: an argument has the wrong type"},
		{`$base64decode(secret & "!")`, "error: $base64decode: the text is not valid base64"},
		{`$xmlToJs(secret)`, "error: $xmlToJs: the text is not XML"},
		{`{secret: 1, "hunter2": 2}`, "error: D1009: two keys of an object are the same"},
		{`$fromMillis(n, "[Z", secret)`, "error: D3137"},
		{`$nosuch(1)`, "error: T1006: a value that is not a function is called"},
		{`[1..secret]`, "error: T2004: the end of a range is not a whole number"},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		got := evalText(t, l, tt.src, input)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: quotes the data: %s", tt.src, got)
		}
	}
}

func TestEvalLimits(t *testing.T) {
	l := testLanguage(Limits{EvalTimeout: 100 * time.Millisecond, ResultBytes: 1 << 16, SourceBytes: 4096, Values: 5000})
	tests := []struct{ name, src, want string }{
		{"tail recursion", `($f := function($x){ $f($x + 1) }; $f(0))`, "deadline"},
		{"recursion", `($f := function($x){ 1 + $f($x + 1) }; $f(0))`, "U1001: recursion is too deep"},
		{"mutual recursion", `($a := function($x){ $b($x) }; $b := function($x){ $a($x) }; $a(0))`, "deadline"},
		{"doubling", `$reduce([1..60], function($a, $b){ $a & $a }, "x")`, "deadline"},
		{"large text", `$reduce([1..17], function($a, $b){ $a & $a }, "x")`, "result: larger than the limit"},
		{"large range", `[1..100000000]`, "D2014: the range is too large"},
		{"many items", `[1..5000]`, "result: larger than the limit"},
		{"many references", `$reduce([1..40], function($a, $b){ {"l": $a, "r": $a} }, {})`, "result: larger than the limit"},
		{"many references to a function", `$removeEmpty($reduce([1..13], function($a, $b){ {"l": $a, "r": $a} }, {"x": 1}))`, "$removeEmpty: larger than the limit"},
		{"deep", `$reduce([1..2000], function($a, $b){ {"a": $a} }, {})`, "result: nested deeper than 1000 levels"},
		{"pad", `$pad("x", 1000000000)`, "D3010: $pad: an argument is too large or empty"},
		{"loop of loops", `$map([1..100000], function($i){ $sum([1..1000]) })`, "deadline"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := l.Compile(tt.src)
			if err != nil {
				t.Fatal(err)
			}
			v, present, err := x.Eval(t.Context(), nil)
			if err == nil {
				t.Fatalf("want an error, got %v, %v", v, present)
			}
			if tt.want == "deadline" {
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrOverrun) {
					t.Errorf("want an overrun, got %v", err)
				}
			} else if err.Error() != tt.want {
				t.Errorf("want %q, got %q", tt.want, err)
			}
		})
	}
	if _, err := l.Compile(strings.Repeat("1+", 3000) + "1"); err == nil || !strings.Contains(err.Error(), "longer than 4096") {
		t.Errorf("source over the limit: %v", err)
	}
}

func TestEvalCancel(t *testing.T) {
	l := testLanguage(Limits{EvalTimeout: time.Minute})
	x, err := l.Compile(`($f := function($x){ $f($x + 1) }; $f(0))`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := x.Eval(ctx, nil); !errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's cancel: %v", err)
	}
	ctx, cancel = testLanguage(Limits{EvalTimeout: time.Nanosecond}).WithDeadline(t.Context())
	defer cancel()
	if _, _, err := x.Eval(ctx, nil); !errors.Is(err, ErrOverrun) {
		t.Errorf("Eval keeps the deadline that WithDeadline gave: %v", err)
	}
}

// The values that an expression sees are walked within its deadline, and a walk that is cut off is
// not the last one.
func TestWalksEnd(t *testing.T) {
	list := make([]any, 100_000)
	for i := range list {
		list[i] = map[string]any{"n": "x"}
	}
	bindings := NewBindings(map[string]any{"list": list})
	x, err := testLanguage(Limits{}).Compile(`$count($filter(list, function($v) { false }))`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := testLanguage(Limits{EvalTimeout: time.Nanosecond}).WithDeadline(t.Context())
	defer cancel()
	w := converter{ctx: ctx, left: math.MaxInt}
	if _, _, err := w.value(list, 0); !errors.Is(err, ErrOverrun) {
		t.Errorf("the walk over a result: %v", err)
	}
	if _, err := bindings.forGnata(ctx); !errors.Is(err, ErrOverrun) {
		t.Errorf("the walk over bindings: %v", err)
	}
	ctx, cancel = testLanguage(Limits{EvalTimeout: time.Minute}).WithDeadline(t.Context())
	defer cancel()
	if v, _, err := x.EvalBindings(ctx, bindings); err != nil || v != 0.0 {
		t.Errorf("the next evaluation: %v, %v", v, err)
	}
}

func TestEvalReadsOnly(t *testing.T) {
	const input = `{"body":{"b":[3,1,2,null],"o":{"x":{"y":1},"z":[[1],[2]]},"n":null,"s":"t"},"query":{}}`
	l := testLanguage(Limits{})
	for _, src := range []string{
		`body ~> |$|{"s": "changed", "new": 1}, "n"|`, `body ~> |o.x|{"y": 2}|`, `$sort(body.b[$ != null])`, `$reverse(body.b)`,
		`$append(body.b, 4)`, `body.b^(>$)`, `$merge([body, {"s": 1}])`, `$spread(body)`, `$removeEmpty(body)`, `$omit(body, "s")`,
		`$mapValues(body, {"t": "u"})`, `$mapValues(body.o, function($v){ $v ~> |$|{"w": 1}| })`, `$flatten(body.o.z)`, `$distinct(body.b)`,
		`body.**`, `body.*`, `$shuffled := body.b`, `$each(body, function($v, $k){ {$k: $v} })`, `$zip(body.b, body.b)`, `body`, `$`,
	} {
		bindings := decodeJSON(t, input).(map[string]any)
		x, err := l.Compile(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		if _, _, err := x.Eval(t.Context(), bindings); err != nil && !strings.Contains(err.Error(), ": ") {
			t.Errorf("%s: %v", src, err)
		}
		if diff := cmp.Diff(decodeJSON(t, input), any(bindings)); diff != "" {
			t.Errorf("%s wrote into its bindings:\n%s", src, diff)
		}
	}
}

func TestEvalBindings(t *testing.T) {
	l := testLanguage(Limits{})
	x, err := l.Compile(`$uppercase(context.key)`)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Eval(t.Context(), map[string]any{"context": map[string]any{"n": 1}}); err == nil {
		t.Error("a Go int is no plain JSON and must be refused")
	}
}
