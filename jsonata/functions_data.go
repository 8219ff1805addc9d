package jsonata

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

var (
	errWantArray  = errors.New("expects an array")
	errWantObject = errors.New("expects an object")
	errWantText   = errors.New("expects a text")
)

// items returns v's items, or v itself if it is not an array.
func items(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func compact(args []any) (any, error) {
	if args[0] == nil {
		return nil, nil
	}
	list, ok := args[0].([]any)
	if !ok {
		return nil, errWantArray
	}
	out := make([]any, 0, len(list))
	for _, item := range list {
		if plain.JSTruthy(item) {
			out = append(out, item)
		}
	}
	return out, nil
}

// mapValues looks values up in a table. The form with a function is in libraryInJSONata.
func mapValues(args []any) (any, error) {
	table, ok := args[1].(map[string]any)
	if !ok && args[1] != nil {
		return nil, errors.New("expects an object or a function as argument 2")
	}
	l := lookup{table: table}
	if len(args) > 2 && args[2] != nil {
		if l.ignoreCase, ok = args[2].(bool); !ok {
			return nil, errors.New("expects true or false as argument 3")
		}
	}
	if len(args) > 3 {
		l.otherwise = args[3]
	}
	if l.ignoreCase {
		l.table = make(map[string]any, len(table))
		for _, k := range slices.Sorted(maps.Keys(table)) {
			l.table[strings.ToLower(k)] = table[k]
		}
	}
	v := l.value(args[0])
	if v == nil && args[0] != nil {
		return jsonNullValue, nil // null in the table
	}
	return v, nil
}

type lookup struct {
	table      map[string]any
	ignoreCase bool
	otherwise  any // nil: the value itself
}

func (l lookup) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = l.value(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = l.value(item)
		}
		return out
	}
	key, ok := keyText(v)
	if l.ignoreCase {
		key = strings.ToLower(key)
	}
	if found, in := l.table[key]; ok && in {
		return found
	}
	if l.otherwise != nil {
		return l.otherwise
	}
	return v
}

// keyText returns v as a member's name; false if it is not a text, number or boolean.
func keyText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	default:
		return "", false
	}
}

func groupBy(args []any) (any, error) {
	out := map[string]any{}
	err := eachKeyed(args, func(key string, item any) {
		group, _ := out[key].([]any)
		out[key] = append(group, item)
	})
	return orUndefined(out, args[0], err)
}

func keyBy(args []any) (any, error) {
	out := map[string]any{}
	err := eachKeyed(args, func(key string, item any) { out[key] = item })
	return orUndefined(out, args[0], err)
}

// orUndefined returns out, or undefined if the argument is.
func orUndefined(out map[string]any, argument any, err error) (any, error) {
	if err != nil || argument == nil {
		return nil, err
	}
	return out, nil
}

// eachKeyed calls f for every item whose field at the path args[1] can be a key.
func eachKeyed(args []any, f func(key string, item any)) error {
	if args[0] == nil {
		return nil
	}
	path, ok := args[1].(string)
	if !ok || path == "" {
		return errors.New("expects the name of a field as argument 2")
	}
	for _, item := range items(args[0]) {
		v := item
		for name := range strings.SplitSeq(path, ".") {
			object, ok := v.(map[string]any)
			if !ok && v != nil {
				return errors.New("expects an array of objects")
			}
			v = object[name]
		}
		if key, ok := keyText(v); ok {
			f(key, item)
		}
	}
	return nil
}

func pick(args []any) (any, error) {
	object, keys, err := objectAndKeys(args)
	if object == nil || err != nil {
		return nil, err
	}
	out := make(map[string]any, len(keys))
	for _, k := range keys {
		if v, ok := object[k]; ok {
			out[k] = v
		}
	}
	return out, nil
}

func omit(args []any) (any, error) {
	object, keys, err := objectAndKeys(args)
	if object == nil || err != nil {
		return nil, err
	}
	out := maps.Clone(object)
	for _, k := range keys {
		delete(out, k)
	}
	return out, nil
}

// objectAndKeys returns the arguments of pick and omit; nil if the object is undefined.
func objectAndKeys(args []any) (map[string]any, []string, error) {
	if args[0] == nil {
		return nil, nil, nil
	}
	object, ok := args[0].(map[string]any)
	if !ok {
		return nil, nil, errWantObject
	}
	var keys []string
	if args[1] != nil {
		for _, k := range items(args[1]) {
			text, ok := k.(string)
			if !ok {
				return nil, nil, errors.New("expects names as argument 2")
			}
			keys = append(keys, text)
		}
	}
	return object, keys, nil
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
