package jsonata

import (
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

// These functions give the results of Truto's public function library, whose arrays and objects are
// those of lodash: null and nothing are an empty array or object, any other value is an array of one.

// items returns v's items, or v itself if it is not an array; nothing for null.
func items(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

func compact(args []any) (any, error) {
	out := []any{}
	for _, item := range items(args[0]) {
		if plain.JSTruthy(item) {
			out = append(out, item)
		}
	}
	return out, nil
}

// mapValues looks values up in a table, in any case of letters. The form with a function is in
// libraryInJSONata.
func mapValues(args []any) (any, error) {
	table, ok := args[1].(map[string]any)
	switch {
	case !ok && args[1] != nil:
		return nil, errors.New("expects an object or a function as argument 2")
	case args[0] == nil && len(args) > 3:
		return args[3], nil
	}
	lowered := len(args) > 2 && args[2] == true // the table's keys are in lower case already
	byKey := make(map[string]any, len(table))
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if lowered {
			byKey[key] = table[key]
		} else if lower := strings.ToLower(key); byKey[lower] == nil || key == lower {
			byKey[lower] = table[key]
		}
	}
	return lookUp(args[0], byKey), nil
}

// lookUp replaces the texts and numbers in v that are in the table.
func lookUp(v any, table map[string]any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = lookUp(member, table)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = lookUp(item, table)
		}
		return out
	case string, float64, json.Number:
		if found := table[strings.ToLower(jsText(v))]; found != nil {
			return found
		}
	}
	return v
}

// jsText returns v as JavaScript's String does.
func jsText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		texts := make([]string, len(v))
		for i, item := range v {
			if item != nil {
				texts[i] = jsText(item)
			}
		}
		return strings.Join(texts, ",")
	default:
		return "[object Object]"
	}
}

// number returns v, of any of the types of numbers.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	default:
		return 0, false
	}
}

func groupBy(args []any) (any, error) {
	out := map[string]any{}
	for _, item := range items(args[0]) {
		key := keyOf(item, args[1])
		group, _ := out[key].([]any)
		out[key] = append(group, item)
	}
	return out, nil
}

func keyBy(args []any) (any, error) {
	out := map[string]any{}
	for _, item := range items(args[0]) {
		out[keyOf(item, args[1])] = item
	}
	return out, nil
}

// keyOf returns the text at path in item; "undefined" if there is nothing.
func keyOf(item, path any) string {
	if v, found := at(item, jsText(path)); found {
		return jsText(v)
	}
	return "undefined"
}

var pathIndex = regexp.MustCompile(`\[(\d+)\]`)

// pathNames returns the names in a path, a.b[0].c. A path that is a member's name is that name.
func pathNames(v any, path string) []string {
	if object, ok := v.(map[string]any); ok {
		if _, found := object[path]; found {
			return []string{path}
		}
	}
	if !strings.ContainsAny(path, ".[") {
		return []string{path}
	}
	return strings.Split(strings.TrimPrefix(pathIndex.ReplaceAllString(path, ".$1"), "."), ".")
}

// at returns the value at a path in v.
func at(v any, path string) (any, bool) {
	for _, name := range pathNames(v, path) {
		found := false
		switch container := v.(type) {
		case map[string]any:
			v, found = container[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(container) {
				v, found = container[i], true
			}
		}
		if !found {
			return nil, false
		}
	}
	return v, true
}

func pick(args []any) (any, error) {
	out := map[string]any{}
	for _, path := range items(args[1]) {
		if v, found := at(args[0], jsText(path)); found {
			place(out, args[0], pathNames(args[0], jsText(path)), v)
		}
	}
	return out, nil
}

// place sets the value at names in out, whose containers are those of from.
func place(out, from any, names []string, v any) any {
	if len(names) == 0 {
		return v
	}
	switch from := from.(type) {
	case map[string]any:
		object, _ := out.(map[string]any)
		if object == nil {
			object = map[string]any{}
		}
		object[names[0]] = place(object[names[0]], from[names[0]], names[1:], v)
		return object
	case []any:
		i, _ := strconv.Atoi(names[0]) // at found it
		list, _ := out.([]any)
		for len(list) <= i {
			list = append(list, nil)
		}
		list[i] = place(list[i], from[i], names[1:], v)
		return list
	default:
		return v
	}
}

func omit(args []any) (any, error) {
	object, ok := args[0].(map[string]any)
	if !ok {
		return map[string]any{}, nil
	}
	out := any(maps.Clone(object))
	for _, path := range items(args[1]) {
		out = without(out, pathNames(out, jsText(path)))
	}
	return out, nil
}

// without returns a copy of v without the member at names.
func without(v any, names []string) any {
	switch container := v.(type) {
	case map[string]any:
		inner, found := container[names[0]]
		if !found {
			return v
		}
		out := maps.Clone(container)
		if delete(out, names[0]); len(names) > 1 {
			out[names[0]] = without(inner, names[1:])
		}
		return out
	case []any:
		i, err := strconv.Atoi(names[0])
		if err != nil || i < 0 || i >= len(container) {
			return v
		}
		out := slices.Clone(container)
		if out[i] = nil; len(names) > 1 {
			out[i] = without(container[i], names[1:])
		}
		return out
	default:
		return v
	}
}

func values(args []any) (any, error) {
	switch v := args[0].(type) {
	case map[string]any:
		out := make([]any, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = append(out, v[name])
		}
		return out, nil
	case []any:
		return v, nil
	case string:
		out := []any{}
		for _, c := range v {
			out = append(out, string(c))
		}
		return out, nil
	default:
		return []any{}, nil
	}
}

func flattenDepth(args []any) (any, error) {
	depth := 1.0
	if len(args) > 1 && args[1] != nil {
		depth, _ = number(args[1])
	}
	return flattened(args[0], int(min(depth, MaxValueDepth))), nil
}

// flattened replaces arrays in v by their items, depth levels deep.
func flattened(v any, depth int) []any {
	out := []any{}
	var add func(list []any, depth int)
	add = func(list []any, depth int) {
		for _, item := range list {
			if inner, ok := item.([]any); ok && depth > 0 {
				add(inner, depth-1)
			} else {
				out = append(out, item)
			}
		}
	}
	add(items(v), depth)
	return out
}

func chunk(args []any) (any, error) {
	size := 1.0
	if len(args) > 1 && args[1] != nil {
		size, _ = number(args[1])
	}
	out := []any{}
	if size >= 1 {
		for part := range slices.Chunk(items(args[0]), int(min(size, 1<<30))) {
			out = append(out, slices.Clone(part))
		}
	}
	return out, nil
}

// difference returns the items that are not in another array. Arrays and objects equal none.
func difference(args []any) (any, error) {
	excluded := map[any]bool{}
	for _, arg := range args[1:] {
		if list, ok := arg.([]any); ok {
			for _, item := range list {
				if key, ok := scalar(item); ok {
					excluded[key] = true
				}
			}
		}
	}
	out := []any{}
	for _, item := range items(args[0]) {
		if key, ok := scalar(item); !ok || !excluded[key] {
			out = append(out, item)
		}
	}
	return out, nil
}

// scalar returns v as a key of a map; false for arrays and objects.
func scalar(v any) (any, bool) {
	if f, ok := number(v); ok {
		return f, true
	}
	switch v.(type) {
	case nil, bool, string:
		return v, true
	default:
		return nil, false
	}
}
