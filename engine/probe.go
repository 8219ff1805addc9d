package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// prober runs a write mapping on made-up bodies to learn which unified fields reach the
// wire, and where. What a mapping's text says is not believed: only what it does.
type prober struct {
	ctx    context.Context
	plan   *Plan
	body   schemaPair // unified request schema beside the mapping's own
	query  map[string]any
	noise  map[string]bool // places on the wire that differ between two equal bodies
	failed *Error          // the first evaluation that failed
}

// probeAttempts is how often an evaluation is tried that overruns: on a busy machine that
// says nothing about the mapping.
const probeAttempts = 3

// newProber probes p until ctx ends.
func newProber(ctx context.Context, p *Plan) *prober {
	own, _ := p.bodySchema.(map[string]any)
	query, _ := p.querySchema.(map[string]any)
	pr := &prober{ctx: ctx, plan: p, body: schemaPair{p.model.Request, own}}
	pr.query, _ = sampleQuery(schemaPair{p.model.Query, query}).(map[string]any)
	return pr
}

// target is one leaf in one body: entry index of length entries where it is in an array.
type target struct {
	path          []string
	length, index int
	value         any
	absent        bool
	filler        int // which of its known values a neighbour takes
}

// make builds the smallest body that both schemas accept and that holds t.
func (p *prober) make(t target) map[string]any {
	body, _ := p.object(p.body, t, t.path).(map[string]any)
	return body
}

func (p *prober) object(s schemaPair, t target, path []string) any {
	out := map[string]any{}
	for _, name := range s.required() {
		if len(path) == 0 || name != path[0] {
			out[name] = sample(s.property(name), t.filler)
		}
	}
	if len(path) > 0 {
		if v, ok := p.value(s.property(path[0]), t, path[1:]); ok {
			out[path[0]] = v
		}
	}
	return out
}

func (p *prober) value(s schemaPair, t target, path []string) (any, bool) {
	switch {
	case len(path) == 0:
		return t.value, !t.absent
	case path[0] != "*":
		return p.object(s, t, path), true
	}
	list := make([]any, 0, t.length)
	inner := t
	inner.length, inner.index = 1, 0 // an array inside an array has one entry
	for i := range t.length {
		if i != t.index {
			list = append(list, sample(s.items(), t.filler))
		} else if v, ok := p.value(s.items(), inner, path[1:]); ok {
			list = append(list, v)
		}
	}
	return list, true
}

// sample is the smallest value that both schemas accept.
func sample(s schemaPair, filler int) any {
	if v, ok := s.own["const"]; ok {
		return v
	}
	if v, ok := s.unified["const"]; ok {
		return v
	}
	if values, _ := s.find("enum").([]any); len(values) > 0 {
		return values[filler%len(values)]
	}
	switch s.kind() {
	case "boolean":
		return true
	case "integer", "number":
		return json.Number("1")
	case "array":
		list := []any{}
		for range s.number("minItems", 0) {
			list = append(list, sample(s.items(), filler))
		}
		return list
	case "object":
		out := map[string]any{}
		for _, name := range s.required() {
			out[name] = sample(s.property(name), filler)
		}
		return out
	default:
		return mark(s, "neighbour")
	}
}

// mark is a text that names itself, in the format that the schema asks for.
func mark(s schemaPair, name string) string {
	switch s.find("format") {
	case "email":
		return name + "@example.com"
	case "date-time":
		return "2001-02-03T04:05:06Z"
	case "uri":
		return "https://example.com/" + name
	case "uuid":
		return "00000000-0000-4000-8000-00000000000" + strconv.Itoa(len(name)%10)
	default:
		return name
	}
}

// candidates are the values to try at a leaf. Where closed, each is a case of its own
// that must change something; otherwise two values of one kind that must differ.
func candidates(s schemaPair) (values []any, closed bool) {
	if v, ok := s.own["const"]; ok {
		return []any{v}, true
	}
	if values, _ := s.find("enum").([]any); len(values) > 0 {
		return slices.DeleteFunc(slices.Clone(values), func(v any) bool { return v == nil }), true
	}
	one, two := mark(s, "probe-one"), mark(s, "the-second-probe")
	if s.find("format") == "date-time" {
		two = "2002-03-04T05:06:07Z"
	}
	switch s.kind() {
	case "boolean":
		return []any{true, false}, true
	case "integer", "number":
		return []any{json.Number("11"), json.Number("22")}, false
	case "object":
		return []any{map[string]any{probeKey: one}, map[string]any{probeKey: two}}, false
	case "array":
		return []any{[]any{one}, []any{two}}, false
	default:
		return []any{one, two}, false
	}
}

// probeKey is the member that a probed object without properties of its own holds.
const probeKey = "probe"

// wire is everything that the mapping computes from body, as place → JSON text. Places of
// the main call's body have no prefix; others start with a zone such as "?" or "<step>:".
func (p *prober) wire(body map[string]any) map[string]string {
	var out map[string]string
	var failed *Error
	for range probeAttempts {
		if out, failed = p.evaluate(body); failed == nil || !errors.Is(failed, context.DeadlineExceeded) || p.ctx.Err() != nil {
			break
		}
	}
	if p.failed == nil {
		p.failed = failed
	}
	for place := range p.noise {
		delete(out, place)
	}
	return out
}

