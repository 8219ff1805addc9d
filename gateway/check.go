package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portolan/engine"
	"portolan/plain"
	"portolan/source"
)

// check validates the request by the unified schemas, the mapping's own and the receipts. It
// returns the receipts and all failures, each once. A body with MaxFailures failures has no
// receipts: they would take many times the memory of the body.
func (r *Ready) check(req *engine.Request, in *Input) ([]engine.Receipt, []Failure) {
	own := r.snapshot.schemas[r.plan.Base()]
	nulls := nullFailures(req.Body, r.method.requestDoc, own.bodyDoc)
	body := slices.Concat(nulls, SchemaFailures(r.method.request, req.Body), SchemaFailures(own.body, req.Body))
	query := slices.Concat(queryFailures(r.method.query, req.Query), namedByType(queryFailures(own.query, req.Query), own.queryDoc))
	out := slices.Concat(in.Failures, checkExclusions(in.Options.Exclude, r.method.order), Distinct(query), Distinct(body))
	out = append(out, authorizingFailures(req.RemoteQuery, r.plan.Authorizes)...)
	if len(body) >= MaxFailures {
		return nil, Distinct(out)
	}
	receipts := r.plan.Receipts(req)
	if in.Options.Strict {
		out = append(out, strictFailures(receipts)...)
	}
	if len(body) == 0 && !writesAnything(req.Body, receipts) {
		out = append(out, nothingToSend(receipts)...)
	}
	return receipts, Distinct(out)
}

// CheckExclusions returns failures for names that records of op do not have, for a request whose
// account is not known.
func (s *Snapshot) CheckExclusions(op engine.Operation, names []string) []Failure {
	m := s.methods[op]
	if m == nil {
		return nil
	}
	return checkExclusions(names, m.order)
}

// ParamExcludeFields is the parameter that checkExclusions validates.
const ParamExcludeFields = "truto_exclude_fields"

// checkExclusions returns failures for names that the record does not have, at most MaxFailures.
func checkExclusions(names, order []string) []Failure {
	var out []Failure
	var allowed []any
	for _, name := range names {
		if slices.Contains(order, name) {
			continue
		}
		if len(out) == MaxFailures {
			break
		}
		if allowed == nil {
			for _, known := range order {
				allowed = append(allowed, known)
			}
		}
		f := Failuref("?"+ParamExcludeFields, CodeEnum, "%s: there is no field %q to exclude%s", ParamExcludeFields, name, Suggestion(name, order...))
		f.Allowed = allowed
		out = append(out, f)
	}
	return out
}

// Suggestion returns ` (did you mean "…"?)`, or "" if no known name is near.
func Suggestion(name string, known ...string) string {
	near := source.Nearest(name, known)
	if near == "" {
		return ""
	}
	return " (did you mean " + strconv.Quote(near) + "?)"
}

// strictFailures returns failures for fields that are not supported, at most MaxFailures.
func strictFailures(receipts []engine.Receipt) []Failure {
	var out []Failure
	for _, r := range receipts {
		if len(out) == MaxFailures {
			break
		}
		if r.Outcome == engine.Unsupported {
			out = append(out, Failuref(r.Pointer, CodeUnsupported, "%s is not supported by this integration", shortened(strings.TrimLeft(r.Pointer, "/?"))))
		}
	}
	return out
}

// nothingToSend returns the failures of a request of which nothing would reach the provider: one
// for each field that is not supported, or one for the body if there is none.
func nothingToSend(receipts []engine.Receipt) []Failure {
	var out []Failure
	for _, r := range receipts {
		if r.Outcome == engine.Unsupported && strings.HasPrefix(r.Pointer, "/") && len(out) < MaxFailures {
			out = append(out, Failuref(r.Pointer, CodeEmpty, "%s is not supported by this integration, and %s", shortened(r.Pointer[1:]), engine.ErrNothingToSend))
		}
	}
	if len(out) == 0 {
		out = []Failure{Failuref("", CodeEmpty, "%s", engine.ErrNothingToSend)}
	}
	return out
}

// writesAnything reports whether any part of the body is sent, mapped or unchanged.
func writesAnything(body map[string]any, receipts []engine.Receipt) bool {
	return slices.ContainsFunc(receipts, func(r engine.Receipt) bool {
		switch {
		case !strings.HasPrefix(r.Pointer, "/"):
			return false
		case r.Outcome == engine.PassedThrough:
			data, _ := body[engine.RemoteData].(map[string]any)
			return len(data) > 0
		default:
			return r.Outcome == engine.Applied
		}
	})
}

// authorizingFailures returns failures for parameters of remote_query that authenticate.
func authorizingFailures(remote []engine.Param, authorizes func(name string) bool) []Failure {
	var out []Failure
	for _, p := range remote {
		if authorizes(p.Name) {
			name, _, _ := strings.Cut(p.Name, "[")
			out = append(out, QueryFailuref("remote_query["+name+"]", CodeUnsupported, "must not replace a parameter that authenticates"))
		}
	}
	return out
}

