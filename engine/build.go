package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Build computes the main provider call for req. before holds the answers of the before steps by
// name. It does no I/O and changes neither argument. Its error is an *Error of KindInvalid,
// KindAccount, KindMapping or KindCanceled.
func (p *Plan) Build(ctx context.Context, req *Request, before map[string]any) (*Call, error) {
	sc, err := p.scope(req)
	if err != nil {
		return nil, err
	}
	if len(before) > 0 {
		sc = sc.with(map[string]any{"before": before})
	}
	return p.buildMain(ctx, req, sc)
}

// ErrNothingToSend is the cause of a KindInvalid error of a method that writes.
var ErrNothingToSend = errors.New("nothing in the request would reach the provider")

// buildMain is Build in a given scope.
func (p *Plan) buildMain(ctx context.Context, req *Request, sc scope) (*Call, error) {
	ctx, cancel := p.withDeadline(ctx)
	defer cancel()
	body, err := p.mapped(ctx, p.main, bodyKey, sc.bindings)
	if err != nil {
		return nil, err
	}
	if extra, ok := req.Body[RemoteData].(map[string]any); ok {
		if body, err = p.withRemoteData(body, extra); err != nil {
			return nil, err
		}
	}
	if p.mapsBody() && plain.IsNothing(body) {
		return nil, &Error{Kind: KindInvalid, Op: p.title, Err: ErrNothingToSend}
	}
	query, err := p.mapped(ctx, p.main, queryKey, sc.bindings)
	if err != nil {
		return nil, err
	}
	b := builder{ctx: ctx, title: p.title, operation: p.operation, step: p.main, scope: sc}
	return b.call(req, body, query, req.RemoteQuery)
}

// withRemoteData merges the caller's remote_data into the mapped body, at remote_data_in.
func (p *Plan) withRemoteData(body any, extra map[string]any) (any, error) {
	merged, depth, ok := mergeAt(body, p.remoteDataIn, extra)
	if ok {
		return merged, nil
	}
	where := "this integration's body"
	if depth > 0 {
		where = strings.Join(p.remoteDataIn[:depth], ".") + " in " + where
	}
	return nil, &Error{
		Kind: KindInvalid, Op: p.title, Pointer: "/" + RemoteData,
		Err: fmt.Errorf("%s cannot be merged: %s is not an object", RemoteData, where),
	}
}

// mergeAt returns base with over merged into the object at path, and changes neither. It adds
// missing objects. ok is false if the value at the first depth names of path is not an object.
func mergeAt(base any, path []string, over map[string]any) (merged any, depth int, ok bool) {
	object, isObject := base.(map[string]any)
	if !isObject && base != nil {
		return base, 0, len(over) == 0 // nothing to merge
	}
	if len(path) == 0 {
		return plain.Merge(base, over), 0, true
	}
	inner, depth, ok := mergeAt(object[path[0]], path[1:], over)
	if !ok {
		return nil, depth + 1, false
	}
	out := make(map[string]any, len(object)+1)
	maps.Copy(out, object)
	out[path[0]] = inner
	return out, 0, true
}

// buildStep computes the call of a before or after step; nil if its run_if is not true.
func (p *Plan) buildStep(ctx context.Context, s *step, req *Request, sc scope) (*Call, error) {
	ctx, cancel := p.withDeadline(ctx)
	defer cancel()
	if s.runIf != nil {
		v, _, err := evaluate(ctx, s.runIf, sc.bindings, place{p.title, s.name, "run_if"})
		if err != nil || !plain.Truthy(v) {
			return nil, err
		}
	}
	body, err := p.mapped(ctx, s, bodyKey, sc.bindings)
	if err != nil {
		return nil, err
	}
	query, err := p.mapped(ctx, s, queryKey, sc.bindings)
	if err != nil {
		return nil, err
	}
	b := builder{ctx: ctx, title: p.title, operation: p.operation, step: s, scope: sc}
	return b.call(req, body, query, nil)
}

// build computes the endpoint's call for req, without a mapping. Its path variables are the id.
func (e *Endpoint) build(ctx context.Context, req *Request, account map[string]any) (*Call, error) {
	ctx, cancel := e.Integration.language.WithDeadline(ctx)
	defer cancel()
	b := builder{ctx: ctx, title: e.title(), step: &step{Endpoint: e, name: mainStep}, scope: scope{account: account}}
	return b.call(req, nil, nil, req.RemoteQuery)
}

func (e *Endpoint) title() string { return e.Integration.Name + ": " + e.Name }

// place names an expression, for errors.
type place struct{ title, step, key string }

// String returns "title: key", with the step between them if it is not the main call.
func (p place) String() string {
	if p.step == mainStep {
		return p.title + ": " + p.key
	}
	return p.title + ": " + p.step + ": " + p.key
}

