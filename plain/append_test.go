package plain_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	many := map[string]any{}
	for _, letter := range "zyxwvutsrqponmlkjihgfedcba" {
		many[string(letter)] = nil
	}
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"null", nil, "null"},
		{"booleans", []any{true, false}, "[true,false]"},
		{"empty", []any{map[string]any{}, []any{}, ""}, `[{},[],""]`},
		{"numbers keep their digits", []any{json.Number("9007199254740993"), json.Number("1.10"), json.Number("-0E+1")}, "[9007199254740993,1.10,-0E+1]"},
		{"floats", []any{0.0, 1.5, -1e20, 1e21, 1e-6, 1e-7, 1e100, 1.0 / 3}, "[0,1.5,-100000000000000000000,1e+21,0.000001,1e-7,1e+100,0.3333333333333333]"},
		{"HTML", "<a href='&'>", `"<a href='&'>"`},
		{"escapes", "\"\\/\b\f\n\r\t\x00\x1f\x7f", `"\"\\/\b\f\n\r\t\u0000\u001f` + "\x7f\""},
		{"letters", "é🌊\u2028\u2029\u202a", `"é🌊\u2028\u2029` + "\u202a\""},
		{"not UTF-8", "a\xff\xed\xa0\x80\uFFFD", `"a\ufffd\ufffd\ufffd\ufffd` + "\uFFFD\""},
		{"keys are sorted", map[string]any{"b": 1.0, "a": map[string]any{"d": nil, "c": "x"}, "\"": 2.0}, `{"\"":2,"a":{"c":"x","d":null},"b":1}`},
		{"many keys are sorted", many, `{"` + strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz", ""), `":null,"`) + `":null}`},
		{"raw", map[string]any{"a": json.RawMessage("{ \"b\":\t1.0 }")}, "{\"a\":{ \"b\":\t1.0 }}"},
		{"no raw", json.RawMessage(nil), "null"},
		{"nil map and slice", []any{map[string]any(nil), []any(nil)}, "[{},[]]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := plain.Append([]byte("before "), tt.v)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("before "+tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	ring := map[string]any{}
	ring["ring"] = []any{ring}
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"NaN", math.NaN(), "NaN is not a JSON number"},
		{"infinity", math.Inf(-1), "-Inf is not a JSON number"},
		{"another type", 1, "int is not a plain JSON value"},
		{"a typed slice", []string{"a"}, "[]string is not a plain JSON value"},
		{"a number that is not one", json.Number("0x1"), `"0x1" is not a JSON number`},
		{"an empty number", json.Number(""), `"" is not a JSON number`},
		{"empty raw JSON", json.RawMessage{}, "the raw JSON is empty"},
		{"a ring", ring, "nested more than 10000 deep"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := plain.Append([]byte("before"), map[string]any{"a": []any{"x", tt.v}})
			if err == nil || err.Error() != tt.want {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
			if string(got) != "before" {
				t.Errorf("got %.100s, want dst unchanged", got)
			}
		})
	}
}

func TestAppendKey(t *testing.T) {
	t.Parallel()
	out := []byte(`[`)
	out = append(out, '{')
	out = plain.AppendString(plain.AppendKey(out, "z"), "{")
	out = append(plain.AppendKey(out, `"`), '{')
	out = append(plain.AppendKey(out, "a"), `1}`...)
	out = append(plain.AppendKey(out, "b"), `{}}]`...)
	if diff := cmp.Diff(`[{"z":"{","\"":{"a":1},"b":{}}]`, string(out)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestIsNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"0": true, "-0": true, "10.50": true, "1e5": true, "1E-05": true, "1e999": true,
		"": false, "-": false, "+1": false, "01": false, "1.": false, ".1": false, "1e": false, " 1": false, "1 ": false, "Infinity": false, "0x1": false,
	} {
		if got := plain.IsNumber(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// encode returns v as encoding/json encodes it.
func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// FuzzAppend compares Append with encoding/json, byte for byte, and decodes the result.
func FuzzAppend(f *testing.F) {
	f.Add([]byte(`{"b":[1,2.50,null,true],"a":{"<":"\u2028\u0000"}}`), "a\xff\"", 1e-7)
	f.Add([]byte(`["\ud800"]`), "\u2029\x7f\x1f", 1e21)
	f.Add([]byte(`x`), "", math.Inf(1))
	f.Fuzz(func(t *testing.T, data []byte, text string, number float64) {
		doc, err := plain.Decode(data, plain.Options{Lenient: true})
		if err != nil {
			doc.Value = string(data)
		}
		v := map[string]any{"doc": doc.Value, text: []any{text, doc.Value}}
		if !math.IsNaN(number) && !math.IsInf(number, 0) {
			v["number"] = number
		}
		got, err := plain.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		want := encode(t, v)
		if !bytes.Equal(want, got) {
			t.Fatalf("got %s\nencoding/json %s", got, want)
		}
		back, err := plain.Decode(got, plain.Options{Lenient: true, Depth: 2000})
		if err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		again, err := plain.Append(nil, back.Value)
		if err != nil || len(back.Value.(map[string]any)) == len(v) && !bytes.Contains(got, []byte(`\ufffd`)) && !bytes.Equal(got, again) {
			t.Fatalf("got %s\ndecoded %s, %v", got, again, err)
		}
	})
}
