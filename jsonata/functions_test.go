package jsonata

import (
	"errors"
	"io"
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
		{`$firstNonEmpty(u.missing, u.none, u.empty, [], {}, u.name)`, `"Ada"`},
		{`$firstNonEmpty(u.zero, 1)`, `0`},
		{`$firstNonEmpty(u.no, 1)`, `false`},
		{`$firstNonEmpty(u.id)`, `9007199254740993`},
		{`$firstNonEmpty(u.missing, null, "")`, `undefined`},
		{`$firstNonEmpty()`, `error: $firstNonEmpty: wrong number of arguments`},

		{`$mapValues("1", {"1": "owner"})`, `"owner"`},
		{`$mapValues(1, {"1": "owner"})`, `"owner"`},
		{`$mapValues("x", {"1": "owner"})`, `"x"`},
		{`$mapValues("x", {"x": null})`, `null`},
		{`$mapValues("OWNER", {"owner": 1}, true)`, `1`},
		{`$mapValues("x", {"1": "owner"}, false, "member")`, `"member"`},
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
		{`$mapValues("x", {}, "y")`, `error: $mapValues: expects true or false as argument 3`},

		{`$removeEmpty(u)`, `{"id":9007199254740993,"name":"Ada","no":false,"zero":0}`},
		{`$removeEmpty({"a": null})`, `{}`},
		{`$removeEmpty([null, "", 1])`, `[1]`},
		{`$removeEmpty([null])`, `[]`},
		{`$removeEmpty("")`, `undefined`},
		{`$removeEmpty(null)`, `undefined`},
		{`$removeEmpty(u.missing)`, `undefined`},
		{`$removeEmpty(0)`, `0`},
		{`{"a": ""} ~> $removeEmpty()`, `{}`},
		{`$removeEmpty($uppercase)`, `error: $removeEmpty: a function is not a value`},

		{`$compact(mixed)`, `[1,2,3,[],{},true]`},
		{`$compact([])`, `[]`},
		{`$compact(u.missing)`, `undefined`},
		{`$compact(null)`, `undefined`},
		{`$compact("x")`, `error: $compact: expects an array`},

		{`$groupBy(list, "t")`, `{"a":[{"id":1,"t":"a"},{"id":3,"t":"a"}],"b":[{"id":2,"t":"b"}]}`},
		{`$groupBy(one, "p.q")`, `{"r":[{"id":1,"p":{"q":"r"},"t":"a"}]}`},
		{`$groupBy([], "t")`, `{}`},
		{`$groupBy(u.missing, "t")`, `undefined`},
		{`$groupBy([1], "t")`, `error: $groupBy: expects an array of objects`},
		{`$groupBy(list, 1)`, `error: $groupBy: expects the name of a field as argument 2`},
		{`$keyBy(list, "id").$lookup($, "2")`, `{"id":2,"t":"b"}`},
		{`$keyBy(list, "t")`, `{"a":{"id":3,"t":"a"},"b":{"id":2,"t":"b"}}`},
		{`$keyBy(null, "t")`, `undefined`},
		{`$keyBy("x", "t")`, `error: $keyBy: expects an array of objects`},

		{`$pick(u, ["id", "none", "missing"])`, `{"id":9007199254740993,"none":null}`},
		{`$pick(u, "name")`, `{"name":"Ada"}`},
		{`$pick(u, u.missing)`, `{}`},
		{`$pick(u.missing, "a")`, `undefined`},
		{`$pick([1], "a")`, `error: $pick: expects an object`},
		{`$pick(u, [1])`, `error: $pick: expects names as argument 2`},
		{`$omit(one, ["p", "t"])`, `{"id":1}`},
		{`$omit(one, u.missing)`, `{"id":1,"p":{"q":"r"},"t":"a"}`},
		{`$omit(null, "a")`, `undefined`},
		{`$omit("x", "a")`, `error: $omit: expects an object`},

		{`$jsonParse("{\"a\": [9007199254740993, null]}")`, `{"a":[9007199254740993,null]}`},
		{`$jsonParse("{\"a\": null}").a`, `null`},
		{`$jsonParse("null")`, `null`},
		{`$jsonParse("1 2")`, `error: $jsonParse: the text is not valid JSON`},
		{`$jsonParse("")`, `error: $jsonParse: the text is not valid JSON`},
		{`$jsonParse(u.missing)`, `undefined`},
		{`$jsonParse(1)`, `error: $jsonParse: expects a text`},

		{`$toNumber("9007199254740993")`, `9007199254740993`},
		{`$toNumber(" 1.50 ")`, `1.50`},
		{`$toNumber("1.5") + 1`, `2.5`},
		{`$toNumber(u.id)`, `9007199254740993`},
		{`$toNumber(true) + $toNumber(false)`, `1`},
		{`$toNumber("")`, `undefined`},
		{`$toNumber(null)`, `undefined`},
		{`$toNumber("1e999")`, `error: $toNumber: the text is not a number`},
		{`$toNumber("true")`, `error: $toNumber: the text is not a number`},
		{`$toNumber("0x10")`, `error: $toNumber: the text is not a number`},
		{`$toNumber([])`, `error: $toNumber: expects a text, a number or a boolean`},

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
		{`$digest("abc", "md5")`, `error: $digest: the algorithm must be SHA-1, SHA-256, SHA-384 or SHA-512`},
		{`$digest("abc", "sha256", "binary")`, `error: $digest: the encoding must be hex, base64 or base64url`},
		{`$digest({})`, `error: $digest: expects a text`},

		// RFC 4231, test case 2
		{`$sign("what do ya want for nothing?", "Jefe", "SHA-256")`, `"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"`},
		{`$sign("what do ya want for nothing?", "Jefe", "SHA-256", "base64")`, `"W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="`},
		{`$sign(u.missing, "k", "sha256")`, `undefined`},
		{`$sign("x", u.missing, "sha256")`, `error: $sign: the key is missing`},
		{`$sign("x", 1, "sha256")`, `error: $sign: expects a text`},
		{`$sign("x", "k")`, `error: $sign: wrong number of arguments`},

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
