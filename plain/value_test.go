package plain_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
)

func decode(tb testing.TB, text string) any {
	tb.Helper()
	doc, err := plain.Decode([]byte(text), plain.Options{})
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return doc.Value
}

func TestMerge(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, base, over, want string }{
		{"members", `{"a":1,"b":2}`, `{"b":3,"c":4}`, `{"a":1,"b":3,"c":4}`},
		{"deep", `{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":3},"e":4}}`, `{"a":{"b":{"c":3,"d":2},"e":4}}`},
		{"an object replaces a list", `{"a":[1]}`, `{"a":{"b":1}}`, `{"a":{"b":1}}`},
		{"a list replaces an object", `{"a":{"b":1}}`, `{"a":[1]}`, `{"a":[1]}`},
		{"null replaces", `{"a":{"b":1}}`, `{"a":null}`, `{"a":null}`},
		{"over no object", `[1]`, `{"a":1}`, `{"a":1}`},
		{"over null", `null`, `{"a":1}`, `{"a":1}`},
		{"nothing over", `{"a":1}`, `{}`, `{"a":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			base, over := decode(t, tt.base), decode(t, tt.over).(map[string]any)
			if diff := cmp.Diff(decode(t, tt.want), plain.Merge(base, over)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff([]any{decode(t, tt.base), decode(t, tt.over)}, []any{base, any(over)}); diff != "" {
				t.Errorf("an argument was modified (-want +got)\n%s", diff)
			}
		})
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	const text = `{"a":[{"b":[1,"x",null,true]},[]],"c":{}}`
	v := decode(t, text)
	got := plain.Clone(v).(map[string]any)
	if diff := cmp.Diff(v, any(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got["a"].([]any)[0].(map[string]any)["b"].([]any)[0] = "changed"
	got["c"].(map[string]any)["new"] = true
	if diff := cmp.Diff(decode(t, text), v); diff != "" {
		t.Errorf("a change reached the original (-want +got)\n%s", diff)
	}
	if got := plain.CloneObject(nil); got == nil || len(got) > 0 {
		t.Errorf("got %#v of nil, want an empty object", got)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	v := decode(t, `{"a":[{"b/~c":1},null],"":2,"m":{"x":null}}`)
	tests := []struct {
		pointer string
		path    []string
		want    any
		ok      bool
	}{
		{"", nil, v, true},
		{"/a/0/b~1~0c", []string{"a", "0", "b/~c"}, json.Number("1"), true},
		{"/a/1", []string{"a", "1"}, nil, true},
		{"/", []string{""}, json.Number("2"), true},
		{"/m/x", []string{"m", "x"}, nil, true},
		{"/m/y", []string{"m", "y"}, nil, false},
		{"/m/x/y", []string{"m", "x", "y"}, nil, false},
		{"/a/2", []string{"a", "2"}, nil, false},
		{"/a/-1", []string{"a", "-1"}, nil, false},
		{"/a/+1", []string{"a", "+1"}, nil, false},
		{"/a/01", []string{"a", "01"}, nil, false},
		{"/a/", []string{"a", ""}, nil, false},
		{"/a/99999999999999999999", []string{"a", "99999999999999999999"}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.pointer, func(t *testing.T) {
			t.Parallel()
			got, ok := plain.Lookup(v, tt.path...)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("Lookup: %v (-want +got)\n%s", ok, diff)
			}
			got, ok = plain.LookupPointer(v, tt.pointer)
			if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
				t.Errorf("LookupPointer: %v (-want +got)\n%s", ok, diff)
			}
		})
	}
	if got, ok := plain.LookupPointer(v, "a"); ok {
		t.Errorf("a pointer without a slash: got %v", got)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "", "name": "name", "a/b": "a~1b", "~": "~0", "~1": "~01", "/~/": "~1~0~1"} {
		if got := plain.EscapeToken(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if got := plain.UnescapeToken(want); got != name {
			t.Errorf("%q: got %q, want %q", want, got, name)
		}
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text    string
		nothing bool
		without string // WithoutNulls
	}{
		{`null`, true, `null`},
		{`{}`, true, `{}`},
		{`{"a":{"b":{}}}`, true, `{"a":{"b":{}}}`},
		{`{"a":null}`, false, `{}`},
		{`{"a":{"b":[null,{"c":null},[null]]}}`, false, `{"a":{"b":[{},[]]}}`},
		{`[]`, false, `[]`},
		{`""`, false, `""`},
		{`0`, false, `0`},
		{`false`, false, `false`},
	}
	for _, tt := range tests {
		v := decode(t, tt.text)
		if got := plain.IsNothing(v); got != tt.nothing {
			t.Errorf("IsNothing(%s) = %v", tt.text, got)
		}
		if diff := cmp.Diff(decode(t, tt.without), plain.WithoutNulls(v)); diff != "" {
			t.Errorf("WithoutNulls(%s) (-want +got)\n%s", tt.text, diff)
		}
		if diff := cmp.Diff(decode(t, tt.text), v); diff != "" {
			t.Errorf("%s was modified (-want +got)\n%s", tt.text, diff)
		}
	}
}

func TestTruthy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		v          any
		truthy, js bool
	}{
		{nil, false, false},
		{true, true, true},
		{false, false, false},
		{"", false, false},
		{"0", true, true},
		{0.0, false, false},
		{math.Copysign(0, -1), false, false},
		{0.1, true, true},
		{json.Number("0"), false, false},
		{json.Number("-0.0e5"), false, false},
		{json.Number("1e999"), true, true},
		{json.Number("2"), true, true},
		{map[string]any{}, false, true},
		{map[string]any{"a": nil}, true, true},
		{[]any{}, false, true},
		{[]any{0.0, "", []any{false}}, false, true},
		{[]any{0.0, []any{"x"}}, true, true},
	}
	for _, tt := range tests {
		if got := plain.Truthy(tt.v); got != tt.truthy {
			t.Errorf("Truthy(%#v) = %v", tt.v, got)
		}
		if got := plain.JSTruthy(tt.v); got != tt.js {
			t.Errorf("JSTruthy(%#v) = %v", tt.v, got)
		}
	}
}

func TestValidUTF8(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a\u00e9\uFFFD\x00": "a\u00e9\uFFFD\x00", "A\xff\xfeB": "A\uFFFD\uFFFDB", "\xed\xa0\x80": "\uFFFD\uFFFD\uFFFD",
	} {
		if got := string(plain.ValidUTF8([]byte(text))); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	data := []byte("valid")
	if n := testing.AllocsPerRun(10, func() { plain.ValidUTF8(data) }); n != 0 {
		t.Errorf("%v allocations for valid data", n)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		v    any
		want string
	}{
		{"a\"<", "a\"<"},
		{nil, "null"},
		{true, "true"},
		{1e21, "1e+21"},
		{json.Number("1.0"), "1.0"},
		{[]any{"<", 1.0}, `["<",1]`},
		{math.NaN(), ""},
	}
	for _, tt := range tests {
		if got := plain.Text(tt.v); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.v, got, tt.want)
		}
	}
}
