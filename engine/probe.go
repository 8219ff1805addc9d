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

// prober evaluates a write mapping on sample bodies to find which unified fields reach the
// provider, and where.
type prober struct {
	ctx      context.Context
	plan     *Plan
	body     schemaPair // unified request schema beside the mapping's own
	query    map[string]any
	unstable map[string]bool // places on the wire that differ between evaluations of the same body
	failed   *Error          // the first evaluation that failed
}

// newProber builds a prober for p. ctx ends its evaluations.
func newProber(ctx context.Context, p *Plan) *prober {
	own, _ := p.bodySchema.(map[string]any)
	query, _ := p.querySchema.(map[string]any)
	pr := &prober{ctx: ctx, plan: p, body: schemaPair{p.model.Request, own}}
	pr.query, _ = sampleQuery(schemaPair{p.model.Query, query}).(map[string]any)
	return pr
}

// target is one leaf in one body: in an array, of the entry at index of length entries.
type target struct {
	path          []string
	length, index int
	value         any
	absent        bool
	filler        int // index of the known value that neighbours have
}

// bodyWith returns the smallest body with t that both schemas accept.
func (p *prober) bodyWith(t target) map[string]any {
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

// sample returns the smallest value that both schemas accept.
func sample(s schemaPair, filler int) any {
	for _, schema := range []map[string]any{s.own, s.unified} {
		if v, ok := schema["const"]; ok {
			return v
		}
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

// mark returns a text with the name, in the schema's format.
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

// candidates returns the values to probe a leaf with. If closed, they are all allowed values;
// otherwise two different ones.
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

// probeKey is the member of a probed object without properties.
const probeKey = "probe"

// outputs returns everything that the mapping computes from body, as place → JSON text. Places
// outside the main call's body have a prefix such as "?" or "<step>:".
func (p *prober) outputs(body map[string]any) map[string]string {
	out, failed := p.computeOutputs(body)
	if p.failed == nil {
		p.failed = failed
	}
	for place := range p.unstable {
		delete(out, place)
	}
	return out
}

// computeOutputs returns outputs with the unstable ones, and the first error.
func (p *prober) computeOutputs(body map[string]any) (out map[string]string, failed *Error) {
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
	bindings := p.bindings(body)
	for _, s := range slices.Concat([]*step{p.plan.main}, p.plan.before, p.plan.after) {
		prefix := ""
		if s != p.plan.main {
			prefix = s.name + ":"
		}
		if s.runIf != nil {
			v, _, err := evaluate(ctx, s.runIf, bindings, place{p.plan.title, s.name, "run_if"})
			if errors.Is(err, context.DeadlineExceeded) { // others may be due to missing answers
				put(prefix, nil, err)
			}
			if err != nil || !plain.Truthy(v) {
				continue
			}
		}
		v, err := p.plan.mapped(ctx, s, bodyKey, bindings)
		put(prefix, v, err)
		v, err = p.plan.mapped(ctx, s, queryKey, bindings)
		put(prefix+"?", v, err)
		for name, variable := range s.variables {
			v, _, err := evaluate(ctx, variable.expr, bindings, place{p.plan.title, s.name, "path_variables." + name})
			put(prefix+"{"+name+"}", v, err)
		}
	}
	return out, failed
}

func (p *prober) bindings(body map[string]any) jsonata.Bindings {
	req := &Request{ID: "probe-id", Body: body, Query: p.query, RawQuery: p.query}
	return req.bindings(map[string]any{})
}

// flattenJSON writes each scalar and empty array of v to out, and no empty object.
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

// changedPlaces returns the places at which two outputs differ, sorted.
func changedPlaces(a, b map[string]string) []string {
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

// places returns the places that the leaf at t reaches, and its allowed values that reach none.
func (p *prober) places(s schemaPair, t target) (places []string, unused []any) {
	values, closed := candidates(s)
	if !closed {
		places = trimProbeKey(p.differingPlaces(t, values[0], values[1]))
		if len(places) == 0 && s.kind() == "object" {
			places = p.namedPlaces(t)
		}
		return places, nil
	}
	for _, v := range values {
		t.value = v
		found := p.closedPlaces(t, len(values))
		if len(found) == 0 {
			unused = append(unused, v)
		}
		places = append(places, found...)
	}
	slices.Sort(places)
	return slices.Compact(places), unused
}

// differingPlaces returns the places that differ between two values at t.
func (p *prober) differingPlaces(t target, a, b any) []string {
	t.value = a
	one := p.outputs(p.bodyWith(t))
	t.value = b
	return changedPlaces(one, p.outputs(p.bodyWith(t)))
}

// namedPlaces probes t, an object without properties, with members of all names in the
// expressions: as texts, as numbers, and as objects.
func (p *prober) namedPlaces(t target) []string {
	names := p.plan.requestNames()
	of := func(v any) map[string]any {
		out := map[string]any{}
		for name := range names {
			out[name] = v
		}
		return out
	}
	failed := p.failed // an expression may fail because of the members' type
	defer func() { p.failed = failed }()
	for _, values := range [][2]any{{"probe-one", "the-second-probe"}, {json.Number("11"), json.Number("22")}, {of("probe-one"), of("the-second-probe")}} {
		if places := p.differingPlaces(t, of(values[0]), of(values[1])); len(places) > 0 {
			return places
		}
	}
	return nil
}

// requestNames returns the names and texts in the expressions of requests.
func (p *Plan) requestNames() map[string]bool {
	names := map[string]bool{}
	for _, s := range slices.Concat([]*step{p.main}, p.before, p.after) {
		for _, x := range p.exprs(s) {
			for _, name := range x.Names() {
				names[name] = true
			}
		}
	}
	return names
}

// closedPlaces compares t with the same body without the leaf. Required neighbours take each
// known value in turn, because an equal neighbour could hide the change.
func (p *prober) closedPlaces(t target, values int) []string {
	without := t
	without.absent = true
	for t.filler = range max(values, 1) {
		without.filler = t.filler
		if places := changedPlaces(p.outputs(p.bodyWith(t)), p.outputs(p.bodyWith(without))); len(places) > 0 {
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
		places[i] = strings.TrimSuffix(place, "/"+probeKey)
	}
	return places
}
