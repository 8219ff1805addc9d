package gateway

import (
	"fmt"
	"strings"

	"portolan/schemas"
)

// Code says what is wrong with one field. The set is closed and part of the contract.
type Code string

// The codes of a Failure.
const (
	CodeRequired    Code = "required"    // a field that must be there is missing
	CodeType        Code = "type"        // the value is of another type than the field
	CodeEnum        Code = "enum"        // the value is not one of those allowed; Allowed lists them
	CodeFormat      Code = "format"      // a string that does not look as it must: uuid, date, pattern
	CodeRange       Code = "range"       // a number too small, too large or not of the step asked for
	CodeLength      Code = "length"      // too few or too many characters, entries or properties
	CodeAdditional  Code = "additional"  // a name that nothing knows
	CodeUnsupported Code = "unsupported" // the unified model knows the field, this provider does not
	CodeNull        Code = "null"        // null, but the provider cannot clear the field
	CodeEmpty       Code = "empty"       // nothing is given and something is needed
	CodeSyntax      Code = "syntax"      // query or body cannot be read without doubt
	CodeLimit       Code = "limit"       // more of something than one request may hold
	CodeProvider    Code = "provider"    // the provider found fault with the field
	CodeMapping     Code = "mapping"     // an override that does not compile or fit; Line and Column lead into it
)

// Failure is one thing wrong with a request, in the shape that callers see.
type Failure struct {
	// Pointer names the caller's field: a JSON pointer into the body ("/roles/0/id", "" for
	// the body itself), or "?" and a name for the query ("?collections[0][id]").
	Pointer string `json:"pointer"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Allowed lists the values that would do, if there is such a list.
	Allowed []any `json:"allowed,omitempty"`
	// ProviderField is the provider's own name of the field; CodeProvider only.
	ProviderField string `json:"provider_field,omitempty"`
	// Line and Column, from 1, are a place in the expression; CodeMapping only.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

// Failuref is a failure with a formatted message.
func Failuref(pointer string, code Code, format string, args ...any) Failure {
	return Failure{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)}
}

// QueryFailuref is a failure of the query parameter name, whose message begins with that name:
// "limit must be a whole number".
func QueryFailuref(name string, code Code, format string, args ...any) Failure {
	f := Failuref("?"+name, code, format, args...)
	f.Message = shortened(name) + " " + f.Message
	return f
}

// PathID is the pointer of the path's id, which is neither in the body nor in the query.
const PathID = "{id}"

// SchemaFailures holds a body against schema; none if schema is nil.
func SchemaFailures(schema *schemas.Schema, body map[string]any) []Failure {
	return failuresOf(schema, body, func(pointer string) string { return pointer })
}

// queryFailures holds a query against schema.
func queryFailures(schema *schemas.Schema, query map[string]any) []Failure {
	return failuresOf(schema, query, queryPointer)
}

func failuresOf(schema *schemas.Schema, v map[string]any, pointer func(string) string) []Failure {
	if schema == nil {
		return nil
	}
	if v == nil {
		v = map[string]any{}
	}
	var out []Failure
	for _, violation := range schema.Validate(v) {
		at, message := pointer(violation.Pointer), violation.Message
		if rest, ok := strings.CutPrefix(message, strings.TrimPrefix(violation.Pointer, "/")+" "); ok && at != violation.Pointer {
			message = strings.TrimPrefix(at, "?") + " " + rest // in the words of the query
		}
		out = append(out, Failure{Pointer: at, Code: Code(violation.Code), Message: message, Allowed: violation.Allowed})
	}
	return out
}

// queryPointer turns /collections/0/id into ?collections[0][id].
func queryPointer(pointer string) string {
	if pointer == "" {
		return "?"
	}
	names := strings.Split(pointer[1:], "/")
	if len(names) == 1 {
		return "?" + names[0]
	}
	return "?" + names[0] + "[" + strings.Join(names[1:], "][") + "]"
}
