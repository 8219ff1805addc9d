package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"portolan/engine"
	"portolan/schemas"
)

// judge holds the request against the unified schemas, the mapping's own and what reaches
// the provider: everything that is wrong with it, each thing once.
func (x *exchange) judge() []Failure {
	own := x.server.plans[x.plan.Base()]
	nulls := nullFailures(x.call.Body, x.method.requestDoc, own.bodyDoc)
	body := slices.Concat(nulls, bodyFailures(x.method.request, x.call.Body), bodyFailures(own.body, x.call.Body))
	query := slices.Concat(queryFailures(x.method.query, x.call.Query), queryFailures(own.query, x.call.Query))
	out := append(distinct(query), distinct(body)...)
	out = append(out, x.authorizing()...)
	if x.strict {
		out = append(out, x.strictFailures()...)
	}
	if len(body) == 0 && !x.writesAnything() {
		out = append(out, failuref("", CodeEmpty, "%s%s", engine.ErrNothingToSend, x.unsupported()))
	}
	return out
}

// strictFailures refuses what is not supported, maxBuilt of it at most.
func (x *exchange) strictFailures() []Failure {
	var out []Failure
	for _, r := range x.receipts {
		if len(out) == maxBuilt {
			break
		}
		if r.Outcome == engine.Unsupported {
			out = append(out, failuref(r.Pointer, CodeUnsupported, "%s is not supported by this integration", shortened(strings.TrimLeft(r.Pointer, "/?"))))
		}
	}
	return out
}

// judgeWithoutMapping is what can be said of the body before the account is known.
func (x *exchange) judgeWithoutMapping() []Failure {
	body, err := readBody(x.writer, x.request, x.server.limits.Body)
	if err != nil {
		return nil
	}
	return distinct(bodyFailures(x.method.request, body))
}

// unsupported lists the fields that are not used, for the message that nothing is.
func (x *exchange) unsupported() string {
	var names []string
	for _, r := range x.receipts {
		if r.Outcome == engine.Unsupported && strings.HasPrefix(r.Pointer, "/") {
			names = append(names, r.Pointer[1:])
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": this integration does not support " + joinLimited(names, maxHeaderList)
}

// writesAnything reports whether any part of the body is sent on, mapped or as it is.
func (x *exchange) writesAnything() bool {
	return slices.ContainsFunc(x.receipts, func(r engine.Receipt) bool {
		switch {
		case !strings.HasPrefix(r.Pointer, "/"):
			return false
		case r.Outcome == engine.PassedThrough:
			data, _ := x.call.Body[engine.RemoteData].(map[string]any)
			return len(data) > 0
		default:
			return r.Outcome == engine.Applied
		}
	})
}

// authorizing refuses a remote_query that would replace what authenticates.
func (x *exchange) authorizing() []Failure {
	var out []Failure
	for _, p := range x.call.RemoteQuery {
		name, _, _ := strings.Cut(p.Name, "[")
		if slices.Contains(x.plan.AuthorizingQuery(), name) {
			out = append(out, failuref("?remote_query["+name+"]", CodeUnsupported, "remote_query[%s] would replace what authenticates towards the provider", name))
		}
	}
	return out
}

// checkExclusions refuses names in truto_exclude_fields that the record does not have,
// maxBuilt of them at most.
func (x *exchange) checkExclusions() []Failure {
	var out []Failure
	var allowed []any
	for _, known := range x.method.order {
		allowed = append(allowed, known)
	}
	for _, name := range x.params.exclude {
		if slices.Contains(x.method.order, name) {
			continue
		}
		if len(out) == maxBuilt {
			break
		}
		f := failuref("?"+paramExcludeFields, CodeEnum, "%s: there is no field %q to exclude%s", paramExcludeFields, name, suggestion(name, x.method.order...))
		f.Allowed = allowed
		out = append(out, f)
	}
	return out
}

func bodyFailures(schema *schemas.Schema, body map[string]any) []Failure {
	return failuresOf(schema, body, func(pointer string) string { return pointer })
}

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

// nullFailures finds null where the mapping's schema does not allow it, maxBuilt times at
// most. A field that holds any JSON may hold null inside.
func nullFailures(body, unified, own map[string]any) []Failure {
	var f nullFinder
	f.find("", body, unified, own)
	return f.failures
}

type nullFinder struct{ failures []Failure }

func (f *nullFinder) find(pointer string, v any, unified, own map[string]any) {
	if len(f.failures) == maxBuilt {
		return
	}
	switch v := v.(type) {
	case nil:
		if pointer != "" && !allowsNull(own) {
			f.failures = append(f.failures, failuref(pointer, CodeNull, "%s must not be null: this integration cannot clear it", pointer[1:]))
		}
	case map[string]any:
		properties := object(unified, "properties")
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if inner, ok := properties[name].(map[string]any); ok {
				f.find(pointer+"/"+name, v[name], inner, object(object(own, "properties"), name))
			}
		}
	case []any:
		for i, item := range v {
			if item != nil { // an entry that is null is of the wrong type
				f.find(pointer+"/"+strconv.Itoa(i), item, object(unified, "items"), object(own, "items"))
			}
		}
	}
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

func object(m map[string]any, name string) map[string]any {
	v, _ := m[name].(map[string]any)
	return v
}

// completeConsts gives each entry of an array parameter the members that query_schema
// fixes and the caller left out: a collection's type, where only one is possible.
func completeConsts(schema, query map[string]any) map[string]any {
	properties := object(schema, "properties")
	out := query
	for name, v := range query {
		list, ok := v.([]any)
		fixed := constsOf(object(object(properties, name), "items"))
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

func constsOf(schema map[string]any) map[string]any {
	out := map[string]any{}
	for name := range object(schema, "properties") {
		if v, ok := object(object(schema, "properties"), name)["const"]; ok {
			out[name] = v
		}
	}
	return out
}

// maxHeaderList is how long a header that lists fields may get, in bytes.
const maxHeaderList = 4 << 10

// noteReceipts names in a header what is not used.
func (x *exchange) noteReceipts() {
	var unused []string
	for _, r := range x.receipts {
		if r.Outcome == engine.Unsupported {
			unused = append(unused, asciiHeader(r.Pointer))
		}
	}
	if len(unused) > 0 {
		x.writer.Header().Set("Portolan-Unsupported", joinLimited(unused, maxHeaderList))
	}
}

// joinLimited joins names by ", " and says how many did not fit.
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

// asciiHeader percent-encodes what cannot stand in a header or would part the list.
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
