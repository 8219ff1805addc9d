package jsonata_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/jsonata"
)

func TestMutants(t *testing.T) {
	for src, want := range map[string]string{
		"a.`b c`":             "xa.`b c` | a.`xb c`",
		`"" & $x`:             `("") | ($x) | "x" & $x`,
		"a = 1":               "a != 1 | xa = 1 | a = 2",
		"a >= 0.5":            "a > 0.5 | a < 0.5 | xa >= 0.5 | a >= 1.5",
		"true":                "false",
		"a and b":             "a or b | (a) | (b) | xa and b | a and xb",
		"a in b":              "$not(a in b) | xa in b | a in xb",
		"c ? a : b":           "(a) | (b) | xc ? a : b | c ? xa : b | c ? a : xb",
		"c ? a":               "(a) | () | xc ? a | c ? xa",
		"a ?? b":              "(a) | (b) | xa ?? b | a ?? xb",
		"a[0]":                "xa[0] | a[1]",
		"a[b]":                "(a) | xa[b] | a[xb]",
		"[a, b]":              "[b] | [a] | [xa, b] | [a, xb]",
		"{'a': b}":            "{} | {'xa': b} | {'a': xb}",
		"$f(a, b)":            "$f(b) | $f(a) | (a) | $f(xa, b) | $f(a, xb)",
		"$f(a).b":             "(a).b | $f(xa).b | $f(a).xb",
		"$f()":                "",
		"/^a$/":               "/a$/ | /^a/",
		"( $x := a; $x - 1 )": "( $x := xa; $x - 1 ) | ( $x := a; $x + 1 ) | ( $x := a; $x - 2 )",
		"-a":                  "-xa",
		"$.a[]":               "$.xa[]",
	} {
		t.Run(src, func(t *testing.T) {
			var got []string
			for _, m := range jsonata.Mutants(src) {
				got = append(got, m.Source)
			}
			if diff := cmp.Diff(want, strings.Join(got, " | ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMutantsAreDescribed(t *testing.T) {
	const src = "a ? 'a long text that does not fit\n in the line of a message' : [b]"
	var got []string
	for _, m := range jsonata.Mutants(src)[1:] {
		got = append(got, src[m.Offset:m.Offset+1]+" "+m.What)
	}
	want := []string{
		"a a ? 'a long text that does not fit in th… → ([b])",
		"a a → xa",
		"' 'a long text that does not fit in the li… → 'xa long text that does not fit in the l…",
		"b drop b",
		"b b → xb",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
