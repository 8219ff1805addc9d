package jsonata

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResultFields(t *testing.T) {
	type field struct {
		Name, Key, Value string
		Array            bool
	}
	tests := []struct {
		src  string
		want []field
	}{
		{`{ "role": body.roles[0].id }`, []field{{"role", `"role"`, `body`, false}}},
		{`response.( $x := 1; { "id": id, "roles": [ { "id": r } ] } )`, []field{{"id", `"id"`, `id`, false}, {"roles", `"roles"`, `[`, true}}},
		{`response.{'a': b[], "c": d ? [1] : [2], "e": d ? [1], "f": d ? [1] : 2}`, []field{
			{"a", `'a'`, `b`, true}, {"c", `"c"`, `d`, true}, {"e", `"e"`, `d`, true}, {"f", `"f"`, `d`, false},
		}},
		{`{"person": {"first-name": body.first_name, "x": ([1])}}`, []field{
			{"person", `"person"`, `{`, false}, {"person/first-name", `"first-name"`, `body`, false}, {"person/x", `"x"`, `(`, true},
		}},
		{`[response.items.{"id": id}]`, []field{{"id", `"id"`, `id`, false}}},
		{`response ? {"a": 1} : {"b": 2}`, []field{{"a", `"a"`, `1`, false}, {"b", `"b"`, `2`, false}}},
		{`$removeEmpty({"a": b.c[].d})`, []field{{"a", `"a"`, `b`, true}}},
		{`({"a": 1} ~> $removeEmpty())`, []field{{"a", `"a"`, `1`, false}}},
		{`($f := function($x) { {"no": 1} }; $r := {"a": $f(1)})`, []field{{"a", `"a"`, `$f`, false}}},
		{`{name: 1, "é\"": 2}`, []field{{`é"`, `"é\""`, `2`, false}}},
		{`body.name`, nil},
		{`$map(x, f)`, nil},
		{`{"a": `, nil},
	}
	for _, tt := range tests {
		var got []field
		for _, f := range resultFields(tt.src) {
			at := func(offset int) string {
				for _, tok := range lex(tt.src) {
					if tok.start == offset {
						return tt.src[tok.start:tok.end]
					}
				}
				return "no token"
			}
			got = append(got, field{f.Name, at(f.Key), at(f.Value), f.Array})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
		}
	}
}

// What is called surely an array is one in every evaluation; the rest depends on the data.
func TestSurelyArray(t *testing.T) {
	inputs := []string{`{}`, `{"x":{"a":1}}`, `{"x":[{"a":1}]}`, `{"x":[{"a":1},{"a":2}]}`, `{"x":[]}`, `{"x":{"a":[]}}`, `{"x":{"a":null}}`, `{"x":{"a":[1]}}`}
	tests := []struct {
		src  string
		want bool
	}{
		{`[x.a]`, true},
		{`[]`, true},
		{`x[]`, true},
		{`x[].a`, true},
		{`x.a[]`, true},
		{`x.{"b": a}[]`, true},
		{`x[a = 1][]`, true},
		{`x[][a = 1].a`, true},
		{`x.[a]`, true},
		{`x.([a])`, false},
		{`(x[].a)`, true},
		{`($v := x; [$v.a])`, true},
		{`x ? [1] : [2]`, true},
		{`x ? x[]`, true},
		{`x.$string(a)[]`, true},
		{`$map(x, function($v) { $v })[]`, true},
		{`x ? [1] : 2`, false},
		{`x.a`, false},
		{`(x.a)[]`, false},
		{`x.(a[])`, false},
		{`x^(a)[]`, false},
		{`($v := x.a; $v[])`, false},
		{`[x.a][0]`, false},
		{`x.[a].b`, false},
		{`x.a ~> $string()`, false},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		tree, err := parseTree(tt.src)
		if err != nil {
			t.Errorf("%s: %v", tt.src, err)
			continue
		}
		if got := isAlwaysArray(tree); got != tt.want {
			t.Errorf("isAlwaysArray(%s) = %v", tt.src, got)
		}
		for _, input := range inputs {
			if out := evalText(t, l, tt.src, input); tt.want && out != "undefined" && out[0] != '[' {
				t.Errorf("%s over %s gives %s, no array", tt.src, input, out)
			}
		}
	}
}
