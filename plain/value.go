// Package plain holds JSON values as they are: nil, bool, string, json.Number, []any and
// map[string]any, and float64, which only expressions compute. It reads them from documents,
// writes them, and answers what all other packages ask of them. It knows nothing of ours.
//
// Structs of our own (configuration, the admin API) stay with encoding/json.
package plain

import (
	"encoding/json"
	"maps"
	"slices"
)

// Merge lays over on base without writing into either: objects are merged deeply, anything
// else is replaced. The result shares with both what is not merged.
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

// Clone copies v so that nothing can be changed through both.
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

// CloneObject is Clone of an object; of nil it is an empty one.
func CloneObject(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for name, member := range object {
		out[name] = Clone(member)
	}
	return out
}

// IsNothing reports whether v carries no value: it is absent, or objects all the way down.
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

// WithoutNulls is v without the members and items that are null, however deep. It shares with
// v what holds none; v itself stays as it is.
func WithoutNulls(v any) any {
	if !holdsNull(v) {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			if member != nil {
				out[key] = WithoutNulls(member)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if item != nil {
				out = append(out, WithoutNulls(item))
			}
		}
		return out
	default:
		return v
	}
}

func holdsNull(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			if member == nil || holdsNull(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return item == nil || holdsNull(item) })
	}
	return false
}

// Truthy is JSONata's idea of true: not null, false, "", 0, an empty object, nor an array
// without a truthy item.
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

// JSTruthy is JavaScript's idea of true. It differs from Truthy in that every array and every
// object is true, the empty ones too.
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

// Text is v as text, for a URL or a header: a string as it is, anything else as JSON, "" for
// what is not plain JSON.
func Text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := Append(nil, v)
	return string(text)
}
