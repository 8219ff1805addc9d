package worker

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

const (
	// maxFrame is the longest frame, in bytes. A result of the largest size fits even with every
	// character escaped.
	maxFrame = 96 << 20
	// maxFrameDepth is the deepest nesting of a frame's JSON: that of the deepest value inside an
	// object, with room for an empty object.
	maxFrameDepth = jsonata.MaxValueDepth + 2
	// responseValues is how many values a response has beside its result: itself and four members.
	responseValues = 5
)

var errNotPlain = errors.New("not plain JSON")

// request asks a worker to evaluate source, or only to compile it.
type request struct {
	source   string
	bindings map[string]any
	compile  bool // evaluate nothing
}

// response is the result of a request.
type response struct {
	value   any
	present bool   // false: undefined, which is not null
	failure string // "": none; contains no data
	limit   string // the key of limits, if the failure is one of them
	code    string // of a *jsonata.SyntaxError, if the failure is one
	offset  int    // of a *jsonata.SyntaxError
}

// limits are the errors with a name in frames.
var limits = map[string]error{
	"time": jsonata.ErrOverrun, "memory": jsonata.ErrMemory, "size": jsonata.ErrTooLarge, "depth": jsonata.ErrTooDeep, "recursion": jsonata.ErrRecursion,
}

func responseOf(value any, present bool, err error) *response {
	if err == nil {
		return &response{value: value, present: present}
	}
	r := &response{failure: err.Error()}
	for name, limit := range limits {
		if errors.Is(err, limit) {
			r.limit = name
		}
	}
	if bad, ok := errors.AsType[*jsonata.SyntaxError](err); ok {
		r.code, r.offset = bad.Code, bad.Offset
	}
	return r
}

// result returns the arguments of responseOf.
func (r *response) result() (value any, present bool, err error) {
	switch {
	case r.code != "":
		return nil, false, &jsonata.SyntaxError{Offset: r.offset, Message: r.failure, Code: r.code}
	case r.failure != "":
		return nil, false, &remoteError{r.failure, limits[r.limit]}
	default:
		return r.value, r.present, nil
	}
}

// remoteError is an error of the other process.
type remoteError struct {
	text  string
	limit error // nil: none
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error { return e.limit }

// encode returns the request's frame, or an error if it fits in none.
func (r *request) encode() ([]byte, error) {
	return encodeFrame(map[string]any{"source": r.source, "bindings": r.bindings, "compile": r.compile})
}

// encode returns the response's frame; one with a failure if the value fits in none.
func (r *response) encode() []byte {
	fields := map[string]any{"failure": r.failure, "limit": r.limit, "code": r.code, "offset": float64(r.offset)}
	if r.present {
		fields["value"] = r.value
	}
	frame, err := encodeFrame(fields)
	if err != nil {
		return responseOf(nil, false, fmt.Errorf("result: %w", err)).encode()
	}
	return frame
}

func encodeFrame(fields map[string]any) ([]byte, error) {
	frame, err := plain.Append(nil, fields)
	switch {
	case err != nil:
		return nil, errNotPlain
	case len(frame) > maxFrame:
		return nil, jsonata.ErrTooLarge
	}
	return frame, nil
}

func decodeRequest(frame []byte) (*request, error) {
	fields, err := decodeFrame(frame, 0)
	if err != nil {
		return nil, err
	}
	r := &request{source: strings.Clone(text(fields, "source"))} // outlives the frame
	r.bindings, _ = fields["bindings"].(map[string]any)
	r.compile, _ = fields["compile"].(bool)
	return r, nil
}

// decodeResponse decodes a response whose result has at most so many values.
func decodeResponse(frame []byte, values int) (*response, error) {
	fields, err := decodeFrame(frame, values+responseValues)
	if err != nil {
		return nil, err
	}
	r := &response{failure: text(fields, "failure"), limit: text(fields, "limit"), code: text(fields, "code")}
	r.value, r.present = fields["value"]
	offset, _ := fields["offset"].(json.Number)
	n, _ := offset.Int64()
	r.offset = int(n)
	return r, nil
}

// decodeFrame decodes a frame of at most so many values; 0 for no limit.
func decodeFrame(frame []byte, values int) (map[string]any, error) {
	fields, err := plain.DecodeObject(frame, plain.Options{Lenient: true, Depth: maxFrameDepth, Values: values})
	if err != nil {
		return nil, fmt.Errorf("malformed frame: %w", err)
	}
	return fields, nil
}

func text(fields map[string]any, name string) string {
	s, _ := fields[name].(string)
	return s
}

// writeFrame writes the frame's length, four bytes in big-endian order, and the frame.
func writeFrame(w io.Writer, frame []byte) error {
	if len(frame) > maxFrame {
		return jsonata.ErrTooLarge
	}
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(frame)))); err != nil { //nolint:gosec // G115: it is shorter than maxFrame
		return err
	}
	if len(frame) == 0 {
		return nil
	}
	_, err := w.Write(frame)
	return err
}

// readFrame reads a frame; io.EOF at the end. It allocates memory for received bytes only.
func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(length[:]))
	if n > maxFrame {
		return nil, jsonata.ErrTooLarge
	}
	var frame bytes.Buffer
	if _, err := io.CopyN(&frame, r, n); errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return frame.Bytes(), nil
}
