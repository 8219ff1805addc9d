package jsonata

import (
	"crypto/rand"
	"errors"
	"regexp/syntax"
	"runtime"
	"strings"
	"testing"
	"time"
)

// costlyRegexps are expressions of at most 14 KB whose regular expressions cost seconds or
// hundreds of megabytes to parse or to compile.
var costlyRegexps = map[string]string{
	"repeats":             `$match(s, /` + strings.Repeat(`a{0,1000}`, 1500) + `/)`,
	"nested repeats":      `$match(s, /` + strings.Repeat(`((a{1,100}){1,10})`, 700) + `/)`,
	"empty repeats":       `$match(s, /` + strings.Repeat(`(?:a{0}){1000}`, 1000) + `/)`,
	"many literals":       strings.Repeat(`$match(s, /a{1000}/); `, 21),
	"folded ranges":       `$match(s, /[` + strings.Repeat("B-\U0001e942", 2300) + `]/i)`,
	"ranges folded here":  `$match(s, /(?i)[` + strings.Repeat("B-\U0001e942", 2300) + `]/)`,
	"escaped ranges":      `$match(s, /[` + strings.Repeat(`B-\x{1e942}`, 1200) + `]/i)`,
	"categories":          `$match(s, /[` + strings.Repeat(`\pL`, 4600) + `]/)`,
	"negated categories":  `$match(s, /` + strings.Repeat(`\PL|`, 3500) + `a/i)`,
	"repeated categories": `$match(s, /` + strings.Repeat(`\pL{1000}`, 20) + `/)`,
	"ranges of literals":  strings.Repeat("$match(s, /[B-\U0001e942]/i); ", 5),
}

// What is costly is refused before it is parsed or compiled, at the regular expression that
// exceeds the limit.
func TestCostlyRegexps(t *testing.T) {
	language := NewLanguage(time.Now, rand.Reader, Limits{})
	for name, src := range costlyRegexps {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := language.Compile("( " + src + " )")
			runtime.ReadMemStats(&after)
			bad, ok := errors.AsType[*SyntaxError](err)
			if !ok || bad.Code != "E025-costly-regexp" || ("( " + src)[bad.Offset] != '/' {
				t.Fatalf("got %v, want E025 at a regular expression", err)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 16 {
				t.Errorf("the check allocated %d MiB", mib)
			}
		})
	}
}

// What mappings need is not costly.
func TestUsualRegexps(t *testing.T) {
	language := NewLanguage(time.Now, rand.Reader, Limits{})
	for _, literal := range []string{
		`/^[\p{L}\p{M} .'-]{1,100}$/i`, `/^(?s).{0,1000}$/`, `/[\w.+-]+@[\w-]+(\.[\w-]+)+/i`, `/^(?i:mr|mrs|dr)\. /`, `/[à-ÿ]+/i`, `/[一-鿿]/`,
		`/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})$/`, `/[\x{1F300}-\x{1FAFF}]/`, `/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i`,
	} {
		if _, err := language.Compile(`$match(s, ` + literal + `)`); err != nil {
			t.Errorf("%s: %v", literal, err)
		}
	}
}

// A regular expression is a function that is written out in the source. Data is never taken for one.
func TestRegexpFromData(t *testing.T) {
	const input = `{"text":"abcabc","object":{"pattern":"b","flags":""},"word":"b","names":["Ada","Bob"]}`
	const fromData = "compile: a regular expression cannot be made from data: write it between slashes, /^a/"
	tests := []struct{ src, want string }{
		{`$contains(text, object)`, "error: T0410: $contains: an argument has the wrong type"},
		{`$split(text, object)`, "error: T0410: $split: an argument has the wrong type"},
		{`$replace(text, object, "-")`, "error: T0410: $replace: an argument has the wrong type"},
		{`( $p := object; $match(text, $p) )`, "error: T0410: $match: an argument has the wrong type"},
		{`( $p := word; $match(text, $p) )`, "error: T0410: $match: an argument has the wrong type"},
		{`text ~> object`, "error: T2006: the right side of ~> is not a function"},
		{`( $p := object; text ~> $p )`, "error: T2006: the right side of ~> is not a function"},
		{`( $f := function($p) { text ~> $p }; $f(object) )`, "error: T2006: the right side of ~> is not a function"},
		{`( $match := object; text ~> $match )`, "error: T2006: the right side of ~> is not a function"},
		{`$replace(text, word, $uppercase)`, "error: T0410: $replace: an argument has the wrong type"},
		{`$match(text, "^" & word)`, fromData},
		{`text ~> $match(word)`, fromData},
		{`$contains(text, {"pattern": word})`, fromData},

		{`( $p := /b/; $contains(text, $p) and $contains(text, word) )`, `true`},
		{`$match(text, word = "b" ? /b(c)/ : /a/, 1)`, `{"groups":["c"],"index":1,"match":"bc"}`},
		{`$match("zoë" & text, /b|(x)?ca/).index`, `[4,5,7]`},
		{`$match(text, /x/)`, `undefined`},
		{`$match(text, /b/, 1)[]`, `[{"groups":[],"index":1,"match":"b"}]`},
		{`$match(text, /b/, -1)`, "error: D3040: $match failed"},
		{`$match(none, /b/)`, `undefined`},
		{`text ~> /c(a)/`, `{"end":4,"groups":["a"],"match":"ca","start":2}`},
		{`( $p := /^c/; text ~> $p ? 1 : 2 )`, `2`},
		{`( $trimmed := $trim ~> $uppercase; text ~> $trimmed )`, `"ABCABC"`},
		{`$filter(names, /^A/)`, `"Ada"`},
		{`$split(text, /ca?/)`, `["ab","b",""]`},
		{`$replace(text, /b(c)/, "<$1>")`, `"a<c>a<c>"`},
		{`$replace(text, /[ac]/, function($m) { $uppercase($m.match) }, 2)`, `"AbCabc"`},
		{`$replace("a(b)", /\(|\)/, "")`, `"ab"`},
		{`/a/`, "error: result: a function is not a value"},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		if got := evalText(t, l, tt.src, input); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.src, got, tt.want)
		}
	}
}

