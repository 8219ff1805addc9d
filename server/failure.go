package server

import "fmt"

// Code says what is wrong with one field. The set is closed and part of the contract.
type Code string

// The codes of a Failure.
const (
	CodeRequired    Code = "required"    // a field that must be there is not
	CodeType        Code = "type"        // the value is of another type than the field
	CodeEnum        Code = "enum"        // the value is none of those allowed; Allowed lists them
	CodeFormat      Code = "format"      // a string that does not look as it must: uuid, date, pattern
	CodeRange       Code = "range"       // a number too small, too large or not of the step asked for
	CodeLength      Code = "length"      // too few or too many characters, entries or properties
	CodeAdditional  Code = "additional"  // a name that nothing knows
	CodeUnsupported Code = "unsupported" // the unified model knows the field, this provider does not
	CodeNull        Code = "null"        // null where the provider cannot clear the field
	CodeEmpty       Code = "empty"       // nothing given where something is needed
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
	// Allowed lists the values that would do, where there is such a list.
	Allowed []any `json:"allowed,omitempty"`
	// ProviderField is the provider's own name of the field; CodeProvider only.
	ProviderField string `json:"provider_field,omitempty"`
	// Line and Column, from 1, are a place in the expression; CodeMapping only.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
}

func failuref(pointer string, code Code, format string, args ...any) Failure {
	return Failure{Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)}
}
