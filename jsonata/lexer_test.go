package jsonata

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLex(t *testing.T) {
	const n, v, s, num, re, op, un = tokenName, tokenVariable, tokenString, tokenNumber, tokenRegex, tokenOperator, tokenUnclosed
	type tok struct {
		Kind tokenKind
		Text string
	}
	tests := []struct {
		src  string
		want []tok
	}{
		{"a.`b c`.$x", []tok{{n, "a"}, {op, "."}, {n, "`b c`"}, {op, "."}, {v, "$x"}}},
		{`a/b`, []tok{{n, "a"}, {op, "/"}, {n, "b"}}},
		{`/a[/]b\/c/im`, []tok{{re, `/a[/]b\/c/im`}}},
		{`/\(/`, []tok{{re, `/\(/`}}},
		{`(a)/2/1`, []tok{{op, "("}, {n, "a"}, {op, ")"}, {op, "/"}, {num, "2"}, {op, "/"}, {num, "1"}}},
		{`a and /b/`, []tok{{n, "a"}, {n, "and"}, {re, "/b/"}}},
		{`and / or`, []tok{{n, "and"}, {op, "/"}, {n, "or"}}},
		{`* / 2`, []tok{{op, "*"}, {op, "/"}, {num, "2"}}},
		{`a * /b/`, []tok{{n, "a"}, {op, "*"}, {re, "/b/"}}},
		{`[1..2]`, []tok{{op, "["}, {num, "1"}, {op, ".."}, {num, "2"}, {op, "]"}}},
		{`1.5e-3 0.x`, []tok{{num, "1.5e-3"}, {num, "0"}, {op, "."}, {n, "x"}}},
		{`'a\'b' "c\"d"`, []tok{{s, `'a\'b'`}, {s, `"c\"d"`}}},
		{`a/* b */:=c`, []tok{{n, "a"}, {op, ":="}, {n, "c"}}},
		{`"abc`, []tok{{un, `"abc`}}},
		{`"abc\`, []tok{{un, `"abc\`}}},
		{"`abc", []tok{{un, "`abc"}}},
		{`/* abc`, []tok{{un, "/* abc"}}},
		{`/abc`, []tok{{un, "/abc"}}},
		{`λ($x)`, []tok{{n, "λ"}, {op, "("}, {v, "$x"}, {op, ")"}}},
	}
	for _, tt := range tests {
		var got []tok
		for _, x := range significant(lex(tt.src)) {
			got = append(got, tok{x.kind, tt.src[x.start:x.end]})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
		}
	}
}

func TestTokenText(t *testing.T) {
	for src, want := range map[string]string{
		"`a b`": "a b", `"a\"b"`: `a"b`, `'a"b'`: `a"b`, `'a\'b\\'`: `a'b\`, `"\u00e9\n"`: "é\n", `"é"`: "é", `"\q"`: `\q`, "$x": "x", "$": "", "$$": "$", `''`: "",
		"'\n'": "\n",
	} {
		if got := lex(src)[0].text(src); got != want {
			t.Errorf("text of %s: want %q, got %q", src, want, got)
		}
	}
}

func TestCompileLocatesErrors(t *testing.T) {
	tests := []struct{ src, at, want string }{
		{``, ``, "the expression is empty (JSONata S0201)"},
		{"  \n ", "  \n ", "the expression is empty (JSONata S0201)"},
		{`a b`, `b`, `unexpected "b" (JSONata S0201)`},
		{`{"a": 1 "b": 2}`, `"b": 2}`, `expected a bracket, comma or colon instead of "\"b\"" (JSONata S0202)`},
		{`{"a": 1, "b" 2}`, `2}`, `expected a bracket, comma or colon instead of "2" (JSONata S0202)`},
		{`body.( $x := 1; { "a": [1, 2 } )`, `} )`, `expected a bracket, comma or colon instead of "}" (JSONata S0202)`},
		{`f(1, (2, 3)`, `, 3)`, `expected a bracket, comma or colon instead of "," (JSONata S0202)`},
		{`f(1, (2`, `(2`, `"(" is never closed (JSONata S0202)`},
		{`{ "a": [1, 2`, `[1, 2`, `"[" is never closed (JSONata S0204)`},
		{`{ "a": 1`, `{ "a": 1`, `"{" is never closed (JSONata S0202)`},
		{`a + `, `+ `, `the expression ends after "+" (JSONata S0201)`},
		{`a = `, `= `, `the expression ends after "=" (JSONata S0207)`},
		{`a ? b :`, `:`, `the expression ends after ":" (JSONata S0201)`},
		{`)`, `)`, `")" cannot start an operand (JSONata S0211)`},
		{`a & ) & "x"`, `) & "x"`, `")" cannot start an operand (JSONata S0211)`},
		{`x := 1`, `:= 1`, `the left side of := must be a $variable (JSONata S0212)`},
		{`function(a) { a }`, `a) { a }`, `expected a $parameter instead of "a" (JSONata S0208)`},
		{`a & "open`, `"open`, `the string is never closed with " (JSONata S0101)`},
		{`a & 'open`, `'open`, `the string is never closed with ' (JSONata S0101)`},
		{"a & `open", "`open", "the name is never closed with a backtick (JSONata S0105)"},
		{`a /* open`, `/* open`, "the regular expression or comment is never closed (JSONata S0106)"},
		{`a & "x\q" & b`, `"x\q" & b`, `"\"x\\q\"" contains an unknown escape (JSONata S0103)`},
		{`a ~> /x/z & b`, `/x/z & b`, `"/x/z" is not a regular expression; its flags are i and m (JSONata S0302)`},
		{`1e999`, `1e999`, `"1e999" is not a number (JSONata S0102)`},
		{`"" ""`, `""`, `unexpected "\"\"" (JSONata S0201)`},
		{`a@b`, `b`, `expected a $variable instead of "b" (JSONata S0214)`},
		{"a.b{c: d}{e: f}", "{e: f}", `"{" cannot follow a grouping (JSONata S0210)`},
		{"\"é\" & ]", "]", `"]" cannot start an operand (JSONata S0211)`},
		{`a.b[0..1].c`, `0..1].c`, `a range cannot be an index: write it in two pairs of brackets, [[0..1]]`},
		{`$random()`, `$random()`, `$random is not allowed: a mapping must be deterministic and must not run text as code`},
		{`a ~> $eval`, `$eval`, `$eval is not allowed: a mapping must be deterministic and must not run text as code`},
		{`$match(a, /(?=x)y/)`, `/(?=x)y/)`, "the regular expression is not valid in RE2: invalid or unsupported Perl syntax: `(?=`"},
		{strings.Repeat("(", 201) + "1" + strings.Repeat(")", 201), "(1" + strings.Repeat(")", 201), "brackets are nested deeper than 200"},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		_, err := l.Compile(tt.src)
		var bad *SyntaxError
		if !errors.As(err, &bad) {
			t.Errorf("%s: want a SyntaxError, got %v", tt.src, err)
			continue
		}
		if diff := cmp.Diff([]string{tt.at, tt.want}, []string{tt.src[bad.Offset:], bad.Message}); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
		}
	}
}

