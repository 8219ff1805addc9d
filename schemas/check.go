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
	"portolan/source"
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

// content is what a keyword holds.
type content int

const (
	holdsValue     content = iota // a value in which no schema stands
	holdsCount                    // a number that the library reads as an int32
	holdsNumber                   // a number that it reads as a float64
	holdsSchemas                  // a schema, or a list of schemas
	holdsMembers                  // schemas by name
	holdsID                       // a URL
	holdsReference                // a URL to follow
)

// keywords are the keywords of JSON Schema, those of the drafts before 2020-12 included.
var keywords = map[string]content{
	"const": holdsValue, "enum": holdsValue, "default": holdsValue, "examples": holdsValue, "type": holdsValue, "required": holdsValue,
	"dependentRequired": holdsValue, "pattern": holdsValue, "format": holdsValue, "uniqueItems": holdsValue, "title": holdsValue,
	"description": holdsValue, "deprecated": holdsValue, "readOnly": holdsValue, "writeOnly": holdsValue, "contentMediaType": holdsValue,
	"contentEncoding": holdsValue, "$comment": holdsValue, "$schema": holdsValue, "$vocabulary": holdsValue,
	"$anchor": holdsValue, "$dynamicAnchor": holdsValue, "$recursiveAnchor": holdsValue,

	"minLength": holdsCount, "maxLength": holdsCount, "minItems": holdsCount, "maxItems": holdsCount, "minProperties": holdsCount, "maxProperties": holdsCount,
	"minContains": holdsCount, "maxContains": holdsCount,
	"minimum": holdsNumber, "maximum": holdsNumber, "exclusiveMinimum": holdsNumber, "exclusiveMaximum": holdsNumber, "multipleOf": holdsNumber,

	"items": holdsSchemas, "prefixItems": holdsSchemas, "additionalItems": holdsSchemas, "unevaluatedItems": holdsSchemas, "contains": holdsSchemas,
	"additionalProperties": holdsSchemas, "unevaluatedProperties": holdsSchemas, "propertyNames": holdsSchemas, "contentSchema": holdsSchemas,
	"not": holdsSchemas, "if": holdsSchemas, "then": holdsSchemas, "else": holdsSchemas, "allOf": holdsSchemas, "anyOf": holdsSchemas, "oneOf": holdsSchemas,

	"properties": holdsMembers, "patternProperties": holdsMembers, "$defs": holdsMembers, "definitions": holdsMembers, "dependentSchemas": holdsMembers,
	"dependencies": holdsMembers,

	"$id": holdsID, "$ref": holdsReference, "$dynamicRef": holdsReference, "$recursiveRef": holdsReference,
}

func (c *checker) keyword(name string, value any, at string) {
	kind, known := keywords[name]
	switch {
	case strings.HasPrefix(name, "x-"): // a remark
	case !known:
		c.unknown(name, at)
	case kind == holdsCount:
		c.number(value, at, math.MaxInt32)
	case kind == holdsNumber:
		c.number(value, at, math.MaxFloat64)
	case kind == holdsSchemas:
		c.walk(value, at)
	case kind == holdsMembers:
		schemas, _ := value.(map[string]any) // its names are not keywords
		for _, member := range slices.Sorted(maps.Keys(schemas)) {
			c.walk(schemas[member], at+"/"+plain.EscapeToken(member))
		}
	case kind == holdsID:
		c.add(at, "only the root schema may have an $id")
	case kind == holdsReference:
		if text, ok := value.(string); ok {
			c.reference(text, at)
		}
	}
}

func (c *checker) unknown(name, at string) {
	hint := ""
	if near := source.Nearest(name, slices.Sorted(maps.Keys(keywords))); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	c.add(at, "is not a keyword of JSON Schema%s", hint)
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
