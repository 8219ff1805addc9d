package jsonata

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFunctions(t *testing.T) {
	const input = `{
		"u": {"id": 9007199254740993, "name": "Ada", "empty": "", "none": null, "deep": {"list": [], "x": [null, "", {"y": null}]}, "zero": 0, "no": false},
		"list": [{"id": 1, "t": "a"}, {"id": 2, "t": "b"}, {"id": 3, "t": "a"}, {"id": 4}, {"id": 5, "t": null}, {"id": 6, "t": {"n": 1}}],
		"one": {"id": 1, "t": "a", "p": {"q": "r"}}, "mixed": [0, 1, false, 2, "", 3, null, [], {}, true], "null": null, "s": "text"
	}`
	tests := []struct{ src, want string }{
		{`$firstNonEmpty(u.missing, u.none, u.empty, [], {}, u.name)`, `""`},
		{`$firstNonEmpty(u.zero, 1)`, `0`},
		{`$firstNonEmpty(u.no, 1)`, `false`},
		{`$firstNonEmpty(u.id)`, `9007199254740993`},
		{`$firstNonEmpty(u.missing, null, "")`, `""`},
		{`$firstNonEmpty()`, `error: $firstNonEmpty: wrong number of arguments`},

		{`$mapValues("1", {"1": "owner"})`, `"owner"`},
		{`$mapValues(1, {"1": "owner"})`, `"owner"`},
		{`$mapValues("x", {"1": "owner"})`, `"x"`},
		{`$mapValues("x", {"x": null})`, `"x"`},
		{`$mapValues("OWNER", {"owner": 1}, true)`, `1`},
		{`$mapValues("x", {"1": "owner"}, false, "member")`, `"x"`},
		{`$mapValues(null, {}, false, "member")`, `"member"`},
		{`$mapValues(u.missing, {})`, `undefined`},
		{`$mapValues(["1", "3", "5"], {"1": "owner", "3": "member"})`, `["owner","member","5"]`},
		{`$mapValues({"a": "1", "b": {"c": ["1"]}}, {"1": "owner"})`, `{"a":"owner","b":{"c":["owner"]}}`},
		{`$mapValues(u.id, {})`, `9007199254740993`},
		{`$mapValues({"a": 1, "b": null}, function($v, $k) { $k & $string($v) })`, `{"a":"a1","b":"bnull"}`},
		{`$mapValues({}, function($v) { $v })`, `{}`},
		{`$mapValues([1, 2], function($v) { $v * 2 })`, `[2,4]`},
		{`$mapValues([], function($v) { $v })`, `[]`},
		{`$mapValues("x", $uppercase)`, `"X"`},
		{`$mapValues(u.missing, function($v) { 1 })`, `undefined`},
		{`{"a": 1} ~> $mapValues(function($v) { $v + 1 })`, `{"a":2}`},
		{`$mapValues("x", "y")`, `error: $mapValues: expects an object or a function as argument 2`},
		{`$mapValues("x", {}, "y")`, `"x"`},

		{`$removeEmpty(u)`, `undefined`},
		{`$removeEmpty({"a": null})`, `undefined`},
		{`$removeEmpty([null, "", 1])`, `[null,"",1]`},
		{`$removeEmpty([null])`, `[null]`},
		{`$removeEmpty("")`, `undefined`},
		{`$removeEmpty(null)`, `undefined`},
		{`$removeEmpty(u.missing)`, `undefined`},
		{`$removeEmpty(0)`, `undefined`},
		{`{"a": ""} ~> $removeEmpty()`, `undefined`},
		{`$removeEmpty($uppercase)`, `error: $removeEmpty: a function is not a value`},

		{`$compact(mixed)`, `[1,2,3,[],{},true]`},
		{`$compact([])`, `[]`},
		{`$compact(u.missing)`, `[]`},
		{`$compact(null)`, `[]`},
		{`$compact("x")`, `["x"]`},

		{`$groupBy(list, "t")`, `{"[object Object]":[{"id":6,"t":{"n":1}}],"a":[{"id":1,"t":"a"},{"id":3,"t":"a"}],"b":[{"id":2,"t":"b"}],"null":[{"id":5,"t":null}],"undefined":[{"id":4}]}`},
		{`$groupBy(one, "p.q")`, `{"r":[{"id":1,"p":{"q":"r"},"t":"a"}]}`},
		{`$groupBy([], "t")`, `{}`},
		{`$groupBy(u.missing, "t")`, `{}`},
		{`$groupBy([1], "t")`, `{"undefined":[1]}`},
		{`$groupBy(list, 1)`, `{"undefined":[{"id":1,"t":"a"},{"id":2,"t":"b"},{"id":3,"t":"a"},{"id":4},{"id":5,"t":null},{"id":6,"t":{"n":1}}]}`},
		{`$keyBy(list, "id").$lookup($, "2")`, `{"id":2,"t":"b"}`},
		{`$keyBy(list, "t")`, `{"[object Object]":{"id":6,"t":{"n":1}},"a":{"id":3,"t":"a"},"b":{"id":2,"t":"b"},"null":{"id":5,"t":null},"undefined":{"id":4}}`},
		{`$keyBy(null, "t")`, `{}`},
		{`$keyBy("x", "t")`, `{"undefined":"x"}`},

		{`$pick(u, ["id", "none", "missing"])`, `{"id":9007199254740993,"none":null}`},
		{`$pick(u, "name")`, `{"name":"Ada"}`},
		{`$pick(u, u.missing)`, `{}`},
		{`$pick(u.missing, "a")`, `{}`},
		{`$pick([1], "a")`, `{}`},
		{`$pick(u, [1])`, `{}`},
		{`$omit(one, ["p", "t"])`, `{"id":1}`},
		{`$omit(one, u.missing)`, `{"id":1,"p":{"q":"r"},"t":"a"}`},
		{`$omit(null, "a")`, `{}`},
		{`$omit("x", "a")`, `{}`},

		{`$jsonParse("{\"a\": [9007199254740993, null]}")`, `{"a":[9007199254740993,null]}`},
		{`$jsonParse("{\"a\": null}").a`, `null`},
		{`$jsonParse("null")`, `null`},
		{`$jsonParse("1 2")`, `null`},
		{`$jsonParse("")`, `null`},
		{`$jsonParse(u.missing)`, `undefined`},
		{`$jsonParse(1)`, `1`},

		{`$toNumber("9007199254740993")`, `9007199254740993`},
		{`$toNumber(" 1.50 ")`, `1.50`},
		{`$toNumber("1.5") + 1`, `2.5`},
		{`$toNumber(u.id)`, `9007199254740993`},
		{`$toNumber(true) + $toNumber(false)`, `1`},
		{`$toNumber("")`, `0`},
		{`$toNumber(null)`, `0`},
		{`$toNumber("1e999")`, `null`},
		{`$toNumber("true")`, `null`},
		{`$toNumber("0x10")`, `16`},
		{`$toNumber([])`, `0`},

		{`$base64encode("Zoë ✓")`, `"Wm/DqyDinJM="`},
		{`$base64decode("Wm/DqyDinJM=")`, `"Zoë ✓"`},
		{`$base64decode("Wm_DqyDinJM")`, `"Zoë ✓"`},
		{`$base64decode("/w==")`, `error: $base64decode: the decoded bytes are not valid UTF-8`},
		{`$base64decode("!")`, `error: $base64decode: the text is not valid base64`},
		{`$base64encode(u.missing)`, `undefined`},
		{`$base64decode(null)`, `undefined`},
		{`$base64encode(1)`, `error: $base64encode: expects a text`},

		{`$digest("abc")`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
		{`$digest("abc", "SHA-1")`, `"a9993e364706816aba3e25717850c26c9cd0d89d"`},
		{`$digest("abc", "sha256", "base64")`, `"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="`},
		{`$digest("abc", "sha256", "base64url")`, `"ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"`},
		{`$length($digest("abc", "sha-384")) & " " & $length($digest("abc", "SHA512"))`, `"96 128"`},
		{`$digest(u.missing)`, `undefined`},
		{`$digest("abc", "md5")`, `"900150983cd24fb0d6963f7d28e17f72"`},
		{`$digest("abc", "sha256", "binary")`, `error: $digest: the encoding must be hex, base64 or base64-urlSafe`},
		{`$digest({})`, `error: $digest: expects a text`},

		// RFC 4231, test case 2
		{`$sign("what do ya want for nothing?", "SHA-256", "Jefe")`, `"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"`},
		{`$sign("what do ya want for nothing?", "SHA-256", "Jefe", "base64")`, `"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="`},
		{`$sign(u.missing, "sha256", "k")`, `undefined`},
		{`$sign("x", "sha256", u.missing)`, `error: $sign: the key is missing`},
		{`$sign("x", 1, "sha256")`, `error: $sign: expects a text`},
		{`$sign("x", "k", "sha256")`, `error: $sign: the algorithm must be MD5, SHA-1, SHA-256, SHA-384 or SHA-512`},
		{`$sign("x", "k")`, `error: $sign: wrong number of arguments`},

		{`$find(list, {"t": "b"}).id & $find(list, ["id", 3]).t`, `"2a"`},
		{`$find(list, u.missing)`, `error: $find: expects an object, a path or [path, value] as argument 2`},
		{`$lofilter(list, ["id"])`, `error: $lofilter: expects an object, a path or [path, value] as argument 2`},
		{`$orderBy(list, ["t", "id"], ["desc", "desc"]).id`, `[4,5,2,3,1,6]`},
		{`$flattenDeep($reduce([1..900], function($a, $i) { [[$a]] }, 1))`, `[1]`},
		{`$sortNodes($map([1..1100], function($i) { {"id": $i, "parent_id": $i - 1} }))`, `error: $sortNodes: nested deeper than 1000 levels`},
		{`$diceCoefficient($pad("x", 10000) & "yy", "x")`, `error: $diceCoefficient: a text is longer than 10,000 bytes`},
		{`$convertMarkdownToHtml($join([1..11].$pad("x", 10000)))`, `error: $convertMarkdownToHtml: the text is longer than 100 KiB`},
		{`$parseQuery($join([1..1001].("a=1"), "&"))`, `error: $parseQuery: the query has more than 1,000 pairs`},
		{`$xmlToJs($join([1..600].("<a>")))`, `error: $xmlToJs: nested deeper than 1000 levels`},
		{`$xmlToJs("<a></b>")`, `error: $xmlToJs: the text is not XML`},
		{`$jsToXml({"a b": 1})`, `error: $jsToXml: a name is not one of XML`},
		{`$jsToXml({"a": {"_text": "<&>", "_comment": "--", "_cdata": "]]>"}})`, `"<a><![CDATA[]]]]><![CDATA[>]]><!--- - -->&lt;&amp;&gt;</a>"`},
		{`$stringifyQuery(u, "x")`, `error: $stringifyQuery: expects an object as argument 2`},
		{`$stringifyQuery(u, {"encode": 1})`, `error: $stringifyQuery: an option has the wrong type`},

		{`$dtFromIso("2024-02-29T12:00:00Z").plus({"day": 1}).setZone("Europe/Berlin").toFormat("d.M.yyyy HH:mm ZZ")`, `"1.3.2024 13:00 +01:00"`},
		{`$dtFromIso("2024-03-31T00:30:00Z", "Europe/Berlin").startOf("day").plus({"hours": 3}).toISO()`, `"2024-03-31T04:00:00.000+02:00"`},
		{`$dtFromIso("2024-03-31T00:30:00Z", "Europe/Berlin").startOf("day").plus({"days": 1}).toISO()`, `"2024-04-01T00:00:00.000+02:00"`},
		{`$dtFromFormat("10:30", "HH:mm").toISO()`, `"2026-03-04T10:30:00.000+00:00"`},
		{`$dtFromFormat("24.12.", "dd.MM.").toISODate()`, `"2026-12-24"`},
		{`[list.id.$dtFromIso("2024-01-0" & $).day]`, `[1,2,3,4,5,6]`},
		{`{"at": $dtFromIso("2024-02-29"), "list": [$dtFromIso("2024-03-01")]}`, `{"at":"2024-02-29T00:00:00.000+00:00","list":["2024-03-01T00:00:00.000+00:00"]}`},
		{`$string([$dtFromIso("2024-02-29")])`, `"[\"2024-02-29T00:00:00.000+00:00\"]"`},
		{`$jsonParse($string({"a": $dtFromIso("2024-02-29")})).a`, `"2024-02-29T00:00:00.000+00:00"`},
		{`$pick({"a": $dtFromIso("2024-02-29")}, "a")`, `{"a":"2024-02-29T00:00:00.000+00:00"}`},
		{`$dtFromIso("nonsense").plus({"days": 1}).toISO()`, `null`},
		{`$dtFromIso("nonsense").isValid`, `false`},
		{`$dtFromIso(u.missing).toISO()`, `undefined`},
		{`$dtFromIso("2024-02-29").plus({"fortnights": 1})`, `error: $plus: a unit is not one of year, quarter, month, week, day, hour, minute, second, millisecond`},
		{`$dtFromIso("2024-02-29").plus({"years": 1e9}).toISO()`, `null`},
		{`$dtFromIso("2024-02-29").plus({"days": 1e300})`, `error: $plus: an amount is not a number of at most 1e12`},
		{`$dtFromIso("2024-02-29").set({"month": 1, "day": 31}).minus({"seconds": 1}).toISO()`, `"2024-01-30T23:59:59.000+00:00"`},
		{`$dtFromIso("2024-02-28").diff($dtFromIso("2024-02-29"), "hours").hours`, `-24`},
		{`$dtFromIso("2024-02-29").diff($dtFromIso("2022-01-15"), ["years", "months", "days"]).toObject()`, `{"days":14,"months":1,"years":2}`},
		{`$parseUrl("https://example.com/a?b=1").[pathname, searchParams.get("b")]`, `["/a","1"]`},
		{`{"url": $parseUrl("https://example.com")}`, `{"url":"https://example.com/"}`},
		{`$parseUrl("/a")`, `error: $parseUrl: the text is not a complete URL`},
		{`$dependencyGraph([{"id": "a", "p": "b"}, {"id": "b", "p": "a"}], "p", "id").overallOrder()`, `error: $overallOrder: the items depend on each other in a circle`},
		{`$dependencyGraph([{"id": "a"}], "p", "id").getNodeData("x")`, `error: $getNodeData: the graph does not have the item`},

		{`$uuid() ~> /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/ ? "v4"`, `"v4"`},
		{`$uuid(1)`, `error: $uuid: wrong number of arguments`},
		{`$millis(1)`, `error: $millis: wrong number of arguments`},
		{`$count(list.$uuid())`, `6`},
	}
	l := testLanguage(Limits{})
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, evalText(t, l, tt.src, input)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.src, diff)
		}
	}
}