// FuzzLocate: tokens tile the source, compiling never panics, a place is inside the source,
// and what compiles has a tree, with the spelling for the compiler as well.
func FuzzLocate(f *testing.F) {
	for _, seed := range []string{
		`body.roles[0].id`, `{ "a": [1, 2 }`, `a & "open`, `/* c */ a[]/2 ~> /x\(/i`, "`a b`.$x := function($y)<n:n>{ $y % 2 }", `|a|{"b":1},"c"|`,
		`a@$b#$i^(>c,<d){e:f}`, `(`, `"\u00`, `1e`, `$$.**.%`, `a ?: b ?? c .. d`, "'\\'", "λ(", `a * / ]/2 /x\(/i`, "\x00\xff",
	} {
		f.Add(seed)
	}
	l := testLanguage(Limits{SourceBytes: 2000})
	f.Fuzz(func(t *testing.T, src string) {
		at := 0
		for _, tok := range lex(src) {
			if tok.start != at || tok.end <= tok.start {
				t.Fatalf("%q: token %d to %d does not follow %d", src, tok.start, tok.end, at)
			}
			tok.text(src)
			at = tok.end
		}
		if at != len(src) {
			t.Fatalf("%q: tokens end at %d", src, at)
		}
		l.checkNames(src, []string{"body"})
		resultFields(src)
		x, err := l.Compile(src)
		var bad *SyntaxError
		switch {
		case errors.As(err, &bad):
			if bad.Offset < 0 || bad.Offset > len(src) {
				t.Fatalf("%q: place %d", src, bad.Offset)
			}
		case err != nil:
			t.Fatalf("%q: %v is no SyntaxError", src, err)
		case x.Source != src:
			t.Fatalf("%q: source is %q", src, x.Source)
		default:
			if _, err := parseTree(src); err != nil {
				t.Fatalf("%q compiles and has no tree", src)
			}
			x.Uses("body")
		}
	})
}