// A function of gnata's that would write too much is not called.
func TestGuardedFunctions(t *testing.T) {
	const shared = `( $v := $reduce([1..60], function($v, $i) { {"x": $v, "y": [$v]} }, 1); `
	const text = `( $s := $reduce([1..10], function($s, $i) { $s & $s }, "0123"); `
	tests := []struct{ src, want string }{
		{shared + `$string($v) )`, "error: $string: larger than the limit"},
		{shared + `$v.$string() )`, "error: $string: larger than the limit"},
		{shared + `$string([1..9].($v)) )`, "error: $string: larger than the limit"},
		{text + `$join($split($s, ""), $s) )`, "error: $join: larger than the limit"},
		{text + `$join([1..99].($s)) )`, "error: $join: larger than the limit"},
		{text + `$replace($s, "0", $s) )`, "error: $replace: larger than the limit"},
		{text + `$replace($s, /0/, $s) )`, "error: $replace: larger than the limit"},
		{text + `$replace($s, /.*/, "$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0") )`, "error: $replace: larger than the limit"},
		{text + `$length($replace($s, "0", "")) )`, `3072`},
		{text + `$length($replace($s, /^0/, $s)) )`, `8191`},
		{`$string({"a": [1, null]})`, `"{\"a\":[1,null]}"`},
		{`$string([1..3].{"n": $})`, `"[{\"n\":1},{\"n\":2},{\"n\":3}]"`},
		{`$string($string)`, `""`},
		{`$string(null) & $string(1.50)`, `"null1.5"`},
		{`$join(["a", "b"], "-")`, `"a-b"`},
	}
	l := testLanguage(Limits{ResultBytes: 1 << 16})
	for _, tt := range tests {
		got := evalText(t, l, tt.src, `{}`)
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.src, got, tt.want)
		}
	}
}

// The message contains the regular expression and its size.
func TestCostlyRegexpMessage(t *testing.T) {
	_, err := checkRegexps(`$match(s, /a/) and $match(s, /(b{1,100}){1,9}/) and $match(s, /c{900}d{900}e{900}(f{900}){1}/) and $match(s, /[xyz]{1000}/)` +
		strings.Repeat(` and $match(s, /(?:[a-b]{100}){10}/)`, 20))
	bad, ok := errors.AsType[*SyntaxError](err)
	want := `the regular expression "/(?:[a-b]{100}){10}/" compiles to about 20339 instructions, together with the 16 before it; the limit is 20000`
	if !ok || bad.Message != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// The estimate is never below what is compiled.
func FuzzRegexpSize(f *testing.F) {
	for _, seed := range []string{
		``, `a`, `(a|b)*c+?d??`, `(?i)k{2,5}`, `[^a-c]{0,3}`, `(((a{1,9}){1,9}){0,9})`, `(|)`, `(?:){5}`, `\pL{3,}`, `^$\b\B\A\z.`, `(a*)*|b{0}|c{3,}`, `(?s).{2}`, `abc|abd|x?`,
		`[^\x00-\x{10FFFF}]`, `(?P<n>a){2}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		size, err := regexpSize(pattern)
		if err != nil || size > MaxRegexpSize {
			return
		}
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if got := len(prog.Inst) - 2; got > size { // of each program: fail and match
			t.Errorf("%q compiles to %d instructions, estimated %d", pattern, got, size)
		}
	})
}