// evaluate evaluates x. Its error is an *Error of KindMapping, KindBusy or KindCanceled.
func evaluate(ctx context.Context, x *jsonata.Expr, bindings jsonata.Bindings, at place) (any, bool, error) {
	v, present, err := x.EvalBindings(ctx, bindings)
	switch {
	case err == nil:
		return v, present, nil
	case errors.Is(err, context.Canceled):
		return nil, false, &Error{Kind: KindCanceled, Op: at.String(), Err: err}
	case errors.Is(err, jsonata.ErrBusy):
		return nil, false, &Error{Kind: KindBusy, Op: at.String(), Err: err}
	default:
		return nil, false, &Error{Kind: KindMapping, Op: at.String(), Pos: x.Pos(), Err: err}
	}
}

// builder computes one call and keeps the first error.
type builder struct {
	scope

	ctx       context.Context
	title     string
	operation Operation // zero without a mapping
	step      *step
	err       error
}

// call returns the call. remote is added to the query unchanged.
func (b *builder) call(req *Request, body, query any, remote []Param) (*Call, error) {
	base, shownBase := b.base(req)
	path, shownPath := b.path(req.ID)
	target := joinURL(base, path)
	auth := jsonata.NewBindings(map[string]any{"context": b.account, "url": target})
	shown := target
	if shownBase != base || shownPath != path {
		shown = joinURL(shownBase, shownPath)
	}
	call := &Call{
		Integration: b.step.Integration.Name, Environment: req.Environment, Account: req.Account, Operation: b.operation,
		Name: b.step.name, Method: b.step.verb, Repeatable: b.step.repeatable,
		URL: target, ShownURL: shown, Body: b.body(body),
	}
	authHeader, authQuery := b.authorize(auth)
	call.Query = b.query(query, remote, auth, authQuery)
	call.Header = b.header(call.Body != nil, req.Header, auth, authHeader)
	if b.err != nil {
		return nil, b.err
	}
	return call, nil
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// eval evaluates x, the expression under key, unless there is an error already.
func (b *builder) eval(x *jsonata.Expr, key string, bindings jsonata.Bindings) (any, bool) {
	if b.err != nil {
		return nil, false
	}
	v, present, err := evaluate(b.ctx, x, bindings, place{b.title, b.step.name, key})
	if err != nil {
		b.fail(err)
	}
	return v, present
}

func (b *builder) base(req *Request) (base, shown string) {
	if req.BaseURL != "" {
		return req.BaseURL, req.BaseURL
	}
	in := b.step.Integration
	base, err := in.base.expand(func(name string) (string, error) {
		text, ok := b.account[name].(string)
		if !ok || text == "" {
			return "", &Error{Kind: KindAccount, Op: b.title, Err: fmt.Errorf("credential %q is missing", name)}
		}
		return text, nil
	})
	if err != nil {
		b.fail(err)
	}
	if in.baseSecret {
		shown, _ = in.base.expand(func(string) (string, error) { return masked, nil })
		return base, shown
	}
	return base, base
}

func (b *builder) path(id string) (path, shown string) {
	var maskedValues map[string]string // by variable; nil if none is secret
	if b.step.hidesPath {
		maskedValues = map[string]string{}
	}
	path, err := b.step.path.expand(func(name string) (string, error) {
		text := id
		v, declared := b.step.variables[name]
		if declared {
			value, present := b.eval(v.expr, "path_variables."+name, b.bindings)
			if b.err != nil {
				return "", b.err
			}
			if text = ""; present && value != nil {
				text = plain.Text(value)
			}
		}
		encoded, err := encodeSegment(text, b.step.patterns[name])
		switch {
		case err != nil:
			return "", b.variableError(name, v, err)
		case v.secret:
			maskedValues[name] = masked
		case maskedValues != nil:
			maskedValues[name] = encoded
		}
		return encoded, nil
	})
	if err != nil {
		b.fail(err)
		return "", ""
	}
	if maskedValues == nil {
		return path, path
	}
	shown, _ = b.step.path.expand(func(name string) (string, error) { return maskedValues[name], nil })
	return path, shown
}

// variableError is the error for an invalid path variable: of KindInvalid if its value comes
// from the request, of KindMapping otherwise.
func (b *builder) variableError(name string, v param, cause error) error {
	if v.expr == nil {
		return &Error{Kind: KindInvalid, Op: b.title, Err: fmt.Errorf("the record's id %w", cause)}
	}
	if pointer := callerField(v.expr); pointer != "" {
		return &Error{Kind: KindInvalid, Op: b.title, Pointer: pointer, Err: fmt.Errorf("%s %w", strings.TrimLeft(pointer, "/?"), cause)}
	}
	return &Error{Kind: KindMapping, Op: b.title + ": path_variables." + name, Pos: v.expr.Pos(), Err: fmt.Errorf("path variable %q %w", name, cause)}
}

// bodySize is the initial capacity of a body, in bytes.
const bodySize = 256

// body encodes the mapped request body; nil for none.
func (b *builder) body(value any) []byte {
	if b.err != nil || value == nil || b.step.verb == verbGet {
		return nil
	}
	if !b.step.form {
		encoded, err := plain.Append(make([]byte, 0, bodySize), value)
		if err != nil {
			b.fail(&Error{Kind: KindMapping, Op: b.title + ": request_body_mapping", Err: err})
		}
		return encoded
	}
	object, ok := value.(map[string]any)
	if !ok {
		b.fail(&Error{
			Kind: KindMapping, Op: b.title + ": request_body_mapping", Pos: b.step.bodyMap.Pos(),
			Err: errors.New("a form body must be an object"),
		})
		return nil
	}
	return []byte(encodeForm(object))
}

// query returns the parameters of the endpoint, the mapping, the caller's remote_query and the
// authorization, in this order. A later one replaces earlier ones of the same name.
func (b *builder) query(value any, remote []Param, auth jsonata.Bindings, authorizing []Param) []Param {
	out := b.params(b.step.query, auth)
	if value != nil {
		object, ok := value.(map[string]any)
		if !ok {
			b.fail(&Error{
				Kind: KindMapping, Op: b.title + ": query_mapping", Pos: b.step.queryMap.Pos(),
				Err: errNotObject,
			})
		}
		out = replaceParams(out, flattenParams(object), sameBaseName)
	}
	return replaceParams(replaceParams(out, remote, sameBaseName), authorizing, sameBaseName)
}

// replaceParams appends added to params, without those of the same name.
func replaceParams(params, added []Param, same func(a, b string) bool) []Param {
	return append(slices.DeleteFunc(params, func(p Param) bool {
		return slices.ContainsFunc(added, func(o Param) bool { return same(o.Name, p.Name) })
	}), added...)
}

// sameBaseName reports whether a and b are the same before their brackets.
func sameBaseName(a, b string) bool {
	a, _, _ = strings.Cut(a, "[")
	b, _, _ = strings.Cut(b, "[")
	return a == b
}

func (b *builder) header(hasBody bool, forwarded []Param, auth jsonata.Bindings, authorizing []Param) []Param {
	var out []Param
	if hasBody {
		contentType := "application/json"
		if b.step.form {
			contentType = "application/x-www-form-urlencoded"
		}
		out = append(out, Param{Name: "Content-Type", Value: contentType})
	}
	for _, more := range [][]Param{b.params(b.step.header, auth), authorizing, forwarded} {
		out = replaceParams(out, more, strings.EqualFold)
	}
	return out
}

func (b *builder) params(params []param, bindings jsonata.Bindings) []Param {
	if len(params) == 0 {
		return nil
	}
	out := make([]Param, 0, len(params)+4)
	for _, p := range params {
		if value, present := b.param(p, bindings); present {
			out = append(out, value)
		}
	}
	return out
}

// param computes p; false if it has no value.
func (b *builder) param(p param, bindings jsonata.Bindings) (Param, bool) {
	value, present := b.eval(p.expr, p.name, bindings)
	if !present || value == nil {
		return Param{}, false
	}
	return Param{Name: p.name, Value: plain.Text(value), Secret: p.secret}, true
}

// joinURL puts exactly one slash between base and path.
func joinURL(base, path string) string {
	return strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
}

// flattenParams turns {"a": {"b": 1}, "c": [2]} into a[b]=1, c[0]=2, in sorted order.
// What is null is left out.
func flattenParams(object map[string]any) []Param {
	var out []Param
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(name+"["+key+"]", v[key])
			}
		case []any:
			for i, item := range v {
				walk(name+"["+strconv.Itoa(i)+"]", item)
			}
		default:
			out = append(out, Param{Name: name, Value: plain.Text(v)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		walk(key, object[key])
	}
	return out
}

var callerPath = regexp.MustCompile(`\b(query|rawQuery|body)\s*\.\s*([A-Za-z_]\w*)((?:\[\d+\]|\.[A-Za-z_]\w*)*)`)

// callerField returns the pointer of the first part of the request that x reads; "" if there is
// none.
func callerField(x *jsonata.Expr) string {
	m := callerPath.FindStringSubmatch(x.Source)
	if m == nil {
		return ""
	}
	inside := strings.Fields(strings.NewReplacer("[", " ", "]", "", ".", " ").Replace(m[3]))
	if m[1] == "body" {
		return "/" + strings.Join(append([]string{m[2]}, inside...), "/")
	}
	if len(inside) == 0 {
		return "?" + m[2]
	}
	return "?" + m[2] + "[" + strings.Join(inside, "][") + "]"
}
