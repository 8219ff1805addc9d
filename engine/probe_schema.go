package engine

import (
	"maps"
	"slices"

	"portolan/plain"
)

// schemaPair is one place in the unified schema and in the mapping's.
type schemaPair struct{ unified, own map[string]any }

func (s schemaPair) property(name string) schemaPair {
	return schemaPair{member(member(s.unified, "properties"), name), member(member(s.own, "properties"), name)}
}

// at returns the place of a path of leafPaths.
func (s schemaPair) at(path []string) schemaPair {
	for _, name := range path {
		if name == "*" {
			s = s.items()
		} else {
			s = s.property(name)
		}
	}
	return s
}

func (s schemaPair) items() schemaPair {
	return schemaPair{member(s.unified, "items"), member(s.own, "items")}
}

// find returns a keyword's value, of the mapping's schema or else of the unified one.
func (s schemaPair) find(keyword string) any {
	if v, ok := s.own[keyword]; ok {
		return v
	}
	return s.unified[keyword]
}

func (s schemaPair) required() []string {
	var out []string
	for _, list := range []any{s.unified["required"], s.own["required"]} {
		names, _ := list.([]any)
		for _, n := range names {
			if name, ok := n.(string); ok && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

func (s schemaPair) number(keyword string, otherwise int) int {
	if n, ok := plain.Int(s.find(keyword)); ok {
		return n
	}
	return otherwise
}

// kind returns the JSON type other than null; "" if none is declared.
func (s schemaPair) kind() string {
	for _, schema := range []map[string]any{s.own, s.unified} {
		types, isList := schema["type"].([]any)
		if !isList {
			types = []any{schema["type"]}
		}
		for _, t := range types {
			if name, ok := t.(string); ok && name != "null" {
				return name
			}
		}
	}
	return ""
}

func member(m map[string]any, name string) map[string]any {
	v, _ := m[name].(map[string]any)
	return v
}

// leafPaths returns the paths of a schema's leaves: "emails", "*", "email". An object without
// properties is a leaf.
func leafPaths(schema map[string]any, path []string) [][]string {
	extend := func(name string) []string { return append(slices.Clone(path), name) }
	if properties := member(schema, "properties"); len(properties) > 0 {
		var out [][]string
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if len(path) > 0 || name != RemoteData {
				out = append(out, leafPaths(member(properties, name), extend(name))...)
			}
		}
		return out
	}
	if items := member(schema, "items"); items != nil {
		return leafPaths(items, extend("*"))
	}
	return [][]string{path}
}
