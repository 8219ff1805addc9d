package engine

import (
	"maps"
	"slices"
	"strconv"

	"portolan/plain"
)

// Outcome is what becomes of one unified field or query parameter.
type Outcome string

// The outcomes of a Receipt.
const (
	Applied       Outcome = "applied"        // it reaches the provider, mapped
	Unsupported   Outcome = "unsupported"    // this mapping does not use it
	PassedThrough Outcome = "passed_through" // it goes to the provider as it is
)

// Receipt says what becomes of one part of a request. Pointer leads into the body
// ("/emails/0/type") or names a query parameter ("?collections").
type Receipt struct {
	Pointer string  `json:"pointer"`
	Outcome Outcome `json:"outcome"`
}

// Receipts accounts for every leaf of req's body and every unified query parameter,
// sorted by pointer within body and query. A field of which no leaf is used is named
// once; so is one that holds any value (custom_fields).
func (p *Plan) Receipts(req *Request) []Receipt {
	var out []Receipt
	for _, name := range slices.Sorted(maps.Keys(req.Body)) {
		if name == RemoteData {
			out = append(out, Receipt{"/" + name, PassedThrough})
			continue
		}
		leaves := p.leafReceipts("/"+name, req.Body[name], nil)
		if !slices.ContainsFunc(leaves, func(r Receipt) bool { return r.Outcome == Applied }) {
			leaves = []Receipt{{"/" + name, Unsupported}}
		}
		out = append(out, leaves...)
	}
	for _, name := range slices.Sorted(maps.Keys(req.Query)) {
		outcome := Unsupported
		if slices.Contains(p.support.Query, name) {
			outcome = Applied
		}
		out = append(out, Receipt{"?" + name, outcome})
	}
	if len(req.RemoteQuery) > 0 {
		out = append(out, Receipt{"?remote_query", PassedThrough})
	}
	return out
}

// maxReceiptPointer is the length in bytes from which nothing in a body is looked into any
// further: no unified field has a pointer as long, and each leaf's receipt repeats it.
const maxReceiptPointer = 256

func (p *Plan) leafReceipts(pointer string, v any, out []Receipt) []Receipt {
	if len(pointer) > maxReceiptPointer {
		return append(out, Receipt{pointer, Unsupported})
	}
	if pattern, _ := generalise(pointer); p.support.leaf(pattern) != nil {
		return append(out, Receipt{pointer, p.outcome(p.support.Reaches(pointer))})
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out = p.leafReceipts(pointer+"/"+plain.EscapeToken(name), v[name], out)
		}
		if len(v) > 0 {
			return out
		}
	case []any:
		for i, item := range v {
			out = p.leafReceipts(pointer+"/"+strconv.Itoa(i), item, out)
		}
		if len(v) > 0 {
			return out
		}
	case nil:
	default:
		return append(out, Receipt{pointer, Unsupported})
	}
	// an empty array or object, or null: it stands for all of its leaves
	return append(out, Receipt{pointer, p.outcome(p.support.Names(pointer[1:]))})
}

func (p *Plan) outcome(reaches bool) Outcome {
	if reaches {
		return Applied
	}
	return Unsupported
}
