package plain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of a document, except its size.
const (
	DefaultDepth        = 64   // of strict decoding, in nested objects and arrays
	DefaultLenientDepth = 1000 // of lenient decoding
	DefaultNumberLength = 1000 // characters; exact comparison of numbers is quadratic
	maxFailures         = 1000
	maxPointerBytes     = 65536 // of all failures: one key may be as long as the document
)

// Options are the options of Decode. The zero value is strict with the default limits.
type Options struct {
	Depth        int // maximum nesting of objects and arrays; 0: DefaultDepth or DefaultLenientDepth
	NumberLength int // maximum characters of a number; 0: DefaultNumberLength; lenient decoding has no limit
	Values       int // maximum number of values, as in Document; 0: no limit

	// Lenient accepts what encoding/json accepts: the last of several equal keys wins, halves
	// of surrogate pairs and bytes that are not UTF-8 become U+FFFD, numbers may be of any size.
	Lenient bool
}

// Document is a decoded document.
type Document struct {
	Value   any
	HasNull bool // anywhere in Value
	Values  int  // number of values, including nested ones and Value itself
}

// Decode decodes the one JSON value in data, in one pass and in linear time.
//
// Numbers are json.Number with every digit. Strings and numbers share one copy of data: a
// reference to one of them keeps the memory of the whole document; use strings.Clone if that
// matters. Nothing refers to data itself.
//
// The error is a *DecodeError with all failures up to the first one that ends decoding (see
// Kind).
func Decode(data []byte, options Options) (Document, error) {
	d := decoder{text: string(data), lenient: options.Lenient, depth: options.Depth}
	if d.depth == 0 {
		d.depth = DefaultDepth
		if d.lenient {
			d.depth = DefaultLenientDepth
		}
	}
	d.numberLength = cmp.Or(options.NumberLength, DefaultNumberLength)
	d.values = cmp.Or(options.Values, math.MaxInt)
	d.path = make([]step, 0, 8)
	d.document()
	if len(d.failures) > 0 {
		slices.SortStableFunc(d.failures, func(a, b Failure) int { return a.Offset - b.Offset })
		return Document{}, &DecodeError{Failures: d.failures}
	}
	return d.out, nil
}

// DecodeObject decodes like Decode; the value must be an object.
func DecodeObject(data []byte, options Options) (map[string]any, error) {
	doc, err := Decode(data, options)
	if err != nil {
		return nil, err
	}
	object, ok := doc.Value.(map[string]any)
	if !ok {
		return nil, &DecodeError{Failures: []Failure{{Kind: Type, Message: "must be an object"}}}
	}
	return object, nil
}

// decoder is a recursive descent parser. Its methods return false if decoding ends.
type decoder struct {
	text         string
	at           int
	depth        int
	numberLength int
	values       int
	lenient      bool

	path    []step   // of the open containers
	members []member // of the open objects
	items   []any    // of the open arrays
	buffer  []byte   // a string with escapes

	out      Document
	failures []Failure
	pointers int // bytes in the failures' pointers
}

type step struct {
	key   string
	index int // in an array; -1 in an object
}

type member struct {
	key   string
	value any
	at    int // of the key
}

func (d *decoder) document() {
	if strings.HasPrefix(d.text, "\uFEFF") {
		d.fail(BOM, 0, "starts with a byte order mark: leave it out")
		return
	}
	d.space()
	var ok bool
	if d.out.Value, ok = d.value(); !ok {
		return
	}
	if d.space(); d.at < len(d.text) {
		d.unexpected(Trailing, "after top-level value")
	}
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\n', '\t', '\r':
			d.at++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end: JSON has no such byte.
func (d *decoder) peek() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) value() (any, bool) {
	if d.out.Values++; d.out.Values > d.values {
		return nil, d.fail(Count, d.at, fmt.Sprintf("more than %d values", d.values))
	}
	switch d.peek() {
	case '{':
		return d.object()
	case '[':
		return d.array()
	case '"':
		s, flaw, ok := d.string()
		if ok {
			d.note(flaw)
		}
		return s, ok
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	case 'n':
		d.out.HasNull = true
		return nil, d.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return d.number()
	}
	return nil, d.unexpected(Syntax, "looking for beginning of value")
}

func (d *decoder) literal(word string) bool {
	if strings.HasPrefix(d.text[d.at:], word) {
		d.at += len(word)
		return true
	}
	for i := range len(word) {
		if d.peek() != word[i] {
			return d.unexpected(Syntax, fmt.Sprintf("in literal %s (expecting %q)", word, rune(word[i])))
		}
		d.at++
	}
	return true
}

// enter opens an object or array.
func (d *decoder) enter(index int) bool {
	if len(d.path) >= d.depth {
		return d.fail(Depth, d.at, fmt.Sprintf("nested more than %d deep", d.depth))
	}
	d.path = append(d.path, step{index: index})
	d.at++
	d.space()
	return true
}

