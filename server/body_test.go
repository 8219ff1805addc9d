package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/gateway"
)

func TestDecodeBody(t *testing.T) {
	tests := []struct {
		name, body string
		want       map[string]any
	}{
		{"empty object", `{}`, map[string]any{}},
		{"white space around", " \r\n\t{\"a\" : 1 }\n ", map[string]any{"a": json.Number("1")}},
		{
			"every digit", `{"a":9007199254740993,"b":123456789012345678901234567890,"c":1.10,"d":-0,"e":1E+2,"f":0e999}`,
			map[string]any{
				"a": json.Number("9007199254740993"), "b": json.Number("123456789012345678901234567890"),
				"c": json.Number("1.10"), "d": json.Number("-0"), "e": json.Number("1E+2"), "f": json.Number("0e999"),
			},
		},
		{
			"all kinds", `{"a":null,"b":[true,false,"",[],{}]}`,
			map[string]any{"a": nil, "b": []any{true, false, "", []any{}, map[string]any{}}},
		},
		{"pairs of surrogates", `{"a":"\ud83c\udf0A","b":"\\ud800","c":"é\u00e9\u0000"}`, map[string]any{"a": "🌊", "b": `\ud800`, "c": "éé\x00"}},
		{"the replacement character itself", `{"a":"\ufffd` + "\uFFFD" + `"}`, map[string]any{"a": "\uFFFD\uFFFD"}},
		{"the same key in two objects", `{"a":{"x":1},"b":{"x":2},"A":3}`, map[string]any{
			"a": map[string]any{"x": json.Number("1")}, "b": map[string]any{"x": json.Number("2")}, "A": json.Number("3"),
		}},
		{"brackets in strings nest nothing", `{"a":"` + strings.Repeat("[{\\\"", 100) + `"}`, map[string]any{"a": strings.Repeat("[{\"", 100)}},
		{"largest float", `{"a":1.7976931348623157e308}`, map[string]any{"a": json.Number("1.7976931348623157e308")}},
		{"smallest float", `{"a":5e-324}`, map[string]any{"a": json.Number("5e-324")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeBody([]byte(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeBodyDepth(t *testing.T) {
	nested := func(depth int) []byte {
		return []byte(strings.Repeat(`{"a":`, depth-1) + `{}` + strings.Repeat(`}`, depth-1))
	}
	if _, err := decodeBody(nested(64)); err != nil {
		t.Error(err)
	}
	want := []gateway.Failure{{Pointer: "", Code: gateway.CodeLimit, Message: "line 1, column 321: nested more than 64 deep"}}
	for _, body := range [][]byte{nested(65), nested(20000)} {
		_, err := decodeBody(body)
		if diff := cmp.Diff(want, bodyFailuresOf(t, err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// bodyFailuresOf returns the failures of a bodyError with status 400.
func bodyFailuresOf(t *testing.T, body *bodyError) []gateway.Failure {
	t.Helper()
	if body == nil {
		t.Fatal("got no error")
	}
	if body.status != http.StatusBadRequest || body.message == "" {
		t.Errorf("got status %d, message %q", body.status, body.message)
	}
	return body.failures
}

func TestDecodeBodyRefuses(t *testing.T) {
	one := func(code gateway.Code, message string) []gateway.Failure {
		return []gateway.Failure{{Code: code, Message: message}}
	}
	at := func(pointer, message string) []gateway.Failure {
		return []gateway.Failure{{Pointer: pointer, Code: gateway.CodeSyntax, Message: message}}
	}
	tests := []struct {
		name, body string
		want       []gateway.Failure
	}{
		{"nothing", "", one(gateway.CodeEmpty, "the body is empty")},
		{"white space", " \n", one(gateway.CodeEmpty, "the body is empty")},
		{"array", `[{}]`, one(gateway.CodeType, "the body must be an object")},
		{"null", `null`, one(gateway.CodeType, "the body must be an object")},
		{"string", `"x"`, one(gateway.CodeType, "the body must be an object")},
		{"number", `1`, one(gateway.CodeType, "the body must be an object")},
		{"byte order mark", "\uFEFF{}", one(gateway.CodeSyntax, "the body starts with a byte order mark: leave it out")},
		{"UTF-16", "\xff\xfe{\x00}\x00", one(gateway.CodeSyntax, "line 1, column 1: invalid UTF-8")},
		{"invalid UTF-8", "{\"é\":\n\"\xe9\"}", at("/é", "line 2, column 2: invalid UTF-8")},
		{"encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", at("/a", "line 1, column 7: invalid UTF-8")},
		{"high surrogate alone", `{"a":"\ud800"}`, at("/a", "line 1, column 7: half of a surrogate pair")},
		{"low surrogate alone", `{"a":"x\uDFFF"}`, at("/a", "line 1, column 8: half of a surrogate pair")},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, at("/a", "line 1, column 7: half of a surrogate pair")},
		{"surrogate in a key", `{"\ud800x":1}`, at("/�x", "line 1, column 3: half of a surrogate pair")},
		{"trailing data", "{}\n{}", one(gateway.CodeSyntax, "the body is not valid JSON: line 2, column 1: invalid character '{' after top-level value")},
		{"trailing letter", "{} x", one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 4: invalid character 'x' after top-level value")},
		{"cut", `{"a":`, one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 5: unexpected end of JSON input")},
		{"comma", `{"é":1,}`, one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 8: invalid character '}' looking for beginning of object key string")},
		{"no quotes", `{a:1}`, one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 2: invalid character 'a' looking for beginning of object key string")},
		{"not a number", `{"a":NaN}`, one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 6: invalid character 'N' looking for beginning of value")},
		{"control character", "{\"a\":\"\n\"}", one(gateway.CodeSyntax, `the body is not valid JSON: line 1, column 7: invalid character '\n' in string literal`)},
		{"HTML", "<html>", one(gateway.CodeSyntax, "the body is not valid JSON: line 1, column 1: invalid character '<' looking for beginning of value")},
		{"duplicate keys", `{"a":1,"b":[{"c/~":1,"c\/~":2}],"a":{"d":1,"d":2},"\u0061":3}`, []gateway.Failure{
			{Pointer: "/b/0/c~1~0", Code: gateway.CodeSyntax, Message: "given more than once"},
			{Pointer: "/a", Code: gateway.CodeSyntax, Message: "given more than once"},
			{Pointer: "/a/d", Code: gateway.CodeSyntax, Message: "given more than once"},
		}},
		{"numbers out of range", `{"a":[1e400,-1e400,1,1e-400]}`, []gateway.Failure{
			{Pointer: "/a/0", Code: gateway.CodeRange, Message: "a number beyond the range of a 64-bit float"},
			{Pointer: "/a/1", Code: gateway.CodeRange, Message: "a number beyond the range of a 64-bit float"},
			{Pointer: "/a/3", Code: gateway.CodeRange, Message: "a number beyond the range of a 64-bit float"},
		}},
		{"an endless number", `{"a":0.` + strings.Repeat("1", 1000) + `}`, []gateway.Failure{
			{Pointer: "/a", Code: gateway.CodeLimit, Message: "a number of more than 1000 characters"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeBody([]byte(tt.body))
			if diff := cmp.Diff(tt.want, bodyFailuresOf(t, err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeBodyBoundsItsFailures(t *testing.T) {
	tests := []struct {
		name, body string
		want       int
	}{
		{"many", `{"a":[1e999` + strings.Repeat(",1e999", 1000) + `]}`, maxBodyFailures},
		{"long pointers", `{"` + strings.Repeat("k", 40000) + `":[1e999` + strings.Repeat(",1e999", 1000) + `]}`, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := decodeBody([]byte(tt.body))
			if got := len(bodyFailuresOf(t, err)); got != tt.want {
				t.Errorf("got %d failures, want %d", got, tt.want)
			}
		})
	}
}

func TestReadBody(t *testing.T) {
	const jsonType = "application/json"
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	tests := []struct {
		name    string
		header  http.Header
		body    string
		status  int // 0: accepted
		message string
	}{
		{"json", header("Content-Type", jsonType), `{"a":1}`, 0, ""},
		{"at the limit", header("Content-Type", jsonType), `{"a":"345678901234567890"}     `[:30], 0, ""},
		{"merge patch", header("Content-Type", "application/merge-patch+json"), `{"a":1}`, 0, ""},
		{"charset", header("Content-Type", `Application/JSON; Charset="UTF-8"`), `{"a":1}`, 0, ""},
		{"other parameters", header("Content-Type", "application/json; version=1"), `{"a":1}`, 0, ""},
		{"over the limit", header("Content-Type", jsonType), `{"a":"3456789012345678901234"}x`, 413, "the body is larger than 30 bytes"},
		{"nothing", header(), "", 400, "the body is empty"},
		{"nothing of a type", header("Content-Type", "text/plain"), "", 400, "the body is empty"},
		{"blanks", header("Content-Type", jsonType), " ", 400, "the body is empty"},
		{"no type", header(), "{}", 415, "content-type is missing: send application/json or application/merge-patch+json"},
		{"other type", header("Content-Type", "text/json"), "{}", 415, `content-type "text/json" is not supported: send application/json or application/merge-patch+json`},
		{"form", header("Content-Type", "application/x-www-form-urlencoded"), "a=1", 415, `content-type "application/x-www-form-urlencoded" is not supported: send application/json or application/merge-patch+json`},
		{"broken type", header("Content-Type", "application/json; charset"), "{}", 415, `content-type "application/json; charset" is not supported: send application/json or application/merge-patch+json`},
		{"two types", header("Content-Type", jsonType, "Content-Type", jsonType), "{}", 415, "content-type is given more than once: send application/json or application/merge-patch+json"},
		{"other charset", header("Content-Type", "application/json; charset=latin1"), "{}", 415, `charset "latin1" is not supported: send utf-8`},
		{"compressed", header("Content-Type", jsonType, "Content-Encoding", "gzip"), "{}", 415, `content-encoding "gzip" is not supported: send the body unencoded`},
		{"identity", header("Content-Type", jsonType, "Content-Encoding", "identity"), "{}", 415, `content-encoding "identity" is not supported: send the body unencoded`},
		{"type before size", header("Content-Type", "text/plain"), strings.Repeat("x", 100), 415, `content-type "text/plain" is not supported: send application/json or application/merge-patch+json`},
		{"size before syntax", header("Content-Type", jsonType), strings.Repeat("x", 100), 413, "the body is larger than 30 bytes"},
		{"syntax", header("Content-Type", jsonType), "x", 400, "the body is not valid JSON: line 1, column 1: invalid character 'x' looking for beginning of value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPatch, "/", io.NopCloser(strings.NewReader(tt.body))) // without a Content-Length
			r.Header, r.Body = tt.header, http.MaxBytesReader(httptest.NewRecorder(), r.Body, 30)
			if tt.body == "" {
				r.ContentLength = 0
			}
			got, body := readBody(r, 30)
			if tt.status == 0 {
				if body != nil || got["a"] == nil {
					t.Fatalf("got %v, %v", got, body)
				}
				return
			}
			if body == nil {
				t.Fatal("got no error")
			}
			if body.status != tt.status || body.message != tt.message {
				t.Errorf("got %d %q, want %d %q", body.status, body.message, tt.status, tt.message)
			}
			if (len(body.failures) > 0) != (tt.status == http.StatusBadRequest) {
				t.Errorf("got failures %v", body.failures)
			}
		})
	}
}

func TestReadBodyThatBreaksOff(t *testing.T) {
	gone := errors.New("connection reset")
	slow := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	tests := []struct {
		name   string
		body   io.Reader
		status int
	}{
		{"at once", iotest.ErrReader(gone), 400},
		{"in the middle", io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(gone)), 400},
		{"after the object", io.MultiReader(strings.NewReader(`{}`), iotest.ErrReader(gone)), 400},
		{"early end", io.MultiReader(strings.NewReader(`{"a":1`), iotest.ErrReader(io.ErrUnexpectedEOF)), 400},
		{"too slow", io.MultiReader(strings.NewReader(`{`), iotest.ErrReader(slow)), 408},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPatch, "/", tt.body)
			r.Header.Set("Content-Type", "application/json")
			_, body := readBody(r, 1<<20)
			if body == nil || body.status != tt.status {
				t.Fatalf("got %#v, want status %d", body, tt.status)
			}
		})
	}
}

// A body that its headers already rule out is not read.
func TestAnnouncedBodyIsNotRead(t *testing.T) {
	for announced, want := range map[string]int{"application/json": 413, "text/plain": 415, "": 415} {
		r := httptest.NewRequest(http.MethodPatch, "/", iotest.ErrReader(errors.New("it is read")))
		r.ContentLength = 31
		if announced != "" {
			r.Header.Set("Content-Type", announced)
		}
		if _, body := readBody(r, 30); body == nil || body.status != want {
			t.Errorf("%q: got %#v, want status %d", announced, body, want)
		}
	}
}

// TestReadBodyOverHTTP reads from real connections: one is closed by the caller, on the other one the
// caller stops sending.
func TestReadBodyOverHTTP(t *testing.T) {
	statuses := make(chan int, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stops" {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		}
		_, body := readBody(r, 1<<20)
		if body == nil {
			body = &bodyError{}
		}
		statuses <- body.status
	}))
	defer server.Close()
	for path, want := range map[string]int{"/leaves": http.StatusBadRequest, "/stops": http.StatusRequestTimeout} {
		t.Run(path[1:], func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			request := "PATCH " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"a\":"
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if path == "/leaves" {
				conn.Close()
			}
			if got := <-statuses; got != want {
				t.Errorf("got status %d, want %d", got, want)
			}
		})
	}
}

// FuzzBody compares decodeBody with encoding/json: it must return the same value, or refuse the body
// for a reason that is found independently.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"a":"\ud83c\udf0a"}`, `{"a":[1e400,0.1e-999]}`, "\uFEFF{}", `[]`, `null`, `{} {}`,
		`{"a":{"b":[{"c":null}]},"a":1}`, "{\"a\":\"\xff\"}", `{"a":"\\\ud800"}`, `{"\u0061":1,"a":2}`,
		strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40), strings.Repeat(`[`, 20000), `{"a":"\uFFFD"}`, " ", `{"a":0e99}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeBody(data)
		var want any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		wantErr := dec.Decode(&want)
		if wantErr == nil && !json.Valid(data) {
			wantErr = errors.New("trailing data")
		}
		switch {
		case err == nil && wantErr != nil:
			t.Fatalf("accepted what encoding/json refuses: %v", wantErr)
		case err == nil:
			if diff := cmp.Diff(want, any(got)); diff != "" {
				t.Fatalf("(-encoding/json +got)\n%s", diff)
			}
			if reason := refusable(data, want); reason != "" {
				t.Fatalf("accepted in spite of %s", reason)
			}
		case len(bodyFailuresOf(t, err)) == 0:
			t.Fatalf("refused without a failure: %v", err)
		case wantErr == nil && refusable(data, want) == "":
			t.Fatalf("refused without reason: %v", err)
		}
	})
}

// refusable returns the reason to refuse JSON that encoding/json decodes as v; "" if there is none.
func refusable(data []byte, v any) string {
	if _, ok := v.(map[string]any); !ok {
		return "no object"
	}
	reason := ""
	keys, replaced := 0, 0
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				keys++
				replaced += strings.Count(key, "\uFFFD")
				walk(inner, depth+1)
			}
		case []any:
			for _, inner := range v {
				walk(inner, depth+1)
			}
		case string:
			replaced += strings.Count(v, "\uFFFD")
			return
		case json.Number:
			f, err := v.Float64()
			mantissa, _, _ := strings.Cut(strings.ToLower(v.String()), "e")
			if err != nil || f == 0 && strings.Trim(mantissa, "-0.") != "" {
				reason = "a number out of range"
			}
			if len(v) > 1000 {
				reason = "a long number"
			}
			return
		default:
			return
		}
		if depth >= 64 {
			reason = "depth"
		}
	}
	walk(v, 0)
	if reason != "" {
		return reason
	}
	escapes := strings.ToLower(strings.ReplaceAll(string(data), `\\`, ""))
	written := bytes.Count(data, []byte("\uFFFD")) + strings.Count(escapes, `\ufffd`)
	switch {
	case replaced > written:
		return "a replaced character"
	case keysIn(data) != keys:
		return "a duplicate key"
	default:
		return ""
	}
}

// keysIn returns the number of keys: the colons outside strings.
func keysIn(data []byte) int {
	colons, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch {
		case quoted && data[i] == '\\':
			i++
		case data[i] == '"':
			quoted = !quoted
		case !quoted && data[i] == ':':
			colons++
		}
	}
	return colons
}
