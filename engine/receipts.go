package engine

import (
	"maps"
	"slices"
	"strconv"

	"portolan/plain"
)

// Outcome is what happens to a unified field or query parameter.
type Outcome string

// The outcomes of a Receipt.
const (
	Applied       Outcome = "applied"        // it is mapped and sent
	Unsupported   Outcome = "unsupported"    // this mapping does not use it
	PassedThrough Outcome = "passed_through" // it is sent unchanged
)

// Receipt is the outcome of one part of a request. Pointer names a part of the body
// ("/emails/0/type") or a query parameter ("?collections").
type Receipt struct {
	Pointer string  `json:"pointer"`
	Outcome Outcome `json:"outcome"`
}

// Receipts returns a receipt for every leaf of req's body and every unified query parameter,
// sorted by pointer within body and query. A field without a used leaf, or with any value
// (custom_fields), has one receipt.
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
		out = append(out, Receipt{"?" + name, outcomeOf(slices.Contains(p.support.Query, name))})
	}
	if len(req.RemoteQuery) > 0 {
		out = append(out, Receipt{"?remote_query", PassedThrough})
	}
	return out
}

// maxReceiptPointer is the longest pointer whose value is examined, in bytes. Those of unified
// fields are shorter.
const maxReceiptPointer = 100

func (p *Plan) leafReceipts(pointer string, v any, out []Receipt) []Receipt {
	if len(pointer) > maxReceiptPointer {
		return append(out, Receipt{pointer, Unsupported})
	}
	if pattern, _ := pointerPattern(pointer); p.support.leaf(pattern) != nil {
		return append(out, Receipt{pointer, outcomeOf(p.support.Reaches(pointer))})
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
	// an empty array or object, or null, stands for all of its leaves
	return append(out, Receipt{pointer, outcomeOf(p.support.Names(pointer[1:]))})
}

func outcomeOf(reaches bool) Outcome {
	if reaches {
		return Applied
	}
	return Unsupported
}
