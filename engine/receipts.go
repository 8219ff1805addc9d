package engine

import (
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
	w := receiptWalk{support: &p.support, out: make([]Receipt, 0, len(req.Body)+len(req.Query)+1)}
	var few [fewKeys]string
	for _, name := range plain.AppendKeys(few[:0], req.Body) {
		if name == RemoteData {
			w.out = append(w.out, Receipt{"/" + name, PassedThrough})
			continue
		}
		before := len(w.out)
		w.member(name, req.Body[name])
		if !slices.ContainsFunc(w.out[before:], func(r Receipt) bool { return r.Outcome == Applied }) {
			w.out = append(w.out[:before], Receipt{"/" + name, Unsupported})
		}
	}
	for _, name := range plain.AppendKeys(few[:0], req.Query) {
		w.out = append(w.out, Receipt{"?" + name, outcomeOf(slices.Contains(p.support.Query, name))})
	}
	if len(req.RemoteQuery) > 0 {
		w.out = append(w.out, Receipt{"?remote_query", PassedThrough})
	}
	return w.out
}

const (
	// maxReceiptPointer is the longest pointer whose value is examined, in bytes. Those of unified
	// fields are shorter.
	maxReceiptPointer = 100
	fewKeys           = 16 // most objects have fewer members
)

// receiptWalk makes the receipts of a body.
type receiptWalk struct {
	support *Support
	pointer []byte // of the present value: /emails/2/email
	pattern []byte // /emails/*/email
	index   int    // the first one of pointer
	indices int    // how many pointer has
	out     []Receipt
}

func (w *receiptWalk) add(o Outcome) { w.out = append(w.out, Receipt{string(w.pointer), o}) }

// member examines v, a member of the present value.
func (w *receiptWalk) member(name string, v any) {
	pointer, pattern := len(w.pointer), len(w.pattern)
	token := plain.EscapeToken(name)
	w.pointer = append(append(w.pointer, '/'), token...)
	w.pattern = append(append(w.pattern, '/'), token...)
	w.value(v)
	w.pointer, w.pattern = w.pointer[:pointer], w.pattern[:pattern]
}

// entry examines v, an entry of the present value.
func (w *receiptWalk) entry(i int, v any) {
	pointer, pattern := len(w.pointer), len(w.pattern)
	w.pointer = strconv.AppendInt(append(w.pointer, '/'), int64(i), 10)
	w.pattern = append(w.pattern, "/*"...)
	if w.indices++; w.indices == 1 {
		w.index = i
	}
	w.value(v)
	w.pointer, w.pattern, w.indices = w.pointer[:pointer], w.pattern[:pattern], w.indices-1
}

func (w *receiptWalk) value(v any) {
	if len(w.pointer) > maxReceiptPointer {
		w.add(Unsupported)
		return
	}
	if leaf := w.support.leaf(w.pattern); leaf != nil {
		index := 0
		if w.indices > 0 {
			index = w.index
		}
		w.add(outcomeOf(leaf.reaches(index)))
		return
	}
	inner := len(w.out)
	switch v := v.(type) {
	case map[string]any:
		var few [fewKeys]string
		for _, name := range plain.AppendKeys(few[:0], v) {
			w.member(name, v[name])
		}
	case []any:
		for i, item := range v {
			w.entry(i, item)
		}
	case nil:
	default:
		w.add(Unsupported)
	}
	if len(w.out) == inner { // an empty array or object, or null, stands for all of its leaves
		w.add(outcomeOf(w.support.Names(string(w.pointer[1:]))))
	}
}

func outcomeOf(reaches bool) Outcome {
	if reaches {
		return Applied
	}
	return Unsupported
}
