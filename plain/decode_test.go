package plain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", plain.DefaultDepth) + strings.Repeat("]", plain.DefaultDepth)
	tests := []struct {
		name, text string
		options    plain.Options
		want       any
		hasNull    bool
		values     int
	}{
		{name: "null", text: "null", hasNull: true, values: 1},
		{name: "true", text: " true\r\n", want: true, values: 1},
		{name: "false", text: "\tfalse", want: false, values: 1},
		{name: "empty string", text: `""`, want: "", values: 1},
		{name: "empty object", text: "{ }", want: map[string]any{}, values: 1},
		{name: "empty array", text: "[ ]", want: []any{}, values: 1},
		{
			name: "nested", text: `{"a":{"b":[1,[],{"c":[null,2]}]},"d":"e"}`, hasNull: true, values: 10,
			want: map[string]any{
				"a": map[string]any{"b": []any{json.Number("1"), []any{}, map[string]any{"c": []any{nil, json.Number("2")}}}}, "d": "e",
			},
		},
		{
			name: "every digit", text: `[9007199254740993,123456789012345678901234567890,1.10,-0,1E+2,0e999,5e-324,1.7976931348623157e308]`, values: 9,
			want: []any{
				json.Number("9007199254740993"), json.Number("123456789012345678901234567890"), json.Number("1.10"), json.Number("-0"),
				json.Number("1E+2"), json.Number("0e999"), json.Number("5e-324"), json.Number("1.7976931348623157e308"),
			},
		},
		{name: "escapes", text: `"\"\\\/\b\f\n\r\t\u0000\u00e9é\ufffd"`, want: "\"\\/\b\f\n\r\t\x00éé\uFFFD", values: 1},
		{name: "surrogate pairs", text: `"\ud83c\udf0A \uD834\uDD1E \\ud800"`, want: `🌊 𝄞 \ud800`, values: 1},
		{name: "escaped key", text: `{"\u0061\/":1,"A":2}`, want: map[string]any{"a/": json.Number("1"), "A": json.Number("2")}, values: 3},
		{name: "the same key in two objects", text: `[{"a":""},{"a":""}]`, want: []any{map[string]any{"a": ""}, map[string]any{"a": ""}}, values: 5},
		{name: "at the depth", text: deep, values: plain.DefaultDepth},
		{name: "brackets in strings", text: `"` + strings.Repeat(`[{\"`, 100) + `"`, want: strings.Repeat(`[{"`, 100), values: 1},
		{name: "as many values as allowed", text: `{"a":[1,2]}`, options: plain.Options{Values: 4}, want: map[string]any{"a": []any{json.Number("1"), json.Number("2")}}, values: 4},
		{name: "depth of its own", text: "[[1]]", options: plain.Options{Depth: 2}, want: []any{[]any{json.Number("1")}}, values: 3},
		{
			name: "lenient", text: `{"a":1,"a":[1e400,"\ud800x\udfff\ud800\ud800","` + "\xff\xfe" + `"],"\ud800":2,"\udfff":3}`,
			options: plain.Options{Lenient: true}, values: 8,
			want: map[string]any{
				"a": []any{json.Number("1e400"), "\uFFFDx\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD"}, "\uFFFD": json.Number("3"),
			},
		},
		{
			name: "lenient and deep", text: strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
			options: plain.Options{Lenient: true}, values: 1000,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := plain.Decode([]byte(tt.text), tt.options)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(tt.text, "[[[") { // cmp takes too long for deep values
				if text, err := plain.Append(nil, got.Value); err != nil || string(text) != tt.text {
					t.Errorf("got %s, %v", text, err)
				}
				got.Value = nil
			}
			if diff := cmp.Diff(plain.Document{Value: tt.want, HasNull: tt.hasNull, Values: tt.values}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	one := func(pointer string, kind plain.Kind, offset int, message string) []plain.Failure {
		return []plain.Failure{{Pointer: pointer, Kind: kind, Offset: offset, Message: message}}
	}
	const (
		twice      = "given more than once"
		half       = "half of a surrogate pair"
		outOfRange = "a number beyond the range of a 64-bit float"
		early      = "unexpected end of JSON input"
	)
	tests := []struct {
		name, text string
		options    plain.Options
		want       []plain.Failure
	}{
		{name: "nothing", text: "", want: one("", plain.Syntax, 0, early)},
		{name: "white space", text: " \n", want: one("", plain.Syntax, 2, early)},
		{name: "byte order mark", text: "\uFEFF{}", want: one("", plain.BOM, 0, "starts with a byte order mark: leave it out")},
		{name: "UTF-16", text: "\xff\xfe{\x00}\x00", want: one("", plain.UTF8, 0, "invalid UTF-8")},
		{name: "trailing value", text: "{}\n{}", want: one("", plain.Trailing, 3, "invalid character '{' after top-level value")},
		{name: "trailing letter", text: "{} x", want: one("", plain.Trailing, 3, "invalid character 'x' after top-level value")},
		{name: "leading zero", text: "01", want: one("", plain.Trailing, 1, "invalid character '1' after top-level value")},
		{name: "trailing NUL", text: "1\x00", want: one("", plain.Trailing, 1, `invalid character '\x00' after top-level value`)},
		{name: "cut object", text: `{"a":`, want: one("/a", plain.Syntax, 5, early)},
		{name: "cut string", text: `"a`, want: one("", plain.Syntax, 2, early)},
		{name: "cut escape", text: `"a\`, want: one("", plain.Syntax, 3, early)},
		{name: "cut unicode escape", text: `"\u12`, want: one("", plain.Syntax, 5, early)},
		{name: "cut word", text: `[tru`, want: one("/0", plain.Syntax, 4, early)},
		{name: "word", text: `nul1`, want: one("", plain.Syntax, 3, "invalid character '1' in literal null (expecting 'l')")},
		{name: "comma before a brace", text: `{"é":1,}`, want: one("/é", plain.Syntax, 8, "invalid character '}' looking for beginning of object key string")},
		{name: "comma before a bracket", text: `[1,]`, want: one("/1", plain.Syntax, 3, "invalid character ']' looking for beginning of value")},
		{name: "no comma in an array", text: `[1 2]`, want: one("/0", plain.Syntax, 3, "invalid character '2' after array element")},
		{name: "no comma in an object", text: `{"a":1"b":2}`, want: one("/a", plain.Syntax, 6, `invalid character '"' after object key:value pair`)},
		{name: "no colon", text: `{"a" 1}`, want: one("/a", plain.Syntax, 5, "invalid character '1' after object key")},
		{name: "no quotes", text: `[{a:1}]`, want: one("/0/", plain.Syntax, 2, "invalid character 'a' looking for beginning of object key string")},
		{name: "not a number", text: `[0,{"a":NaN}]`, want: one("/1/a", plain.Syntax, 8, "invalid character 'N' looking for beginning of value")},
		{name: "minus", text: `-x`, want: one("", plain.Syntax, 1, "invalid character 'x' in numeric literal")},
		{name: "decimal point", text: `1.`, want: one("", plain.Syntax, 2, early)},
		{name: "fraction", text: `1.e`, want: one("", plain.Syntax, 2, "invalid character 'e' after decimal point in numeric literal")},
		{name: "exponent", text: `1e+"`, want: one("", plain.Syntax, 3, `invalid character '"' in exponent of numeric literal`)},
		{name: "control character", text: "\"a\n\"", want: one("", plain.Syntax, 2, `invalid character '\n' in string literal`)},
		{name: "control character after an escape", text: "\"\\n\n\"", want: one("", plain.Syntax, 3, `invalid character '\n' in string literal`)},
		{name: "escape", text: `"\x"`, want: one("", plain.Syntax, 2, "invalid character 'x' in string escape code")},
		{name: "unicode escape", text: `"\u12g4"`, want: one("", plain.Syntax, 5, `invalid character 'g' in \u hexadecimal character escape`)},
		{name: "other letters", text: "[é]", want: one("/0", plain.Syntax, 1, "invalid character 'é' looking for beginning of value")},
		{name: "too deep", text: `{"a":[[]]}`, options: plain.Options{Depth: 2}, want: one("/a/0", plain.Depth, 6, "nested more than 2 deep")},
		{name: "too many values", text: `{"a":[1,2,{}]}`, options: plain.Options{Values: 4}, want: one("/a/2", plain.Count, 10, "more than 4 values")},
		{
			name: "far too deep", text: strings.Repeat("[", 1_000_000),
			want: one(strings.Repeat("/0", 64), plain.Depth, 64, "nested more than 64 deep"),
		},
		{
			name: "lenient and too deep", text: strings.Repeat("[", 1001), options: plain.Options{Lenient: true},
			want: one(strings.Repeat("/0", 1000), plain.Depth, 1000, "nested more than 1000 deep"),
		},
		{name: "lenient byte order mark", text: "\uFEFF1", options: plain.Options{Lenient: true}, want: one("", plain.BOM, 0, "starts with a byte order mark: leave it out")},
		{name: "lenient trailing", text: "1 1", options: plain.Options{Lenient: true}, want: one("", plain.Trailing, 2, "invalid character '1' after top-level value")},
		{name: "invalid UTF-8", text: "{\"é\":\n\"\xe9\"}", want: one("/é", plain.UTF8, 8, "invalid UTF-8")},
		{name: "encoded surrogate", text: "[\"\xed\xa0\x80\"]", want: one("/0", plain.UTF8, 2, "invalid UTF-8")},
		{name: "invalid UTF-8 in a key", text: "{\"a\xff\":1}", want: one("/a\uFFFD", plain.UTF8, 3, "invalid UTF-8")},
		{name: "high surrogate alone", text: `["\ud800"]`, want: one("/0", plain.Surrogate, 2, half)},
		{name: "low surrogate alone", text: `["x\uDFFF\ud800"]`, want: one("/0", plain.Surrogate, 3, half)},
		{name: "two high surrogates", text: `["\ud800\ud83c\udf0a"]`, want: one("/0", plain.Surrogate, 2, half)},
		{name: "surrogate in a key", text: `{"\ud800x":1}`, want: one("/\uFFFDx", plain.Surrogate, 2, half)},
		{
			name: "duplicate keys", text: `{"a":1,"b":[{"c/~":1,"c\/~":2}],"a":{"d":1,"d":2},"\u0061":3}`,
			want: []plain.Failure{
				{Pointer: "/b/0/c~1~0", Kind: plain.Duplicate, Offset: 21, Message: twice},
				{Pointer: "/a", Kind: plain.Duplicate, Offset: 32, Message: twice},
				{Pointer: "/a/d", Kind: plain.Duplicate, Offset: 43, Message: twice},
			},
		},
		{
			name: "numbers out of range", text: `[1e400,-1e400,1,1e-400,` + strings.Repeat("9", 309) + `]`,
			want: []plain.Failure{
				{Pointer: "/0", Kind: plain.Range, Offset: 1, Message: outOfRange},
				{Pointer: "/1", Kind: plain.Range, Offset: 7, Message: outOfRange},
				{Pointer: "/3", Kind: plain.Range, Offset: 16, Message: outOfRange},
				{Pointer: "/4", Kind: plain.Range, Offset: 23, Message: outOfRange},
			},
		},
		{name: "long number", text: "0." + strings.Repeat("1", 999), want: one("", plain.Length, 0, "a number of more than 1000 characters")},
		{name: "long number for its limit", text: "[123]", options: plain.Options{NumberLength: 2}, want: one("/0", plain.Length, 1, "a number of more than 2 characters")},
		{
			name: "all that is wrong", text: `{"a":[1e999,"\ud800",` + "\"\xff\"" + `],"a":1,"b" 2}`,
			want: []plain.Failure{
				{Pointer: "/a/0", Kind: plain.Range, Offset: 6, Message: outOfRange},
				{Pointer: "/a/1", Kind: plain.Surrogate, Offset: 13, Message: half},
				{Pointer: "/a/2", Kind: plain.UTF8, Offset: 22, Message: "invalid UTF-8"},
				{Pointer: "/b", Kind: plain.Syntax, Offset: 36, Message: "invalid character '2' after object key"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := plain.Decode([]byte(tt.text), tt.options)
			if diff := cmp.Diff(tt.want, failuresOf(t, err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func failuresOf(tb testing.TB, err error) []plain.Failure {
	tb.Helper()
	refused, ok := errors.AsType[*plain.DecodeError](err)
	if !ok || len(refused.Failures) == 0 {
		tb.Fatalf("got %v, want failures", err)
	}
	return refused.Failures
}

func TestDecodeObject(t *testing.T) {
	t.Parallel()
	got, err := plain.DecodeObject([]byte(`{"a":"b"}`), plain.Options{})
	if diff := cmp.Diff(map[string]any{"a": "b"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"null": "must be an object", "[{}]": "must be an object", "1": "must be an object", "": "byte 0: unexpected end of JSON input",
	} {
		if got, err := plain.DecodeObject([]byte(text), plain.Options{}); got != nil || err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestDecodeBoundsItsFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       int
	}{
		{"many", "[1e999" + strings.Repeat(",1e999", 2000) + "]", 1000},
		{"long pointers", `{"` + strings.Repeat("k", 40000) + `":[1e999` + strings.Repeat(",1e999", 1000) + "]}", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := plain.Decode([]byte(tt.text), plain.Options{})
			if got := len(failuresOf(t, err)); got != tt.want {
				t.Errorf("got %d failures, want %d", got, tt.want)
			}
		})
	}
}

func TestFailureTexts(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a":1e999}`:     "/a: a number beyond the range of a 64-bit float",
		`[1e999,1e999]`:   "/0: a number beyond the range of a 64-bit float (and 1 more)",
		`{} x`:            "byte 3: invalid character 'x' after top-level value",
		`{"a":{"b":1},}]`: "/a: invalid character '}' looking for beginning of object key string",
	} {
		if _, err := plain.Decode([]byte(text), plain.Options{}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestDecodeCopies changes the bytes after decoding.
func TestDecodeCopies(t *testing.T) {
	t.Parallel()
	data := []byte(`{"key":"value"}`)
	got, err := plain.Decode(data, plain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if diff := cmp.Diff(any(map[string]any{"key": "value"}), got.Value); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	data := []byte("{\"é\":\n\"é\"}")
	for offset, want := range map[int][2]int{-1: {1, 1}, 0: {1, 1}, 4: {1, 4}, 7: {2, 1}, 10: {2, 3}, 99: {2, 5}} {
		if line, column := plain.Place(data, offset); [2]int{line, column} != want {
			t.Errorf("offset %d: got %d:%d, want %v", offset, line, column, want)
		}
	}
}

// FuzzDecode compares strict and lenient decoding with encoding/json: the same values and the
// same syntax errors. Any other refusal must have a reason that reasonsIn finds too.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"a":"\ud83c\udf0a"}`, `{"a":[1e400,0.1e-999]}`, "\uFEFF{}", `[]`, `null`, `{} {}`,
		`{"a":{"b":[{"c":null}]},"a":1}`, "{\"a\":\"\xff\"}", `{"a":"\\\ud800"}`, `{"\u0061":1,"a":2}`, `"\ud800\u12"`, `"\ud800\ud800\udc00"`,
		strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40), strings.Repeat(`[`, 20000), `{"a":"\uFFFD"}`, " ", `{"a":0e99}`,
		`[true,false,null,1.5e+3,"x"]`, `[-]`, `[1.]`, `[1e]`, `[tru]`, `{"a"}`, `{"a":1,}`, `[1,]`, "\"\x01\"", "[\xff]", `"\q"`,
		"1" + strings.Repeat("0", 400), "0." + strings.Repeat("0", 400) + "1", strings.Repeat("1", 1001), "{\"\xff\":1,\"\xfe\":2}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want any
		wantErr := json.Unmarshal(data, new(json.RawMessage))
		if wantErr == nil {
			decoder := json.NewDecoder(bytes.NewReader(data))
			decoder.UseNumber()
			if err := decoder.Decode(&want); err != nil {
				t.Fatal(err)
			}
		}
		doc, err := plain.Decode(data, plain.Options{Lenient: true, Depth: 10000})
		switch {
		case (err == nil) != (wantErr == nil):
			t.Fatalf("lenient: got %v, encoding/json %v", err, wantErr)
		case err == nil:
			if !reflect.DeepEqual(want, doc.Value) { // cmp takes too long for deep values
				t.Fatalf("lenient: got %#v, encoding/json %#v", doc.Value, want)
			}
		default:
			sameSyntaxError(t, data, failuresOf(t, err), wantErr)
		}
		doc, err = plain.Decode(data, plain.Options{})
		if wantErr != nil {
			sameSyntaxError(t, data, failuresOf(t, err), wantErr)
			return
		}
		got := map[plain.Kind]bool{}
		if err == nil {
			if !reflect.DeepEqual(want, doc.Value) { // cmp takes too long for deep values
				t.Fatalf("strict: got %#v, encoding/json %#v", doc.Value, want)
			}
		} else {
			failures := failuresOf(t, err)
			for i, f := range failures {
				if i > 0 && f.Offset < failures[i-1].Offset || f.Offset > len(data) || f.Message == "" {
					t.Fatalf("out of order or range: %+v", failures)
				}
				got[f.Kind] = true
			}
			if len(failures) > 100 || got[plain.Depth] { // some may be missing
				got = nil
			}
		}
		reasons := reasonsIn(t, data)
		if got == nil {
			if len(reasons) == 0 {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		if got[plain.Surrogate] || got[plain.UTF8] { // only one of a string is reported
			delete(got, plain.UTF8)
			got[plain.Surrogate] = true
		}
		if diff := cmp.Diff(reasons, got); diff != "" {
			t.Fatalf("%v (-reasons +got)\n%s", err, diff)
		}
	})
}

func sameSyntaxError(t *testing.T, data []byte, failures []plain.Failure, want error) {
	t.Helper()
	last := failures[len(failures)-1]
	syntax, ok := errors.AsType[*json.SyntaxError](want)
	switch {
	case !ok:
		t.Fatal(want)
	case last.Kind == plain.Depth || last.Kind == plain.BOM: // encoding/json reports them later or not
	case len(failures) > 100:
	case last.Offset < len(data) && data[last.Offset] >= utf8.RuneSelf: // encoding/json names a byte, Decode a rune
		if int(syntax.Offset)-1 != last.Offset {
			t.Fatalf("got %+v, encoding/json %d: %v", last, syntax.Offset, want)
		}
	case last.Offset == len(data): // encoding/json reports some ends as an unexpected space
		if last.Message != "unexpected end of JSON input" || int(syntax.Offset) != len(data) {
			t.Fatalf("got %+v, encoding/json %d: %v", last, syntax.Offset, want)
		}
	case last.Kind != plain.Syntax && last.Kind != plain.Trailing, last.Message != want.Error(),
		last.Offset != int(syntax.Offset)-1:
		t.Fatalf("got %+v, encoding/json %d: %v", last, syntax.Offset, want)
	}
}

// reasonsIn finds independently why JSON is refused. plain.Surrogate includes UTF8.
func reasonsIn(t *testing.T, data []byte) map[plain.Kind]bool {
	t.Helper()
	reasons := map[plain.Kind]bool{}
	replaced := 0
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var read func(depth int)
	read = func(depth int) {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch v := token.(type) {
		case json.Delim:
			if depth >= plain.DefaultDepth {
				reasons[plain.Depth] = true
			}
			seen := map[string]bool{}
			for decoder.More() {
				if v == '{' {
					key, _ := decoder.Token()
					if name := key.(string); seen[name] {
						reasons[plain.Duplicate] = true
					} else {
						seen[name] = true
					}
					replaced += strings.Count(key.(string), "\uFFFD")
				}
				read(depth + 1)
			}
			_, _ = decoder.Token()
		case json.Number:
			f, err := strconv.ParseFloat(v.String(), 64)
			mantissa, _, _ := strings.Cut(strings.ToLower(v.String()), "e")
			switch {
			case len(v) > plain.DefaultNumberLength:
				reasons[plain.Length] = true
			case err != nil || f == 0 && strings.Trim(mantissa, "-0.") != "":
				reasons[plain.Range] = true
			}
		case string:
			replaced += strings.Count(v, "\uFFFD")
		}
	}
	read(0)
	escapes := strings.ToLower(strings.ReplaceAll(string(data), `\\`, ""))
	if written := bytes.Count(data, []byte("\uFFFD")) + strings.Count(escapes, `\ufffd`); replaced > written {
		reasons[plain.Surrogate] = true
	}
	return reasons
}
