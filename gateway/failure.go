package gateway

import (
	"fmt"
	"strings"

	"portolan/schemas"
)

// Code classifies failures. The set is closed and part of the contract.
type Code string

// The codes of a Failure.
const (
	CodeRequired    Code = "required"    // a required field is missing
	CodeType        Code = "type"        // the value has the wrong type
	CodeEnum        Code = "enum"        // the value is not one of Allowed
	CodeFormat      Code = "format"      // the string is not in the required format: uuid, date, pattern
	CodeRange       Code = "range"       // the number is too small, too large or not a multiple of the step
	CodeLength      Code = "length"      // too few or too many characters, entries or properties
	CodeAdditional  Code = "additional"  // the name is unknown
	CodeUnsupported Code = "unsupported" // the unified model has the field, but this integration does not support it
	CodeNull        Code = "null"        // null, but the provider cannot clear the field
	CodeEmpty       Code = "empty"       // a value is required, but none is given
	CodeSyntax      Code = "syntax"      // query or body is malformed or ambiguous
	CodeLimit       Code = "limit"       // the request exceeds a limit
	CodeProvider    Code = "provider"    // the provider refused the field
	CodeMapping     Code = "mapping"     // the override does not compile or fit; Line and Column are its place
)

// Failure is one error in a request, in the shape that callers see.
type Failure struct {
	// Pointer names the caller's field: a JSON pointer into the body ("/roles/0/id", "" for
	// the body itself), or "?" and a name for the query ("?collections[0][id]").
	Pointer string `json:"pointer"`
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Allowed lists the allowed values, if there is such a list.
	Allowed []any `json:"allowed,omitempty"`
	// ProviderField is the provider's name of the field; CodeProvider only.
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

// SchemaFailures validates a body by schema; no failures if schema is nil.
func SchemaFailures(schema *schemas.Schema, body map[string]any) []Failure {
	return failuresOf(schema, body, func(pointer string) string { return pointer })
}

// queryFailures validates a query by schema.
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