func (d *decoder) leave() {
	d.path = d.path[:len(d.path)-1]
	d.at++
}

func (d *decoder) object() (any, bool) {
	if !d.enter(-1) {
		return nil, false
	}
	first := len(d.members)
	for d.peek() != '}' || len(d.members) > first {
		if !d.member() {
			return nil, false
		}
		d.space()
		if d.peek() == '}' {
			break
		}
		if d.peek() != ',' {
			return nil, d.unexpected(Syntax, "after object key:value pair")
		}
		d.at++
		d.space()
	}
	members := d.members[first:]
	out := make(map[string]any, len(members))
	for _, m := range members {
		out[m.key] = m.value
	}
	if len(out) < len(members) && !d.lenient {
		d.duplicates(members)
	}
	clear(members)
	d.members = d.members[:first]
	d.leave()
	return out, true
}

// member reads a key and its value.
func (d *decoder) member() bool {
	m := member{at: d.at}
	if d.peek() != '"' {
		return d.unexpected(Syntax, "looking for beginning of object key string")
	}
	key, flaw, ok := d.string()
	if !ok {
		return false
	}
	m.key = key
	d.path[len(d.path)-1].key = key
	d.note(flaw)
	if d.space(); d.peek() != ':' {
		return d.unexpected(Syntax, "after object key")
	}
	d.at++
	d.space()
	if m.value, ok = d.value(); !ok {
		return false
	}
	if d.members == nil {
		d.members = make([]member, 0, 16)
	}
	d.members = append(d.members, m)
	return true
}

// duplicates reports each key once that is in members more than once.
func (d *decoder) duplicates(members []member) {
	seen := make(map[string]int, len(members))
	for _, m := range members {
		if seen[m.key]++; seen[m.key] == 2 {
			d.path[len(d.path)-1].key = m.key
			d.fail(Duplicate, m.at, "given more than once")
		}
	}
}

func (d *decoder) array() (any, bool) {
	if !d.enter(0) {
		return nil, false
	}
	first := len(d.items)
	for d.peek() != ']' || len(d.items) > first {
		d.path[len(d.path)-1].index = len(d.items) - first
		v, ok := d.value()
		if !ok {
			return nil, false
		}
		if d.items == nil {
			d.items = make([]any, 0, 16)
		}
		d.items = append(d.items, v)
		d.space()
		if d.peek() == ']' {
			break
		}
		if d.peek() != ',' {
			return nil, d.unexpected(Syntax, "after array element")
		}
		d.at++
		d.space()
	}
	items := d.items[first:]
	out := make([]any, len(items))
	copy(out, items)
	clear(items)
	d.items = d.items[:first]
	d.leave()
	return out, true
}

func (d *decoder) number() (any, bool) {
	start := d.at
	var exponent int
	var wrong string
	if d.at, exponent, wrong = scanNumber(d.text, start); wrong != "" {
		return nil, d.unexpected(Syntax, wrong)
	}
	text := d.text[start:d.at]
	switch {
	case d.lenient:
	case len(text) > d.numberLength:
		d.fail(Length, start, fmt.Sprintf("a number of more than %d characters", d.numberLength))
	case (exponent > 2 || len(text) > 100) && !inRange(text): // any other is 0 or between 1e-200 and 1e200
		d.fail(Range, start, "a number beyond the range of a 64-bit float")
	}
	return json.Number(text), true
}

// scanNumber returns the end of the number at text[at:] and the length of its exponent. If
// the number is malformed, end is at the unexpected byte, and wrong names its context.
func scanNumber(text string, at int) (end, exponent int, wrong string) {
	next := func() byte {
		if at < len(text) {
			return text[at]
		}
		return 0
	}
	digits := func() int {
		start := at
		for at < len(text) && '0' <= text[at] && text[at] <= '9' {
			at++
		}
		return at - start
	}
	if next() == '-' {
		at++
	}
	if next() == '0' {
		at++
	} else if digits() == 0 {
		return at, 0, "in numeric literal"
	}
	if next() == '.' {
		if at++; digits() == 0 {
			return at, 0, "after decimal point in numeric literal"
		}
	}
	if next() == 'e' || next() == 'E' {
		at++
		if next() == '+' || next() == '-' {
			at++
		}
		if exponent = digits(); exponent == 0 {
			return at, 0, "in exponent of numeric literal"
		}
	}
	return at, exponent, ""
}

func inRange(number string) bool {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f != 0 {
		return err == nil
	}
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		number = number[:i]
	}
	return !strings.ContainsAny(number, "123456789")
}

// flaw is a mistake in a string; its kind is empty if there is none.
type flaw struct {
	kind Kind
	at   int
}

