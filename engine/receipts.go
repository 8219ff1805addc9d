package engine

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

// Outcome is what happens to a unified field or query parameter.
type Outcome string

// The outcomes of a Receipt.
const (
	Applied       Outcome = "applied"        // it is mapped and sent
	Unsupported   Outcome = "unsupported"    // this mapping does not use it, or remote_data replaces it
	PassedThrough Outcome = "passed_through" // it is sent unchanged
)

// Receipt is the outcome of one part of a request. Pointer names a part of the body
// ("/emails/0/type") or a query parameter ("?collections").
type Receipt struct {
	Pointer string  `json:"pointer"`
	Outcome Outcome `json:"outcome"`
	// ReplacedBy is "/remote_data" if that has other values in all places that the field sets.
	ReplacedBy string `json:"replaced_by,omitempty"`
}

// Receipts returns a receipt for every leaf of req's body and every unified query parameter,
// sorted by pointer within body and query. A field without a used leaf, or with any value
// (custom_fields), has one receipt.
func (p *Plan) Receipts(req *Request) []Receipt {
	var out []Receipt
	leaves := leafReceipts{plan: p}
	leaves.remote, _ = req.Body[RemoteData].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(req.Body)) {
		if name == RemoteData {
			out = append(out, Receipt{Pointer: "/" + name, Outcome: PassedThrough})
			continue
		}
		leaves.found = nil
		leaves.add("/"+name, req.Body[name])
		if !slices.ContainsFunc(leaves.found, func(r Receipt) bool { return r.Outcome == Applied || r.ReplacedBy != "" }) {
			leaves.found = []Receipt{{Pointer: "/" + name, Outcome: Unsupported}}
		}
		out = append(out, leaves.found...)
	}
	for _, name := range slices.Sorted(maps.Keys(req.Query)) {
		out = append(out, Receipt{Pointer: "?" + name, Outcome: outcomeOf(slices.Contains(p.support.Query, name))})
	}
	if len(req.RemoteQuery) > 0 {
		out = append(out, Receipt{Pointer: "?remote_query", Outcome: PassedThrough})
	}
	return out
}

// maxReceiptPointer is the longest pointer whose value is examined, in bytes. Those of unified
// fields are shorter.
const maxReceiptPointer = 100

// leafReceipts collects the receipts of a field's leaves.
type leafReceipts struct {
	plan   *Plan
	remote map[string]any // the caller's remote_data
	found  []Receipt
}

func (l *leafReceipts) add(pointer string, v any) {
	if len(pointer) > maxReceiptPointer {
		l.found = append(l.found, Receipt{Pointer: pointer, Outcome: Unsupported})
		return
	}
	if pattern, index := pointerPattern(pointer); l.plan.support.leaf(pattern) != nil {
		l.found = append(l.found, l.receipt(pointer, l.plan.support.leaf(pattern).fields(index), v))
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			l.add(pointer+"/"+plain.EscapeToken(name), v[name])
		}
		if len(v) > 0 {
			return
		}
	case []any:
		for i, item := range v {
			l.add(pointer+"/"+strconv.Itoa(i), item)
		}
		if len(v) > 0 {
			return
		}
	case nil:
	default:
		l.found = append(l.found, Receipt{Pointer: pointer, Outcome: Unsupported})
		return
	}
	// an empty array or object, or null, stands for all of its leaves
	l.found = append(l.found, l.receipt(pointer, l.plan.support.fieldsUnder(pointer[1:]), v))
}

// receipt returns the receipt of a value that sets the provider's fields.
func (l *leafReceipts) receipt(pointer string, fields []string, v any) Receipt {
	r := Receipt{Pointer: pointer, Outcome: outcomeOf(len(fields) > 0)}
	if len(l.remote) == 0 || len(fields) == 0 {
		return r
	}
	for _, field := range fields {
		path, inBody := l.plan.remoteDataPath(field)
		if !inBody || !replaces(l.remote, path, v) {
			return r
		}
	}
	r.Outcome, r.ReplacedBy = Unsupported, "/"+RemoteData
	return r
}

// remoteDataPath returns the path in remote_data of a place in the provider's body; false if
// remote_data cannot reach it.
func (p *Plan) remoteDataPath(field string) ([]string, bool) {
	path, n := strings.Split(field, "/"), len(p.remoteDataIn)
	if len(path) <= n || !slices.Equal(path[:n], p.remoteDataIn) {
		return nil, false
	}
	return path[n:], true
}

// replaces reports whether merging over the body replaces v, at path in it, by another value.
func replaces(over any, path []string, v any) bool {
	object, ok := over.(map[string]any)
	switch {
	case !ok: // it is not merged: an array replaces all of another
		inner, found := plain.Lookup(over, path...)
		return !found || !reflect.DeepEqual(inner, v)
	case len(path) > 0:
		inner, found := object[path[0]]
		return found && replaces(inner, path[1:], v)
	}
	members, ok := v.(map[string]any)
	for name, member := range members {
		if inner, found := object[name]; !found || !replaces(inner, nil, member) {
			return false
		}
	}
	return !ok || len(members) > 0
}

func outcomeOf(reaches bool) Outcome {
	if reaches {
		return Applied
	}
	return Unsupported
}
