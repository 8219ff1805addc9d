package jsonata

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portolan/plain"
)

// failer is a *testing.T or *rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compareWithGnata fails if direct evaluation is certain of another result than gnata's. It
// reports whether it is certain.
func compareWithGnata(t failer, l *Language, src string, bindings map[string]any) bool {
	t.Helper()
	x, err := l.Compile(src)
	if err != nil || x.direct == nil {
		return false
	}
	value, present, certain := x.direct.run(NewBindings(bindings))
	if !certain {
		return false
	}
	got, present, err := x.result(context.Background(), value, present)
	slow := *x
	slow.direct = nil
	want, wantPresent, wantErr := slow.EvalBindings(context.Background(), NewBindings(bindings))
	if diff := cmp.Diff(want, got); diff != "" || present != wantPresent || (err != nil) != (wantErr != nil) {
		t.Fatalf("%s over %v: present %v, error %v, want %v, %v\n%s", src, bindings, present, err, wantPresent, wantErr, diff)
	}
	return true
}

// directSources are expressions that are evaluated directly, in the ways that mappings use.
var directSources = []string{
	`context.api_key`, "a /* c */ . `b c`", `headers."x-ratelimit-limit"`, `a.b.c`, `a`,
	`status >= 400`, `status = 400 and error[0].message in ["User not found", "Workspace not found."] ? 404 : status`,
	`context.access_token ? "Bearer " & context.access_token : "Basic " & $base64encode(context.api_key & ":x")`,
	`$firstNonEmpty(error.MESSAGE, error.errors[0].detail, error.message)`,
	`{ "profile": $exists(body.first_name) or $exists(body.last_name) ? { "firstName": body.first_name, "lastName": body.last_name } }`,
	`( $roles := body.roles.id; { "email": body.emails[0].email, "type": $roles[$ in ["account", "contact"]][0], "administrator": "administrator" in $roles ? true } )`,
	`response.( $joined := $trim($join([firstName, lastName][$type($) = "string"], " "));
		{ "id": id, "name": $joined != "" ? $joined : nickName, "emails": email ? [{ "email": email }], "is_active": $type(inactive) = "boolean" ? $not(inactive),
		  "roles": $exists(roles) ? [roles.($type($) = "string" ? { "id": $ } : { "id": _id, "name": name })], "team_ids": [teams.$string(id)], "nested": [[teams.id], null] })`,
	`teams[id = 2].name`, `a.b.{ "c": c }`, `a[0].b`, `(a.b).c`, `[a, [b], []]`, `$type(a)`, `a & b`, `a < b`, `a.b[0]`, `[]`, `{}`, `null`, `a.b[c = 1]`, `$join(a.b, "-")`,
}

var directInputs = []string{
	`{}`, `{"a":null}`, `{"a":{"b":"x"},"b":"y"}`, `{"a":{"b":1e400}}`, `{"a":{"b":null}}`, `{"a":[{"b":1},{"b":[2,3]},{"b":[]}]}`, `{"a":{"b":[1]}}`,
	`{"a":{"b":{"c":true}}}`, `{"a":{"b":[{"c":1},{"c":2}]}}`, `{"a":{"b":9007199254740993}}`, `{"a":1.50,"b":2}`, `{"a":"b","b":""}`, `{"a":[[1],[2]]}`, `{"a":{"b c":[]}}`,
	`{"context":{"api_key":"k"},"status":400,"error":[{"message":"User not found"}],"headers":{"x-ratelimit-limit":"9"}}`,
	`{"context":{"access_token":"t"},"status":200,"error":{"MESSAGE":"","errors":[{"detail":"d"}]}}`,
	`{"body":{"first_name":"Ada","emails":[{"email":"ada@example.com"}],"roles":[{"id":"administrator"},{"id":"contact"}]}}`,
	`{"body":{"last_name":null,"emails":[],"roles":[{"id":"account"}]}}`,
	`{"response":{"id":7,"firstName":" Ada  Augusta","lastName":"King","email":"ada@example.com","inactive":false,"roles":["r1",{"_id":"r2","name":"R"}],"teams":[{"id":1},{"id":2,"name":"n"}]}}`,
	`{"response":{"id":"x","firstName":"","lastName":null,"email":"","roles":[],"teams":[]},"teams":[{"id":2,"name":"n"},{"id":2}]}`,
	`{"response":[{"id":1},{"id":2}]}`,
}

// Expressions of the kind that mappings have are evaluated directly, and the same.
func TestDirect(t *testing.T) {
	l := testLanguage(Limits{})
	for _, src := range directSources {
		certain := 0
		for _, input := range directInputs {
			bindings, _ := decodeJSON(t, input).(map[string]any)
			if compareWithGnata(t, l, src, bindings) {
				certain++
			}
		}
		if certain < len(directInputs)/2 {
			t.Errorf("%s: certain of %d inputs only", src, certain)
		}
	}
}

// What direct evaluation does not know is left to gnata.
func TestNotDirect(t *testing.T) {
	l := testLanguage(Limits{})
	for _, src := range []string{
		`a.*`, `a.$uppercase(b)`, `a[]`, `a#$i.b`, `a@$x.b`, `a{b: c}`, `a^(b)`, `function($x){$x}`, `$sum(a)`, `a + 1`, `-1`, `/x/`, `a[-1]`, `a[b]`, `$x`, `($type := 1; $type(a))`,
		`{a: 1}`, `$now()`, `$uuid()`, `$filter(a, function($x){true})`, `a ~> $f`, `a ?: b`, `$string(a, true)`, `"a".b`, `()`, `a.%`, `a.[b]`, `a.$`,
	} {
		if x, err := l.Compile(src); err == nil && x.direct != nil {
			t.Errorf("%s is evaluated directly", src)
		}
	}
}

