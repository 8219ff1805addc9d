package schemas

import (
	"maps"
	"slices"
)

// Nullable returns a copy of an object's schema that also allows null for each member, at any depth.
// Entries of arrays are not nullable, but their members are.
func Nullable(schema map[string]any) map[string]any {
	out := maps.Clone(schema)
	if items, ok := schema["items"].(map[string]any); ok {
		out["items"] = Nullable(items)
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok {
		return out
	}
	nullable := make(map[string]any, len(properties))
	for name, property := range properties {
		nullable[name] = property
		if object, ok := property.(map[string]any); ok {
			nullable[name] = orNull(Nullable(object))
		}
	}
	out["properties"] = nullable
	return out
}

// orNull adds null to what schema, which it may change, allows.
func orNull(schema map[string]any) map[string]any {
	switch types := schema["type"].(type) {
	case string:
		schema["type"] = []any{types, "null"}
	case []any:
		schema["type"] = append(slices.Clone(types), "null")
	}
	if values, ok := schema["enum"].([]any); ok {
		schema["enum"] = append(slices.Clone(values), nil)
	}
	return schema
}
