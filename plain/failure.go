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
	Trailing  Kind = "trailing"  // something after the value; ends decoding
	BOM       Kind = "bom"       // a byte order mark at the start; ends decoding
	Depth     Kind = "depth"     // nested too deeply; ends decoding
	UTF8      Kind = "utf8"      // bytes that are not UTF-8; ends decoding outside strings
	Surrogate Kind = "surrogate" // half of a surrogate pair
	Duplicate Kind = "duplicate" // a key that its object has already
	Type      Kind = "type"      // not an object; DecodeObject only
	Range     Kind = "range"     // a number that a 64-bit float holds as infinity, or as zero though it is not
	Length    Kind = "length"    // a number of too many characters
)

// Failure is one reason why a document was refused.
type Failure struct {
	Pointer string // JSON pointer to the value or, of a key, to its member
	Kind    Kind
	Offset  int    // of the byte in the document; its length if the document ends too early
	Message string // without the place
}

// String is the pointer, or the offset if the pointer is empty, and the message.
func (f Failure) String() string {
	switch {
	case f.Kind == Type:
		return f.Message
	case f.Pointer == "":
		return fmt.Sprintf("byte %d: %s", f.Offset, f.Message)
	}
	return f.Pointer + ": " + f.Message
}

// DecodeError is why a document was refused.
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

// Place converts an offset in data to a line and a column in runes, both from 1.
func Place(data []byte, offset int) (line, column int) {
	before := string(data[:max(0, min(offset, len(data)))])
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}
