package jsonata

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

var (
	errWantArray  = errors.New("wants an array")
	errWantObject = errors.New("wants an object")
	errWantText   = errors.New("wants text")
)

// items is an argument that may be one value or many, as JSONata leaves it open.
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
		if says(item) {
			out = append(out, item)
		}
	}
	return out, nil
}

// says is JavaScript's: only null, false, 0 and the empty text are not.
func says(v any) bool {
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
		f, err := v.Float64()
		return err != nil || f != 0
	default:
		return true
	}
}

// mapValues looks values up in a table; the part that calls a function is in JSONata.
func mapValues(args []any) (any, error) {
	table, ok := args[1].(map[string]any)
	if !ok && args[1] != nil {
		return nil, errors.New("wants a table or a function as argument 2")
	}
	l := lookup{table: table}
	if len(args) > 2 && args[2] != nil {
		if l.ignoreCase, ok = args[2].(bool); !ok {
			return nil, errors.New("wants true or false as argument 3")
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
		return jsonNullValue, nil // the table says null
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

// keyText is v as the name of a member: texts, numbers and booleans can be one.
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

func orUndefined(out map[string]any, given any, err error) (any, error) {
	if err != nil || given == nil {
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
		return errors.New("wants the name of a field as argument 2")
	}
	for _, item := range items(args[0]) {
		v := item
		for name := range strings.SplitSeq(path, ".") {
			object, ok := v.(map[string]any)
			if !ok && v != nil {
				return errors.New("wants an array of objects")
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

// objectAndKeys is nil where the object is undefined.
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
				return nil, nil, errors.New("wants names as argument 2")
			}
			keys = append(keys, text)
		}
	}
	return object, keys, nil
}
