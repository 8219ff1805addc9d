package jsonata

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/source"
)

func TestCheckNames(t *testing.T) {
	bindings := []string{"body", "query", "rawQuery", "context", "id", "before"}
	tests := []struct {
		src  string
		want []string
	}{
		{`body.roles[0].id & query.x`, nil},
		{`body.roles.{ "id": ident, "n": name.first }`, nil},
		{`body.( $x := name; [$x, other] )`, nil},
		{`body.roles[type = "a" and kind in ["b"]]`, nil},
		{`body.roles^(name, >rank)`, nil},
		{`body.roles{type: name}`, nil},
		{`$$.body.x ~> $string`, nil},
		{`$.body`, nil},
		{"`body`.x", nil},
		{`body ~> |roles|{"n": name}, ["x"]|`, nil},
		{`body.roles@$r.name & $r.id`, nil},
		{`body.roles#$i.{"at": $i}`, nil},
		{`$map(body.roles, function($r, $i) { $r.name & $i & id })`, nil},
		{`( $f := function($n) { $n = 0 ? 0 : $g($n - 1) }; $g := function($n) { $f($n) }; $f(1) )`, nil},
		{`$filter(body.a, λ($v)<x:b> { $v.ok })`, nil},
		{`{ "a": true, "b": null, "and": and }`, []string{`31 E022-unknown-binding unknown binding "and" (bindings here: body, query, rawQuery, context, id, before)`}},
		{`boddy.name`, []string{`0 E022-unknown-binding unknown binding "boddy" (did you mean "body"?)`}},
		{`response.id`, []string{`0 E022-unknown-binding unknown binding "response" (bindings here: body, query, rawQuery, context, id, before)`}},
		{`body.name & $$.naem`, []string{`15 E022-unknown-binding unknown binding "naem" (bindings here: body, query, rawQuery, context, id, before)`}},
		{`{ name: body.name }`, []string{`2 E022-unknown-binding unknown binding "name" (write a key in quotes)`}},
		{`body.x ? first : [second]`, []string{
			`9 E022-unknown-binding unknown binding "first" (bindings here: body, query, rawQuery, context, id, before)`,
			`18 E022-unknown-binding unknown binding "second" (bindings here: body, query, rawQuery, context, id, before)`,
		}},
		{`$map(body.roles, function($r) { name })`, []string{`32 E022-unknown-binding unknown binding "name" (bindings here: body, query, rawQuery, context, id, before)`}},
		{`"bodi".x`, []string{`0 E022-unknown-binding unknown binding "bodi" (did you mean "body"?)`}},
		{`$uppercas(body.x)`, []string{`0 E021-unknown-function unknown function "$uppercas" (did you mean "$uppercase"?)`}},
		{`body.x ~> $trimm`, []string{`10 E021-unknown-function unknown function "$trimm" (did you mean "$trim"?)`}},
		{`body.x ~> $qqqq()`, []string{`10 E021-unknown-function unknown function "$qqqq"`}},
		{`uuid()`, []string{`0 E021-unknown-function unknown function "uuid" (did you mean "$uuid"?)`}},
		{`$dtFromIso(body.at).toUTC().toISO()`, nil},
		{`toISO(body.at)`, []string{`0 E021-unknown-function unknown function "toISO"`}},
		{`$blob(body.x)`, []string{`0 E021-unknown-function $blob is not available here: it makes or reads binary data, and values here are JSON`}},
		{`body.x ~> $convertQueryToSql`, []string{`10 E021-unknown-function $convertQueryToSql is not available here: it writes SQL`}},
		{`body.x ~> $join("-")`, nil},
		{`$join(body.x)`, []string{`0 W003-join-without-separator $join with one argument puts nothing between the texts; in Truto's library it puts a comma` +
			` (write $join(…, ",") or $join(…, ""))`}},
		{`( $name := 1; $naem )`, []string{`14 E024-unknown-variable unknown variable "$naem" (did you mean "$name"?)`}},
		{`( ( $inner := 1 ); $inner )`, []string{`19 E024-unknown-variable unknown variable "$inner"`}},
		{`function($a) { $a } ($b)`, []string{`21 E024-unknown-variable unknown variable "$b"`}},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		t.Run(tt.src, func(t *testing.T) {
			if _, err := l.Compile(tt.src); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range l.checkNames(tt.src, bindings) {
				s := fmt.Sprintf("%d %s %s", f.offset, f.code, f.message)
				if f.hint != "" {
					s += " (" + f.hint + ")"
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if got := l.checkNames(`anything.goes`, nil); got != nil {
		t.Errorf("without bindings there is no check: %v", got)
	}
}

// Every place is in the coordinates of the YAML file.
func TestReaderExpr(t *testing.T) {
	const src = `plain: bodi.x
quoted: 'body.x & $zqzq()'
double: "body.y & bodi"
escaped: 'body.x & ''é'' & $zqzq()'
block: |
  {
    "é": $zqzq(body.x),
    "b": body.x +* 2
  }
chomped: |-
    body.(
      $random()
    )
indent: |2
  body
folded: >
  body
lines: body.x
  & body.y
lines_quoted: "body.x
  & body.y"
list: [a]
open: |

  { "a": (1,
    "b": 2 }
string: body & "é
regex: $match(body, /(?=a)/)
good: body
`
	var d source.Diagnostics
	r := &Reader{Reader: source.Reader{Diags: &d}, Language: testLanguage(Limits{})}
	root := source.ParseYAML("m.yaml", []byte(src), &d)
	r.Members(root, func(e source.Entry) { r.Expr(e.Value, "body", "query") })
	var got []string
	for _, x := range d.Sorted() {
		got = append(got, x.String())
	}
	want := []string{
		`m.yaml:1:8: E022-unknown-binding: unknown binding "bodi" (did you mean "body"?)`,
		`m.yaml:2:19: E021-unknown-function: unknown function "$zqzq"`,
		`m.yaml:3:19: E022-unknown-binding: unknown binding "bodi" (did you mean "body"?)`,
		`m.yaml:4:10: E021-unknown-function: unknown function "$zqzq"`,
		`m.yaml:8:20: E020-bad-expression: expected a bracket, comma or colon instead of "2" (JSONata S0202)`,
		`m.yaml:12:7: E023-refused-function: $random is not allowed: a mapping must be deterministic and must not run text as code`,
		`m.yaml:14:9: E003-unsupported-yaml: errors in this expression cannot be located (write an expression of several lines as a block that starts with | alone)`,
		`m.yaml:16:9: E003-unsupported-yaml: errors in this expression cannot be located (write an expression of several lines as a block that starts with | alone)`,
		`m.yaml:18:8: E003-unsupported-yaml: errors in this expression cannot be located (write an expression of several lines as a block that starts with | alone)`,
		`m.yaml:20:15: E003-unsupported-yaml: errors in this expression cannot be located (write an expression of several lines as a block that starts with | alone)`,
		`m.yaml:22:7: E004-wrong-type: want a single value, got a list`,
		`m.yaml:25:12: E020-bad-expression: expected a bracket, comma or colon instead of "," (JSONata S0202)`,
		`m.yaml:27:16: E020-bad-expression: the string is never closed with " (JSONata S0101)`,
		"m.yaml:28:21: E020-bad-expression: the regular expression is not valid in RE2: invalid or unsupported Perl syntax: `(?=`",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