// evaluate computes wire without regard to noise, and the first error.
func (p *prober) evaluate(body map[string]any) (out map[string]string, failed *Error) {
	ctx, cancel := p.plan.withDeadline(p.ctx)
	defer cancel()
	out = map[string]string{}
	put := func(place string, v any, err error) {
		if failed == nil {
			failed, _ = errors.AsType[*Error](err)
		}
		if v != nil {
			flattenJSON(out, place, v)
		}
	}
	bindings, err := p.bindings(body)
	put("", nil, err)
	for _, s := range slices.Concat([]*step{p.plan.main}, p.plan.before, p.plan.after) {
		zone := ""
		if s != p.plan.main {
			zone = s.name + ":"
		}
		if s.runIf != nil {
			v, _, err := evaluate(ctx, s.runIf, bindings, place{p.plan.title, s.name, "run_if"})
			if errors.Is(err, context.DeadlineExceeded) { // another failure may be for want of answers
				put(zone, nil, err)
			}
			if err != nil || !plain.Truthy(v) {
				continue
			}
		}
		v, err := p.plan.mapped(ctx, s, bodyKey, bindings)
		put(zone, v, err)
		v, err = p.plan.mapped(ctx, s, queryKey, bindings)
		put(zone+"?", v, err)
		for name, variable := range s.variables {
			v, _, err := evaluate(ctx, variable.expr, bindings, place{p.plan.title, s.name, "path_variables." + name})
			put(zone+"{"+name+"}", v, err)
		}
	}
	return out, failed
}

func (p *prober) bindings(body map[string]any) (jsonata.Bindings, error) {
	req := &Request{ID: "probe-id", Body: body, Query: p.query, RawQuery: p.query}
	return p.plan.requestBindings(req, map[string]any{}, nil)
}

// flattenJSON writes each scalar and empty array of v to out. Empty objects are nothing.
func flattenJSON(out map[string]string, place string, v any) {
	join := func(name string) string { return strings.TrimPrefix(place+"/"+name, "/") }
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			flattenJSON(out, join(name), m)
		}
	case []any:
		for i, item := range v {
			flattenJSON(out, join(strconv.Itoa(i)), item)
		}
		if len(v) == 0 {
			out[place] = "[]"
		}
	default:
		text, _ := json.Marshal(v)
		out[place] = string(text)
	}
}

// changed lists the places at which two wires differ, sorted.
func changed(a, b map[string]string) []string {
	var out []string
	for place, v := range a {
		if w, ok := b[place]; !ok || v != w {
			out = append(out, place)
		}
	}
	for place := range b {
		if _, ok := a[place]; !ok {
			out = append(out, place)
		}
	}
	slices.Sort(out)
	return out
}

// try finds the places that the leaf at t feeds, and those of its closed values that feed
// nothing.
func (p *prober) try(s schemaPair, t target) (places []string, idle []any) {
	values, closed := candidates(s)
	if !closed {
		places = trimProbeKey(p.differ(t, values[0], values[1]))
		if len(places) == 0 && s.kind() == "object" {
			places = p.tryNamed(t)
		}
		return places, nil
	}
	for _, v := range values {
		t.value = v
		found := p.tryClosed(t, len(values))
		if len(found) == 0 {
			idle = append(idle, v)
		}
		places = append(places, found...)
	}
	slices.Sort(places)
	return slices.Compact(places), idle
}

// differ lists the places that tell one value at t from another.
func (p *prober) differ(t target, a, b any) []string {
	t.value = a
	one := p.wire(p.make(t))
	t.value = b
	return changed(one, p.wire(p.make(t)))
}

// tryNamed tries t, an object of which no schema names a member, with the members that the
// expressions name: as texts, as numbers, and as objects of such members.
func (p *prober) tryNamed(t target) []string {
	names := p.plan.requestNames()
	of := func(v any) map[string]any {
		out := map[string]any{}
		for name := range names {
			out[name] = v
		}
		return out
	}
	failed := p.failed // that an expression wants another kind of member says nothing
	defer func() { p.failed = failed }()
	for _, values := range [][2]any{{"probe-one", "the-second-probe"}, {json.Number("11"), json.Number("22")}, {of("probe-one"), of("the-second-probe")}} {
		if places := p.differ(t, of(values[0]), of(values[1])); len(places) > 0 {
			return places
		}
	}
	return nil
}

// requestNames are the names and texts in the expressions that make the requests.
func (p *Plan) requestNames() map[string]bool {
	var exprs []*jsonata.Expr
	for _, s := range slices.Concat([]*step{p.main}, p.before, p.after) {
		exprs = append(exprs, s.bodyMap, s.queryMap, s.runIf)
		for _, v := range s.variables {
			exprs = append(exprs, v.expr)
		}
	}
	for _, over := range p.over {
		exprs = append(exprs, over[bodyKey], over[queryKey])
	}
	names := map[string]bool{}
	for _, x := range exprs {
		if x == nil {
			continue
		}
		for _, name := range x.Names() {
			names[name] = true
		}
	}
	return names
}

// tryClosed compares t with the same body without the leaf. Neighbours that must have a
// value too take each known one in turn: beside an equal one, nothing might change.
func (p *prober) tryClosed(t target, values int) []string {
	without := t
	without.absent = true
	for t.filler = range max(values, 1) {
		without.filler = t.filler
		if places := changed(p.wire(p.make(t)), p.wire(p.make(without))); len(places) > 0 {
			return places
		}
		if t.length == 1 {
			break
		}
	}
	return nil
}

func trimProbeKey(places []string) []string {
	for i, place := range places {
		if at := strings.LastIndexByte(place, '/'); at >= 0 && place[at+1:] == probeKey {
			places[i] = place[:at]
		}
	}
	return places
}
