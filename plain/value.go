// Package plain decodes, encodes, merges and inspects plain JSON values: nil, bool, string,
// json.Number, []any, map[string]any, and float64, which only expressions compute.
//
// Structs (configuration, the admin API) use encoding/json instead.
package plain

import (
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// Merge returns base with over merged over it: objects are merged deeply, anything else is
// replaced. It modifies neither; the result shares unmerged parts with both.
func Merge(base any, over map[string]any) any {
	object, ok := base.(map[string]any)
	if !ok {
		return over
	}
	out := maps.Clone(object)
	for key, value := range over {
		if inner, ok := value.(map[string]any); ok {
			value = Merge(out[key], inner)
		}
		out[key] = value
	}
	return out
}

// Clone returns a deep copy of v.
func Clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return CloneObject(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = Clone(item)
		}
		return out
	default:
		return v
	}
}

// CloneObject returns a deep copy of object, an empty one for nil.
func CloneObject(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for name, member := range object {
		out[name] = Clone(member)
	}
	return out
}

// IsNothing reports whether v has no value: it is nil, or an object of objects only.
// Null inside an object, "", false, 0 and [] are values.
func IsNothing(v any) bool {
	object, ok := v.(map[string]any)
	if !ok {
		return v == nil
	}
	for _, member := range object {
		if inner, ok := member.(map[string]any); !ok || !IsNothing(inner) {
			return false
		}
	}
	return true
}

// WithoutNulls returns v without members and items that are null, at any depth. It does not
// modify v; the result shares parts without nulls with v.
func WithoutNulls(v any) any {
	v, _ = withoutNulls(v)
	return v
}

// withoutNulls also reports whether its result differs from v.
func withoutNulls(v any) (any, bool) {
	switch object := v.(type) {
	case map[string]any:
		var out map[string]any
		for key, member := range object {
			kept, changed := withoutNulls(member)
			if member != nil && !changed {
				continue
			}
			if out == nil {
				out = maps.Clone(object)
			}
			if member == nil {
				delete(out, key)
			} else {
				out[key] = kept
			}
		}
		if out != nil {
			return out, true
		}
	case []any:
		var out []any
		for i, item := range object {
			kept, changed := withoutNulls(item)
			if out == nil && (item == nil || changed) {
				out = append(make([]any, 0, len(object)), object[:i]...)
			}
			if out != nil && item != nil {
				out = append(out, kept)
			}
		}
		if out != nil {
			return out, true
		}
	}
	return v, false
}

// Truthy reports whether v is true in JSONata: not null, false, "", 0, an empty object, or an
// array without a truthy item.
func Truthy(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) > 0
	case []any:
		return slices.ContainsFunc(v, Truthy)
	default:
		return JSTruthy(v)
	}
}

// JSTruthy reports whether v is true in JavaScript. Unlike in Truthy, every array and every
// object is true.
func JSTruthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case float64:
		return v != 0
	case json.Number:
		f, _ := v.Float64() // a number out of range is infinite
		return f != 0
	default:
		return true
	}
}

// Int returns v as an int; false if v is not a whole number.
func Int(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), v == float64(int(v))
	case json.Number:
		i, err := v.Int64()
		return int(i), err == nil
	}
	return 0, false
}

// ValidUTF8 returns data with each byte that is not UTF-8 replaced by U+FFFD, as lenient decoding
// does. It returns data itself if there are none.
func ValidUTF8(data []byte) []byte {
	if utf8.Valid(data) {
		return data
	}
	out := make([]byte, 0, len(data)+len(data)/8)
	for _, r := range string(data) {
		out = utf8.AppendRune(out, r)
	}
	return out
}

// Text returns v as text for a URL or a header: a string unchanged, anything else as JSON, ""
// if v is not plain JSON.
func Text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := Append(nil, v)
	return string(text)
}

// TypeName returns the type of v as JSON Schema and JSONata call it: "object", "number" or "null".
func TypeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return "number"
	}
}
