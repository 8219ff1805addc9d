package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan/gateway"
)

// Limits of a body beside its size.
const (
	maxBodyDepth    = 64
	maxNumberLength = 1000  // digits; comparing numbers exactly takes the square of it
	maxBodyFailures = 100   // and no more than this many bytes of pointers
	maxPointerBytes = 65536 // in all, as one key may be as long as the body
)

// bodyError is why a body was not read.
type bodyError struct {
	status   int // 400, 408 (the caller was too slow), 413 or 415
	message  string
	failures []gateway.Failure // what is wrong in the body; status 400 only
	cause    error             // may be nil
}

// Error gives the message, fit for the caller.
func (e *bodyError) Error() string { return e.message }

// Unwrap gives the cause.
func (e *bodyError) Unwrap() error { return e.cause }

// malformed is status 400 with one failure for the whole body.
func malformed(code gateway.Code, format string, args ...any) *bodyError {
	f := gateway.Failuref("", code, format, args...)
	return &bodyError{status: http.StatusBadRequest, message: f.Message, failures: []gateway.Failure{f}}
}

// readBody reads the JSON object that r carries, whose body is bounded already.
func readBody(r *http.Request) (map[string]any, *bodyError) {
	in := bufio.NewReader(r.Body)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return nil, malformed(gateway.CodeEmpty, "the body is empty")
	}
	if reason := unsupportedMedia(r.Header); reason != "" {
		return nil, &bodyError{status: http.StatusUnsupportedMediaType, message: reason}
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, broken(err)
	}
	return decodeBody(data)
}

func broken(err error) *bodyError {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &bodyError{
			status: http.StatusRequestEntityTooLarge, cause: err,
			message: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &bodyError{status: http.StatusRequestTimeout, message: "the body took too long to arrive", cause: err}
	default:
		e := malformed(gateway.CodeSyntax, "the body broke off")
		e.cause = err
		return e
	}
}

// unsupportedMedia says why a body with these headers is not read, "" if it is.
func unsupportedMedia(h http.Header) string {
	const wanted = "send application/json or application/merge-patch+json"
	if encoding := strings.Join(h.Values("Content-Encoding"), ", "); encoding != "" {
		return "content-encoding " + strconv.Quote(encoding) + " is not supported: send the body as it is"
	}
	types := h.Values("Content-Type")
	switch {
	case len(types) == 0 || types[0] == "":
		return "content-type is missing: " + wanted
	case len(types) > 1:
		return "content-type is given more than once: " + wanted
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/json" && media != "application/merge-patch+json" {
		return "content-type " + strconv.Quote(types[0]) + " is not supported: " + wanted
	}
	if charset, ok := parameters["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "charset " + strconv.Quote(charset) + " is not supported: send utf-8"
	}
	return ""
}

// decodeBody reads one JSON object, numbers as json.Number with every digit. It refuses what
// encoding/json lets pass: duplicate keys, bytes that are no UTF-8, half of a surrogate pair,
// numbers beyond a 64-bit float, nesting over 64 deep.
func decodeBody(data []byte) (map[string]any, *bodyError) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		return nil, malformed(gateway.CodeEmpty, "the body is empty")
	}
	if bytes.HasPrefix(data, []byte("\uFEFF")) {
		return nil, malformed(gateway.CodeSyntax, "the body starts with a byte order mark: leave it out")
	}
	if failure := scanBody(data); failure != nil {
		return nil, failure
	}
	var whole json.RawMessage
	if err := json.Unmarshal(data, &whole); err != nil {
		e := malformed(gateway.CodeSyntax, "the body is no JSON: %v", err)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			e = malformed(gateway.CodeSyntax, "the body is no JSON: %s: %v", place(data, int(syntax.Offset)-1), err)
		}
		e.cause = err
		return nil, e
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	d := bodyDecoder{dec: dec}
	v, err := d.value()
	if err != nil {
		return nil, malformed(gateway.CodeSyntax, "the body is no JSON: %v", err)
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, malformed(gateway.CodeType, "the body must be an object")
	}
	if len(d.failures) > 0 {
		return nil, &bodyError{status: http.StatusBadRequest, message: d.failures[0].Message, failures: d.failures}
	}
	return object, nil
}

