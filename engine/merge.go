package engine

import (
	"errors"
	"maps"
)

var errGivesNoObject = errors.New("gives no object")

// mergeDeep lays over on base without writing into either: objects are merged deeply,
// anything else is replaced.
func mergeDeep(base any, over map[string]any) any {
	object, ok := base.(map[string]any)
	if !ok {
		return over
	}
	out := maps.Clone(object)
	for key, value := range over {
		if inner, ok := value.(map[string]any); ok {
			if _, both := out[key].(map[string]any); both {
				out[key] = mergeDeep(out[key], inner)
				continue
			}
		}
		out[key] = value
	}
	return out
}

// isNothing reports whether v carries no value: absent, or objects all the way down.
// Null, "", false, 0 and [] are values.
func isNothing(v any) bool {
	object, ok := v.(map[string]any)
	if !ok {
		return v == nil
	}
	for _, member := range object {
		if inner, ok := member.(map[string]any); !ok || !isNothing(inner) {
			return false
		}
	}
	return true
}

// withoutNulls is v without members that are null, however deep, copying what it changes.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			if member != nil {
				out[key] = withoutNulls(member)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if item != nil {
				out = append(out, withoutNulls(item))
			}
		}
		return out
	default:
		return v
	}
}
