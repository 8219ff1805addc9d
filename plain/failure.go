package plain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a Failure, one of a closed set.
type Kind string

// The kinds of failures.
const (
	Syntax    Kind = "syntax"    // not JSON; ends decoding
	Trailing  Kind = "trailing"  // text after the value; ends decoding
	BOM       Kind = "bom"       // a byte order mark at the start; ends decoding
	Depth     Kind = "depth"     // nested too deeply; ends decoding
	Count     Kind = "count"     // too many values; ends decoding
	UTF8      Kind = "utf8"      // bytes that are not UTF-8; ends decoding outside strings
	Surrogate Kind = "surrogate" // half of a surrogate pair
	Duplicate Kind = "duplicate" // a key that occurs twice in its object
	Type      Kind = "type"      // not an object; DecodeObject only
	Range     Kind = "range"     // a number that overflows or underflows a 64-bit float
	Length    Kind = "length"    // a number with too many characters
)

// Failure is one mistake in a document.
type Failure struct {
	Pointer string // JSON pointer to the value, or to the member of a key
	Kind    Kind
	Offset  int    // in bytes; the document's length if it ends too early
	Message string // without the place
}

// String returns the pointer, or the offset if the pointer is empty, and the message.
func (f Failure) String() string {
	switch {
	case f.Kind == Type:
		return f.Message
	case f.Pointer == "":
		return fmt.Sprintf("byte %d: %s", f.Offset, f.Message)
	}
	return f.Pointer + ": " + f.Message
}

// DecodeError lists the mistakes in a document.
type DecodeError struct {
	Failures []Failure // by offset; at least 1, at most 1,000
}

// Error returns the first failure.
func (e *DecodeError) Error() string {
	if more := len(e.Failures) - 1; more > 0 {
		return fmt.Sprintf("%v (and %d more)", e.Failures[0], more)
	}
	return e.Failures[0].String()
}

// Place converts an offset in data to a line and a column in runes, both 1-based.
func Place(data []byte, offset int) (line, column int) {
	before := string(data[:max(0, min(offset, len(data)))])
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}