// The expressions of the corpus over all its inputs.
func TestDirectOfCorpus(t *testing.T) {
	cases, inputs := readOracle(t)
	l := testLanguage(Limits{})
	certain := 0
	for _, c := range cases {
		for _, input := range inputs {
			bindings, ok := decodeJSON(t, string(input)).(map[string]any)
			if ok && compareWithGnata(t, l, c.Expr, bindings) {
				certain++
			}
		}
	}
	if certain < 100 {
		t.Errorf("certain of %d only", certain)
	}
}

// Random expressions over random values.
func TestDirectRandom(t *testing.T) {
	l := testLanguage(Limits{})
	names := rapid.SampledFrom([]string{"a", "b", "c"})
	scalar := rapid.SampledFrom([]any{nil, true, false, "", "a", "x y", " x ", float64(0), float64(1), json.Number("1"), json.Number("2.50"), json.Number("1e2")})
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar,
			rapid.Map(rapid.SliceOfN(value(depth-1), 0, 3), func(v []any) any { return v }),
			rapid.Map(rapid.MapOfN(names, value(depth-1), 0, 3), func(v map[string]any) any { return v }))
	}
	objects := rapid.MapOfN(names, value(4), 1, 3)
	rapid.Check(t, func(t *rapid.T) {
		compareWithGnata(t, l, randomExpression(t, 4, 0), objects.Draw(t, "bindings"))
	})
}

// randomExpression returns an expression, mostly of the parts that direct evaluation knows.
func randomExpression(t *rapid.T, depth, variables int) string {
	part := func() string { return randomExpression(t, depth-1, variables) }
	pick := func(options ...string) string { return rapid.SampledFrom(options).Draw(t, "part") }
	if depth == 0 {
		options := []string{"a", "b", "c", "$", `"a"`, "1", "0", "true", "null", "`a`"}
		for i := range variables {
			options = append(options, fmt.Sprintf("$v%d", i))
		}
		return pick(options...)
	}
	switch pick("leaf", "path", "path", "step", "index", "filter", "operator", "condition", "array", "object", "call", "block") {
	case "path":
		return part() + "." + pick("a", "b", "c", `"a"`)
	case "step":
		return part() + "." + pick("("+part()+")", `{"a": `+part()+"}", "$string("+part()+")", "$type($)", "b[0]")
	case "index":
		return "(" + part() + ")[" + pick("0", "1", "2") + "]"
	case "filter":
		return pick("a", "b", "("+part()+")") + "[" + part() + pick(" = ", " != ", " in ", " < ", " and ") + part() + "]"
	case "operator":
		return "(" + part() + pick(" = ", " != ", " < ", " >= ", " and ", " or ", " in ", " & ") + part() + ")"
	case "condition":
		return "(" + part() + " ? " + part() + pick("", " : "+part()) + ")"
	case "array":
		return "[" + strings.Join([]string{part(), part()}, ", ") + "]"
	case "object":
		return fmt.Sprintf(`{"a": %s, "b": %s}`, part(), part())
	case "call":
		return pick("$exists(", "$not(", "$type(", "$string(", "$trim(", "$firstNonEmpty(", `$join([a, b][$type($) = "string"], `, "$join(a, ") + part() + ")"
	case "block":
		return fmt.Sprintf("( $v%d := %s; %s )", variables, part(), randomExpression(t, depth-1, variables+1))
	default:
		return randomExpression(t, 0, variables)
	}
}

func FuzzDirect(f *testing.F) {
	for i, src := range directSources {
		f.Add(src, directInputs[i%len(directInputs)])
	}
	l := testLanguage(Limits{})
	f.Fuzz(func(t *testing.T, src, input string) {
		bindings, err := plain.DecodeObject([]byte(input), plain.Options{})
		if err != nil || strings.Contains(src, "$millis") {
			return
		}
		compareWithGnata(t, l, src, bindings)
	})
}

// Bindings that are added later are seen, and come first, with and without gnata.
func TestBindingsWith(t *testing.T) {
	l := testLanguage(Limits{})
	base := NewBindings(map[string]any{"a": "old", "b": nil})
	bindings := base.With(map[string]any{"a": "new", "c": []any{nil}}).With(map[string]any{"d": "last"})
	for src, want := range map[string]string{
		`{"a": a, "b": b, "c": c, "d": d}`:                                `{"a":"new","b":null,"c":[null],"d":"last"}`,
		`$merge([{"a": a, "b": b}, {"c": c, "d": d, "n": $count($$.*)}])`: `{"a":"new","b":null,"c":[null],"d":"last","n":4}`,
	} {
		x, err := l.Compile(src)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := x.EvalBindings(t.Context(), bindings)
		if err != nil || encodeJSON(t, got) != want {
			t.Errorf("%s is %v, %v", src, got, err)
		}
	}
	if base.Plain("a") != "old" || bindings.Plain("a") != "new" || bindings.Plain("x") != nil || len(bindings.all(t.Context())) != 4 {
		t.Errorf("got %v and %v", base.all(t.Context()), bindings.all(t.Context()))
	}
}
