package plain

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxAppendDepth bounds the memory for a value that contains itself.
const maxAppendDepth = 10000

// Append appends v as JSON on one line, with sorted keys, as encoding/json does, but without
// escaping HTML. A json.RawMessage is appended unchanged.
//
// The error names what in v is not plain JSON: another type, a float that is not finite, a
// json.Number that is not a number, or nesting over 10,000 deep. It returns dst unchanged then.
func Append(dst []byte, v any) ([]byte, error) {
	out, err := appendValue(dst, v, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxAppendDepth {
		return dst, fmt.Errorf("nested more than %d deep", maxAppendDepth)
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return AppendString(dst, v), nil
	case json.Number:
		if !IsNumber(string(v)) {
			return dst, fmt.Errorf("%q is not a JSON number", string(v))
		}
		return append(dst, v...), nil
	case float64:
		return appendFloat(dst, v)
	case []any:
		return appendArray(dst, v, depth)
	case map[string]any:
		return appendObject(dst, v, depth)
	case json.RawMessage:
		return appendRaw(dst, v)
	}
	return dst, fmt.Errorf("%T is not a plain JSON value", v)
}

func appendRaw(dst []byte, raw json.RawMessage) ([]byte, error) {
	switch {
	case raw == nil:
		return append(dst, "null"...), nil
	case len(raw) == 0:
		return dst, errors.New("the raw JSON is empty")
	}
	return append(dst, raw...), nil
}

func appendArray(dst []byte, list []any, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, item := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, item, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendObject(dst []byte, object map[string]any, depth int) (_ []byte, err error) {
	var few [16]string // most objects need no memory for their keys
	dst = append(dst, '{')
	for i, key := range AppendKeys(few[:0], object) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, key), ':')
		if dst, err = appendValue(dst, object[key], depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// AppendKeys appends the names of an object's members to dst and sorts all of them. It needs no
// memory for those that dst has room for.
func AppendKeys(dst []string, object map[string]any) []string {
	for key := range object {
		dst = append(dst, key)
	}
	slices.Sort(dst)
	return dst
}

// AppendKey appends a member's name and the colon, with a comma before it unless dst ends with
// the object's opening brace. It is for objects whose members have a fixed order:
//
//	dst = append(dst, '{')
//	dst = AppendString(AppendKey(dst, "id"), id)
//	dst, err = Append(AppendKey(dst, "roles"), roles)
//	dst = append(dst, '}')
func AppendKey(dst []byte, name string) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(AppendString(dst, name), ':')
}

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\b':
				dst = append(dst, `\b`...)
			case '\f':
				dst = append(dst, `\f`...)
			case '\n':
				dst = append(dst, `\n`...)
			case '\r':
				dst = append(dst, `\r`...)
			case '\t':
				dst = append(dst, `\t`...)
			default:
				dst = append(dst, `\u00`...)
				dst = append(dst, hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029': // line ends in old JavaScript
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hex[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

// appendFloat formats f as ECMAScript and encoding/json do.
func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, fmt.Errorf("%v is not a JSON number", f)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, 64)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}

// IsNumber reports whether s is a JSON number.
func IsNumber(s string) bool {
	end, _, wrong := scanNumber(s, 0)
	return wrong == "" && end == len(s)
}