func TestUUIDWithoutRandom(t *testing.T) {
	for name, random := range map[string]io.Reader{"failing": iotest.ErrReader(errors.New("secret cause")), "short": io.LimitReader(nil, 0)} {
		l := NewLanguage(time.Now, random, Limits{})
		if got, want := evalText(t, l, `$uuid()`, `{}`), "error: $uuid: the random source failed"; got != want {
			t.Errorf("%s source: want %q, got %q", name, want, got)
		}
	}
}

// Markup that is costly by its nesting is refused or converted in another way, and never takes long.
func TestMarkupCosts(t *testing.T) {
	runtime.LockOSThread() // other work does not count
	defer runtime.UnlockOSThread()
	l := library(time.Now, nil)
	for name, sources := range map[string][]string{
		"convertMarkdownToHtml": {
			strings.Repeat(">", maxMarkup), strings.Repeat("1. ", maxMarkup/3), strings.Repeat("1)\t", maxMarkup/3), strings.Repeat("[a](", maxMarkup/4),
			strings.Repeat("- ", maxMarkup/2), strings.Repeat("[", maxMarkup), strings.Repeat("*a ", maxMarkup/3), strings.Repeat(strings.Repeat("1. ", maxNested)+"\n", 800),
			strings.Repeat("[a](", maxLinks), strings.Repeat(strings.Repeat(">", maxNested)+"\n", 500), strings.Repeat("![[]()", 2900), strings.Repeat("> - ", maxMarkup/4),
		},
		"convertHtmlToMarkdown": {
			strings.Repeat("<blockquote>a", 7000), strings.Repeat("<ul><li>a", 11_000), strings.Repeat("<table><tr><td>", 6000),
			"<table><tr>" + strings.Repeat("<TD>", 5000) + strings.Repeat("<tr>", 15_000), "<table><tr><td COLSPAN=1000000>a" + strings.Repeat("<tr>", 10_000),
			"<table>" + strings.Repeat("<tr>"+strings.Repeat("<td>", 99), 99), strings.Repeat("<b>a<i>b", 12_000),
		},
	} {
		for _, src := range sources {
			began := threadTime()
			_, err := l[name].call([]any{src})
			if took := threadTime() - began; took > 2*time.Second {
				t.Errorf("%s of %.30q took %s (%v)", name, src, took, err)
			}
		}
	}
	for src, want := range map[string]string{
		"<table><tr><th>a</th><th>b</th></tr><tr><td>1</td></tr></table>": "| a | b |\n|---|---|\n| 1 |   |",
		"<table><tr><td colspan=2>a</td></tr></table>":                    "a",
	} {
		if got, err := convertHTMLToMarkdown([]any{src}); got != want || err != nil {
			t.Errorf("%s: %q, %v", src, got, err)
		}
	}
}
