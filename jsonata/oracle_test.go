package jsonata

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// oracleCase is a line of testdata/oracle/corpus.jsonl, see regenerate.mjs there.
type oracleCase struct {
	Name, Expr, Input string
	Answer            json.RawMessage
	Error             string
}

// oracleDifference is a reason why answers differ, with our answers by case.
type oracleDifference struct {
	Reason string
	Cases  map[string]string
}

func readOracle(tb testing.TB) (cases []oracleCase, inputs map[string]json.RawMessage) {
	tb.Helper()
	file, err := os.ReadFile("testdata/oracle/corpus.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(file)); lines.Scan(); {
		var c oracleCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			tb.Fatal(err)
		}
		cases = append(cases, c)
	}
	readJSONFile(tb, "testdata/oracle/inputs.json", &inputs)
	return cases, inputs
}

func readJSONFile(tb testing.TB, path string, into any) {
	tb.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(file, into); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
}

// canonical is JSON with one spelling for each value: numbers as JavaScript has them.
func canonical(tb testing.TB, src []byte) string {
	tb.Helper()
	var v any
	if err := json.Unmarshal(src, &v); err != nil {
		tb.Fatal(err)
	}
	return encodeJSON(tb, v)
}

// TestOracle runs the corpus against the reference implementation's answers. Every
// difference is listed with its reason in differences.json and in docs/expressions.md.
func TestOracle(t *testing.T) {
	var differences []oracleDifference
	readJSONFile(t, "testdata/oracle/differences.json", &differences)
	known := make(map[string]string)
	for _, d := range differences {
		maps.Copy(known, d.Cases)
	}
	cases, inputs := readOracle(t)
	if len(cases) < 1500 {
		t.Fatalf("%d cases only", len(cases))
	}
	l := testLanguage(Limits{EvalTimeout: 10 * time.Second})
	seen := make(map[string]bool)
	for _, c := range cases {
		if seen[c.Name] {
			t.Errorf("%s occurs twice", c.Name)
		}
		seen[c.Name] = true
		want := "undefined"
		switch {
		case c.Error != "":
			want = "error"
		case c.Answer != nil:
			want = canonical(t, c.Answer)
		}
		got := evalText(t, l, c.Expr, string(inputs[c.Input]))
		switch {
		case strings.HasPrefix(got, "error: "), strings.HasPrefix(got, "compile: "):
			got = "error"
		case got != "undefined":
			got = canonical(t, []byte(got))
		}
		ours, listed := known[c.Name]
		switch {
		case listed && got == want:
			t.Errorf("%s: %s: the listed difference is gone", c.Name, c.Expr)
		case listed && got != ours:
			t.Errorf("%s: %s: listed as %s, got %s", c.Name, c.Expr, ours, got)
		case !listed && got != want:
			t.Errorf("%s: %s: reference %s, got %s", c.Name, c.Expr, want, got)
		}
		delete(known, c.Name)
	}
	for name := range known {
		t.Errorf("differences.json names %s, which is no case", name)
	}
}

// The tree reads every expression of the corpus that the compiler reads.
func TestTreeOfCorpus(t *testing.T) {
	cases, _ := readOracle(t)
	l := testLanguage(Limits{})
	for _, c := range cases {
		_, compileErr := l.Compile(c.Expr)
		if _, err := parseTree(c.Expr); err != nil && compileErr == nil {
			t.Errorf("%s: no tree", c.Expr)
		}
	}
}

// One compiled expression, many tenants at once: nobody sees another's values.
func TestEvalKeepsTenantsApart(t *testing.T) {
	const goroutines, rounds = 16, 400
	l := testLanguage(Limits{EvalTimeout: time.Minute})
	var exprs []*Expr
	for _, src := range []string{
		`body.name`,
		`{ "name": body.name, "roles": [body.roles.{ "id": id, "of": $$.body.name }] }`,
		`( $n := body.name; $f := function($r) { $r.id & $n }; body.roles.$f($) )`,
		`body.roles ~> $map(function($r) { $r.id & $$.body.name }) ~> $join(",")`,
		`body ~> |$|{"copy": name}, "roles"|`,
		`$mapValues(body, function($v, $k) { $k & $string($v) & $$.body.name })`,
		`body.roles{id: $$.body.name}`,
		`$reduce(body.roles, function($a, $r) { $a & $r.id }, body.name) & $now()`,
		`$replace(body.name, /t(\d+)/, function($m) { "t" & $m.groups[0] })`,
		`$omit($merge([body, {"by": body.name, "at": $uuid()}]), "at").by`,
		`body.roles^(>id).id[]`,
	} {
		x, err := l.Compile(src)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		exprs = append(exprs, x)
	}
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			tag := fmt.Sprintf("t%03d", g)
			bindings := map[string]any{"body": map[string]any{
				"name": tag, "none": nil, "roles": []any{map[string]any{"id": tag + "a"}, map[string]any{"id": tag + "b"}},
			}}
			for i := range rounds {
				x := exprs[(i+g)%len(exprs)]
				v, present, err := x.Eval(context.Background(), bindings)
				if err != nil || !present {
					t.Errorf("%s: %v, %v", x.Source, present, err)
					return
				}
				text := fmt.Sprint(v)
				if !strings.Contains(text, tag) {
					t.Errorf("%s: %s misses its own tag %s", x.Source, text, tag)
				}
				for other := range goroutines {
					if other != g && strings.Contains(text, fmt.Sprintf("t%03d", other)) {
						t.Errorf("%s: tenant %s got %s", x.Source, tag, text)
					}
				}
			}
		})
	}
	wait.Wait()
}

func BenchmarkEval(b *testing.B) {
	_, inputs := readOracle(b)
	l := testLanguage(Limits{})
	for _, bm := range []struct{ name, input, src string }{
		{"path", "update", `body.first_name`},
		{"object", "update", `{ "firstName": body.first_name, "lastName": body.last_name, "role": body.roles[0].id, "emails": [body.emails.{ "value": email, "kind": type }] }`},
		{"record", "user", `response.{ "id": $string(id), "name": name, "roles": [roles.{ "id": id }], "custom_fields": $merge([person, single]) }`},
		{"functions", "update", `$pick({ "a": $mapValues(body.roles.id, {"member": "m"}), "b": $pick(body, ["first_name", "empty"]), "c": body.null_field }, ["a", "b"])`},
	} {
		x, err := l.Compile(bm.src)
		if err != nil {
			b.Fatal(err)
		}
		bindings := decodeJSON(b, string(inputs[bm.input])).(map[string]any)
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := x.Eval(b.Context(), bindings); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bm.name+"/shared deadline", func(b *testing.B) {
			ctx, cancel := testLanguage(Limits{EvalTimeout: time.Hour}).WithDeadline(b.Context())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := x.Eval(ctx, bindings); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	const src = `response.{ "id": $string(id), "name": name, "roles": [roles.{ "id": id }], "custom_fields": $merge([person, single]) }`
	l := testLanguage(Limits{})
	for b.Loop() {
		if _, err := l.Compile(src); err != nil {
			b.Fatal(err)
		}
	}
}

func TestCanonical(t *testing.T) {
	if diff := cmp.Diff(`{"a":1.5,"b":[1]}`, canonical(t, []byte(`{"b": [1.0], "a": 15e-1}`))); diff != "" {
		t.Error(diff)
	}
}
