package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"portolan/gateway"
	"portolan/plain"
)

// Limits of a body in addition to its size.
const (
	maxBodyDepth    = 64
	maxNumberLength = 1000 // digits; the time to compare numbers exactly grows with its square
	maxBodyFailures = 100
)

// bodyError is the reason why a body cannot be used.
type bodyError struct {
	status   int // 400, 408 (the caller was too slow), 413 or 415
	message  string
	failures []gateway.Failure // with status 400 only
}

// malformed is status 400 with one failure for the whole body.
func malformed(code gateway.Code, format string, args ...any) *bodyError {
	f := gateway.Failuref("", code, format, args...)
	return &bodyError{status: http.StatusBadRequest, message: f.Message, failures: []gateway.Failure{f}}
}

// readBody reads the JSON object in the body of r, of at most limit bytes. A body that is announced to be
// too large or of another type is not read. r.Body stays what net/http made: it knows how to answer
// before such a body has arrived.
func readBody(r *http.Request, limit int64) (map[string]any, *bodyError) {
	reason := unsupportedMedia(r.Header)
	switch {
	case r.ContentLength == 0:
		return decodeBody(nil)
	case reason != "":
		return nil, &bodyError{status: http.StatusUnsupportedMediaType, message: reason}
	case r.ContentLength > limit:
		return nil, readError(&http.MaxBytesError{Limit: limit})
	}
	body := http.MaxBytesReader(nil, r.Body, limit)
	data := make([]byte, 0, max(min(r.ContentLength, maxBodyBuffer), 512))
	for {
		if len(data) == cap(data) {
			data = slices.Grow(data, len(data))
		}
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return decodeBody(data)
		case err != nil:
			return nil, readError(err)
		}
	}
}

// maxBodyBuffer is the largest buffer that is made for a body before it arrives, in bytes.
const maxBodyBuffer = 64 << 10

// readError reports err, which ended reading the body.
func readError(err error) *bodyError {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &bodyError{
			status:  http.StatusRequestEntityTooLarge,
			message: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &bodyError{status: http.StatusRequestTimeout, message: "the body took too long to arrive"}
	default:
		return malformed(gateway.CodeSyntax, "the body is incomplete")
	}
}

// unsupportedMedia returns the reason why a body with these headers is not accepted; "" if it is.
func unsupportedMedia(h http.Header) string {
	const wanted = "send application/json or application/merge-patch+json"
	if encoding := strings.Join(h.Values("Content-Encoding"), ", "); encoding != "" {
		return "content-encoding " + strconv.Quote(encoding) + " is not supported: send the body unencoded"
	}
	types := h.Values("Content-Type")
	switch {
	case len(types) == 0 || types[0] == "":
		return "content-type is missing: " + wanted
	case len(types) > 1:
		return "content-type is given more than once: " + wanted
	}
	if types[0] == "application/json" { // as most are
		return ""
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

// decodeBody decodes one JSON object. Numbers are json.Number with all digits.
func decodeBody(data []byte) (map[string]any, *bodyError) {
	if len(bytes.Trim(data, " \t\r\n")) == 0 {
		return nil, malformed(gateway.CodeEmpty, "the body is empty")
	}
	object, err := plain.DecodeObject(data, plain.Options{Depth: maxBodyDepth, NumberLength: maxNumberLength})
	if err == nil {
		return object, nil
	}
	out := &bodyError{status: http.StatusBadRequest}
	if refused, ok := errors.AsType[*plain.DecodeError](err); ok {
		for i, f := range refused.Failures[:min(len(refused.Failures), maxBodyFailures)] {
			out.failures = append(out.failures, bodyFailure(data, f, i == 0))
		}
	}
	out.message = out.failures[0].Message
	return nil, out
}

// bodyFailure reports f to the caller. Finding its line means to scan the body, so that only the
// first failure and one that ends decoding have a line.
func bodyFailure(data []byte, f plain.Failure, first bool) gateway.Failure {
	place := func() string {
		line, column := plain.Place(data, min(f.Offset, len(data)-1))
		return fmt.Sprintf("line %d, column %d: ", line, column)
	}
	switch f.Kind {
	case plain.BOM:
		return gateway.Failuref("", gateway.CodeSyntax, "the body %s", f.Message)
	case plain.Type:
		return gateway.Failuref("", gateway.CodeType, "the body %s", f.Message)
	case plain.Syntax, plain.Trailing:
		return gateway.Failuref("", gateway.CodeSyntax, "the body is not valid JSON: %s%s", place(), f.Message)
	case plain.Depth, plain.Count:
		return gateway.Failuref("", gateway.CodeLimit, "%s%s", place(), f.Message)
	case plain.Length:
		return gateway.Failuref(f.Pointer, gateway.CodeLimit, "%s", f.Message)
	case plain.Range:
		return gateway.Failuref(f.Pointer, gateway.CodeRange, "%s", f.Message)
	case plain.UTF8, plain.Surrogate:
		if first {
			return gateway.Failuref(f.Pointer, gateway.CodeSyntax, "%s%s", place(), f.Message)
		}
	case plain.Duplicate:
	}
	return gateway.Failuref(f.Pointer, gateway.CodeSyntax, "%s", f.Message)
}