// scanBody finds what is to be found in the bytes alone, whether they are JSON or not.
func scanBody(data []byte) *bodyError {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		c := data[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && size == 1 {
				return malformed(gateway.CodeSyntax, "%s: invalid UTF-8", place(data, i))
			}
			i += size - 1
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			size, ok := escape(data[i:])
			if !ok {
				return malformed(gateway.CodeSyntax, "%s: half of a surrogate pair", place(data, i))
			}
			i += size - 1
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxBodyDepth {
				return malformed(gateway.CodeLimit, "%s: nested more than %d deep", place(data, i), maxBodyDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// escape gives the length of the escape, or pair of escapes, that data starts with; false
// where it is half of a surrogate pair.
func escape(data []byte) (int, bool) {
	switch u, ok := escapedUnit(data); {
	case !ok:
		return 2, true
	case 0xD800 <= u && u < 0xDC00:
		low, ok := escapedUnit(data[6:])
		return 12, ok && 0xDC00 <= low && low < 0xE000
	default:
		return 6, u < 0xDC00 || u >= 0xE000
	}
}

// escapedUnit reads the \uXXXX that data starts with.
func escapedUnit(data []byte) (uint64, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return u, err == nil
}

// place gives "line 2, column 5" of data[i], both from 1, columns in runes.
func place(data []byte, i int) string {
	before := data[:max(0, min(i, len(data)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

// bodyDecoder builds the value of well-formed JSON and notes what is wrong with it.
type bodyDecoder struct {
	dec      *json.Decoder
	path     []string
	failures []gateway.Failure
	pointers int // bytes in the failures' pointers
}

func (d *bodyDecoder) value() (any, error) {
	token, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return d.object()
		}
		return d.array()
	case json.Number:
		d.number(t)
	}
	return token, nil
}

func (d *bodyDecoder) object() (any, error) {
	out := map[string]any{}
	told := map[string]bool{} // duplicate keys
	for d.dec.More() {
		token, err := d.dec.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string) // nothing else can stand here
		d.path = append(d.path, key)
		if _, twice := out[key]; twice && !told[key] {
			told[key] = true
			d.failf(gateway.CodeSyntax, "given more than once")
		}
		if out[key], err = d.value(); err != nil {
			return nil, err
		}
		d.path = d.path[:len(d.path)-1]
	}
	_, err := d.dec.Token()
	return out, err
}

func (d *bodyDecoder) array() (any, error) {
	out := []any{}
	for d.dec.More() {
		d.path = append(d.path, strconv.Itoa(len(out)))
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		d.path = d.path[:len(d.path)-1]
	}
	_, err := d.dec.Token()
	return out, err
}

// number refuses what a 64-bit float holds as infinity, or as zero though it is not.
func (d *bodyDecoder) number(n json.Number) {
	if len(n) > maxNumberLength {
		d.failf(gateway.CodeLimit, "a number of more than %d characters", maxNumberLength)
		return
	}
	digits, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if f, err := n.Float64(); err != nil || f == 0 && strings.ContainsAny(digits, "123456789") {
		d.failf(gateway.CodeRange, "a number beyond the range of a 64-bit float")
	}
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func (d *bodyDecoder) failf(code gateway.Code, format string, args ...any) {
	if len(d.failures) >= maxBodyFailures || d.pointers > maxPointerBytes {
		return
	}
	var pointer strings.Builder
	for _, step := range d.path {
		pointer.WriteByte('/')
		pointer.WriteString(escapePointer.Replace(step))
	}
	d.pointers += pointer.Len()
	d.failures = append(d.failures, gateway.Failuref(pointer.String(), code, format, args...))
}