// nullFailures returns failures for null that the mapping's schema does not allow, at most
// MaxFailures. A field of any JSON may contain null.
func nullFailures(body, unified, own map[string]any) []Failure {
	var f nullFinder
	if body != nil {
		f.find(body, unified, own)
	}
	return f.failures
}

type nullFinder struct {
	pointer  []byte // of the present value
	failures []Failure
}

func (f *nullFinder) find(v any, unified, own map[string]any) {
	if len(f.failures) == MaxFailures {
		return
	}
	end := len(f.pointer)
	switch v := v.(type) {
	case nil:
		if !allowsNull(own) {
			pointer := string(f.pointer)
			f.failures = append(f.failures, Failuref(pointer, CodeNull, "%s must not be null: this integration cannot clear it", pointer[1:]))
		}
	case map[string]any:
		properties := member(unified, "properties")
		var few [16]string // most objects need no memory for their names
		for _, name := range plain.AppendKeys(few[:0], v) {
			if inner, ok := properties[name].(map[string]any); ok {
				f.pointer = append(append(f.pointer[:end], '/'), name...)
				f.find(v[name], inner, member(member(own, "properties"), name))
			}
		}
	case []any:
		for i, item := range v {
			if item != nil { // null has the wrong type for an entry
				f.pointer = strconv.AppendInt(append(f.pointer[:end], '/'), int64(i), 10)
				f.find(item, member(unified, "items"), member(own, "items"))
			}
		}
	}
	f.pointer = f.pointer[:end]
}

func allowsNull(schema map[string]any) bool {
	switch t := schema["type"].(type) {
	case string:
		return t == "null"
	case []any:
		return slices.Contains(t, any("null"))
	}
	return false
}

// member returns the object under name; nil if there is none.
func member(m map[string]any, name string) map[string]any {
	v, _ := m[name].(map[string]any)
	return v
}

// completeConsts adds missing members with a const in query_schema to the entries of array
// parameters: a collection's type, if only one is possible.
func completeConsts(schema, query map[string]any) map[string]any {
	properties := member(schema, "properties")
	out := query
	for name, v := range query {
		list, ok := v.([]any)
		fixed := constsOf(member(member(properties, name), "items"))
		if !ok || len(fixed) == 0 {
			continue
		}
		completed := make([]any, len(list))
		for i, item := range list {
			completed[i] = item
			if entry, ok := item.(map[string]any); ok {
				whole := maps.Clone(fixed)
				maps.Copy(whole, entry)
				completed[i] = whole
			}
		}
		out = maps.Clone(out)
		out[name] = completed
	}
	return out
}

// namedByType names the type of entry that a missing array parameter needs, if schema allows only
// one: "Collection with type project is required."
func namedByType(failures []Failure, schema map[string]any) []Failure {
	for i, f := range failures {
		name := strings.TrimPrefix(f.Pointer, "?")
		kind := constsOf(member(member(member(schema, "properties"), name), "items"))["type"]
		if f.Code == CodeRequired && kind != nil {
			failures[i].Message = fmt.Sprintf("%s%s with type %v is required.", strings.ToUpper(name[:1]), strings.TrimSuffix(name[1:], "s"), kind)
		}
	}
	return failures
}

func constsOf(schema map[string]any) map[string]any {
	var out map[string]any
	for name := range member(schema, "properties") {
		if v, ok := member(member(schema, "properties"), name)["const"]; ok {
			if out == nil {
				out = map[string]any{}
			}
			out[name] = v
		}
	}
	return out
}

// maxHeaderList is the longest header that lists fields, in bytes.
const maxHeaderList = 4 << 10

// unsupportedHeader lists the unsupported fields; "" if there are none.
func unsupportedHeader(receipts []engine.Receipt) string {
	var unused []string
	for _, r := range receipts {
		if r.Outcome == engine.Unsupported {
			unused = append(unused, asciiHeader(r.Pointer))
		}
	}
	if len(unused) == 0 {
		return ""
	}
	return joinLimited(unused, maxHeaderList)
}

// joinLimited joins names by ", " and adds the number of those that do not fit.
func joinLimited(names []string, limit int) string {
	const room = len(", +1000000 more")
	out := ""
	for i, name := range names {
		if i > 0 {
			name = ", " + name
		}
		if len(out)+len(name)+room > limit {
			return strings.TrimPrefix(fmt.Sprintf("%s, +%d more", out, len(names)-i), ", ")
		}
		out += name
	}
	return out
}

// asciiHeader percent-encodes bytes that are invalid in a header or separate the list.
func asciiHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == ',' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
