package jsonata

import "encoding/json"

// plainPath returns the names of an expression of names joined by dots, context.api_key; nil for
// any other.
func plainPath(src string) []string {
	tokens := significant(lex(src))
	if len(tokens)%2 == 0 {
		return nil
	}
	names := make([]string, 0, len(tokens)/2+1)
	for i, t := range tokens {
		if i%2 == 1 {
			if !t.is(src, ".") {
				return nil
			}
			continue
		}
		if t.kind != tokenName {
			return nil
		}
		switch name := t.text(src); name {
		case "true", "false", "null", "and", "or", "in":
			return nil
		default:
			names = append(names, name)
		}
	}
	return names
}

// readPath evaluates a plain path without gnata. isPlain is false if a value on the path is an
// array or its end is an array or object.
func readPath(bindings map[string]any, path []string) (value any, present, isPlain bool) {
	at := bindings
	for i, name := range path {
		v, ok := at[name]
		if !ok {
			return nil, false, true
		}
		if i == len(path)-1 {
			switch v.(type) {
			case string, bool, json.Number:
				return v, true, true
			}
			return nil, false, false
		}
		if at, ok = v.(map[string]any); !ok {
			return nil, false, false
		}
	}
	return nil, false, false
}