// note reports a flaw of the value at the current path.
func (d *decoder) note(f flaw) {
	switch {
	case f.kind == "" || d.lenient:
	case f.kind == UTF8:
		d.fail(UTF8, f.at, "invalid UTF-8")
	default:
		d.fail(Surrogate, f.at, "half of a surrogate pair")
	}
}

// string reads a string and returns its first flaw, which the caller reports.
func (d *decoder) string() (s string, f flaw, ok bool) {
	start := d.at + 1
	ascii := true
	for i := start; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case c == '"':
			s = d.text[start:i]
			if !ascii && !utf8.ValidString(s) {
				return d.unescape()
			}
			d.at = i + 1
			return s, flaw{}, true
		case c == '\\':
			return d.unescape()
		case c < ' ':
			d.at = i
			return "", flaw{}, d.unexpected(Syntax, "in string literal")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	d.at = len(d.text)
	return "", flaw{}, d.unexpected(Syntax, "")
}

// unescape reads a string that is not a part of the text.
func (d *decoder) unescape() (s string, f flaw, ok bool) {
	d.at++
	d.buffer = d.buffer[:0]
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return string(d.buffer), f, true
		case c == '\\':
			at := d.at
			whole, ok := d.escape()
			if !ok {
				return "", f, false
			}
			if !whole && f.kind == "" {
				f = flaw{Surrogate, at}
			}
		case c < ' ':
			return "", f, d.unexpected(Syntax, "in string literal")
		case c < utf8.RuneSelf:
			d.buffer = append(d.buffer, c)
			d.at++
		default:
			r, size := utf8.DecodeRuneInString(d.text[d.at:])
			if r == utf8.RuneError && size == 1 && f.kind == "" {
				f = flaw{UTF8, d.at}
			}
			d.buffer = utf8.AppendRune(d.buffer, r)
			d.at += size
		}
	}
	return "", f, d.unexpected(Syntax, "")
}

// escape reads an escape, or both of a surrogate pair; whole is false for half of a pair.
func (d *decoder) escape() (whole, ok bool) {
	d.at++
	switch c := d.peek(); c {
	case '"', '\\', '/':
		d.buffer = append(d.buffer, c)
	case 'b':
		d.buffer = append(d.buffer, '\b')
	case 'f':
		d.buffer = append(d.buffer, '\f')
	case 'n':
		d.buffer = append(d.buffer, '\n')
	case 'r':
		d.buffer = append(d.buffer, '\r')
	case 't':
		d.buffer = append(d.buffer, '\t')
	case 'u':
		return d.escapedRune()
	default:
		return false, d.unexpected(Syntax, "in string escape code")
	}
	d.at++
	return true, true
}

// escapedRune reads the uXXXX of an escape.
func (d *decoder) escapedRune() (whole, ok bool) {
	d.at++
	r := hexUnit(d.text[d.at:])
	if r < 0 {
		for isHex(d.peek()) {
			d.at++
		}
		return false, d.unexpected(Syntax, `in \u hexadecimal character escape`)
	}
	d.at += 4
	whole = true
	if utf16.IsSurrogate(r) {
		low := rune(-1)
		if rest := d.text[d.at:]; strings.HasPrefix(rest, `\u`) {
			low = hexUnit(rest[2:])
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			whole = false // the following text is separate
		} else {
			d.at += 6
		}
	}
	d.buffer = utf8.AppendRune(d.buffer, r)
	return whole, true
}

// hexUnit reads four hexadecimal digits; -1 if text starts with fewer.
func hexUnit(text string) rune {
	if len(text) < 4 {
		return -1
	}
	var r rune
	for i := range 4 {
		c := text[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case isHex(c):
			c = c&^0x20 - 'A' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unexpected reports the next byte, or the end, in encoding/json's words. It returns false.
func (d *decoder) unexpected(kind Kind, where string) bool {
	if d.at >= len(d.text) {
		return d.fail(Syntax, len(d.text), "unexpected end of JSON input")
	}
	r, size := utf8.DecodeRuneInString(d.text[d.at:])
	if r == utf8.RuneError && size == 1 {
		return d.fail(UTF8, d.at, "invalid UTF-8")
	}
	return d.fail(kind, d.at, "invalid character "+strconv.QuoteRune(r)+" "+where)
}

// fail adds a failure at the current path. It returns false, for failures that end decoding.
func (d *decoder) fail(kind Kind, at int, message string) bool {
	if len(d.failures) >= maxFailures || d.pointers > maxPointerBytes {
		return false
	}
	var pointer strings.Builder
	for _, s := range d.path {
		pointer.WriteByte('/')
		if s.index < 0 {
			pointer.WriteString(EscapeToken(s.key))
		} else {
			pointer.WriteString(strconv.Itoa(s.index))
		}
	}
	d.pointers += pointer.Len()
	d.failures = append(d.failures, Failure{Pointer: pointer.String(), Kind: kind, Offset: at, Message: message})
	return false
}
