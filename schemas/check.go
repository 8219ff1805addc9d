package schemas

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

const maxSchemaDepth = 64

// checkSchema finds the mistakes that the library accepts, or reports without a place.
func checkSchema(doc any) []Problem {
	if deeper(doc, maxSchemaDepth) {
		return []Problem{{Message: fmt.Sprintf("nested deeper than %d levels", maxSchemaDepth)}}
	}
	c := checker{root: doc}
	switch strings.TrimSuffix(draftOf(doc), "#") {
	case draft2020, draft2019, draft07:
	default:
		c.add("/$schema", "must be %s, %s or %s", draft2020, draft2019, draft07)
	}
	c.walk(doc, "")
	return c.problems
}

func deeper(v any, levels int) bool {
	inside := func(v any) bool { return deeper(v, levels-1) }
	switch v := v.(type) {
	case map[string]any:
		return levels == 0 || slices.ContainsFunc(slices.Collect(maps.Values(v)), inside)
	case []any:
		return levels == 0 || slices.ContainsFunc(v, inside)
	default:
		return false
	}
}

type checker struct {
	root     any
	problems []Problem
}

func (c *checker) add(pointer, format string, args ...any) {
	c.problems = append(c.problems, Problem{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// walk checks the schema or list of schemas v.
func (c *checker) walk(v any, at string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			c.keyword(name, v[name], at+"/"+plain.EscapeToken(name))
		}
	case []any:
		for i, item := range v {
			c.walk(item, at+"/"+strconv.Itoa(i))
		}
	}
}

func (c *checker) keyword(name string, value any, at string) {
	switch name {
	case "const", "enum", "default", "examples": // data
	case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains":
		c.number(value, at, math.MaxInt32)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		c.number(value, at, math.MaxFloat64)
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies":
		members, _ := value.(map[string]any) // its names are not keywords
		for _, member := range slices.Sorted(maps.Keys(members)) {
			c.walk(members[member], at+"/"+plain.EscapeToken(member))
		}
	case "$id":
		c.add(at, "only the root schema may have an $id")
	case "$ref", "$dynamicRef", "$recursiveRef":
		if text, ok := value.(string); ok {
			c.reference(text, at)
		}
	default:
		if !strings.HasPrefix(name, "x-") {
			c.walk(value, at)
		}
	}
}

// number refuses numbers that the library would misread.
func (c *checker) number(value any, at string, most float64) {
	if n, ok := value.(json.Number); ok {
		if f, err := n.Float64(); err != nil || f > most {
			c.add(at, "is out of range")
		}
	}
}

func (c *checker) reference(text, at string) {
	fragment, local := strings.CutPrefix(text, "#")
	if !local {
		c.add(at, "must point into the schema itself (#…), nothing else is loaded")
		return
	}
	if !strings.HasPrefix(fragment, "/") || fragment == "/" {
		return // the root, or an anchor, which the library resolves
	}
	if pointer, err := url.PathUnescape(fragment); err != nil || !resolves(c.root, pointer) {
		c.add(at, "does not exist in the schema")
	}
}

func resolves(v any, pointer string) bool {
	_, ok := plain.LookupPointer(v, pointer)
	return ok
}
