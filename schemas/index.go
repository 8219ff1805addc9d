package schemas

import (
	"net/url"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"portolan/plain"
)

// index finds the compiled schema that an error of the library refers to: the library
// reports a missing or unknown property as text only.
type index map[string]entry // by absolute location

type entry struct {
	schema *jsonschema.Schema
	names  bool // its values are the names of properties
}

func newIndex(root *jsonschema.Schema) index {
	x := index{}
	x.add(root, false)
	return x
}

func (x index) add(s *jsonschema.Schema, names bool) {
	if s == nil {
		return
	}
	known, seen := x[s.Location]
	x[s.Location] = entry{schema: s, names: names || known.names}
	if seen {
		return
	}
	x.add(s.PropertyNames, true)
	for _, one := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		switch one := one.(type) {
		case *jsonschema.Schema:
			x.add(one, false)
		case []*jsonschema.Schema:
			x.all(one)
		}
	}
	x.all([]*jsonschema.Schema{
		s.Ref, s.RecursiveRef, s.DynamicRef, s.Not, s.If, s.Then, s.Else,
		s.UnevaluatedProperties, s.Items2020, s.Contains, s.UnevaluatedItems,
	})
	x.all(s.AllOf)
	x.all(s.AnyOf)
	x.all(s.OneOf)
	x.all(s.PrefixItems)
	for _, p := range s.Properties {
		x.add(p, false)
	}
	for _, p := range s.PatternProperties {
		x.add(p, false)
	}
	for _, p := range s.DependentSchemas {
		x.add(p, false)
	}
	for _, p := range s.Dependencies {
		if p, ok := p.(*jsonschema.Schema); ok {
			x.add(p, false)
		}
	}
}

func (x index) all(schemas []*jsonschema.Schema) {
	for _, s := range schemas {
		x.add(s, false)
	}
}

// find returns the schema that owns a keyword's location and the keyword's path in it:
// ["required"], ["dependentRequired", "a", "0"]. The path is empty for the schema false.
func (x index) find(location string) (e entry, path []string) {
	owner := location
	for range 4 {
		e, ok := x[owner]
		if ok && (len(path) > 0 || e.schema.Always != nil) {
			return e, path
		}
		slash := strings.LastIndexByte(owner, '/')
		if slash < 0 {
			break
		}
		path = append([]string{plain.UnescapeToken(unquoteURL(owner[slash+1:]))}, path...)
		owner = owner[:slash]
	}
	return entry{}, nil
}

func unquoteURL(text string) string {
	if unquoted, err := url.PathUnescape(text); err == nil {
		return unquoted
	}
	return text
}
