package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portolan/jsonata"
)

// Build computes the provider call that req asks for. before holds the answers of the
// before steps by name; nil where there are none. It does no I/O and writes into neither
// argument. Its error is an *Error of KindInvalid (the caller's value cannot be sent),
// KindAccount (the integrated account's settings) or KindMapping.
func (p *Plan) Build(ctx context.Context, req *Request, before map[string]any) (*Call, error) {
	ctx, cancel := p.withDeadline(ctx)
	defer cancel()
	account, err := p.accountContext(req)
	if err != nil {
		return nil, err
	}
	call, err := p.buildStep(ctx, p.main, req, account, req.bindings(account, before))
	if err != nil {
		return nil, err
	}
	return call, nil
}

// ErrNothingToSend is the cause of a KindInvalid error: the method writes, and nothing of
// the request would reach the provider.
var ErrNothingToSend = errors.New("nothing in the request would reach the provider")

func (p *Plan) buildStep(ctx context.Context, s *step, req *Request, account map[string]any, bindings map[string]any) (*Call, error) {
	b := builder{ctx: ctx, plan: p, step: s}
	base, shownBase := b.base(req, account)
	path, shownPath := b.path(req.ID, bindings)
	target := joinURL(base, path)
	authBindings := map[string]any{"context": account, "url": target}

	call := &Call{
		Name: s.name, Method: s.verb, Repeatable: s.repeatable,
		URL: target, ShownURL: joinURL(shownBase, shownPath),
	}
	isMain := s == p.main
	b.body(call, req, bindings, isMain)
	call.Query = b.query(req, bindings, authBindings, isMain)
	call.Header = b.header(call, req, authBindings)
	if b.err != nil {
		return nil, b.err
	}
	return call, nil
}

// builder evaluates the parts of one call and keeps the first error.
type builder struct {
	ctx  context.Context
	plan *Plan
	step *step
	err  error
}

func (b *builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// eval evaluates x, which stands under the mapping key what.
func (b *builder) eval(x *jsonata.Expr, what string, bindings map[string]any) (any, bool) {
	if b.err != nil {
		return nil, false
	}
	v, present, err := b.plan.eval(b.ctx, x, b.step.name, what, bindings)
	if err != nil {
		b.fail(err)
	}
	return v, present
}

// mapped is what the step's mapping under key gives, overrides included; nil for nothing.
func (b *builder) mapped(key mappingKey, bindings map[string]any) any {
	if b.err != nil {
		return nil
	}
	value, err := b.plan.mapped(b.ctx, b.step, key, bindings)
	if err != nil {
		b.fail(err)
	}
	return value
}

func (p *Plan) eval(ctx context.Context, x *jsonata.Expr, stepName, what string, bindings map[string]any) (any, bool, error) {
	v, present, err := x.Eval(ctx, bindings)
	if err == nil {
		return v, present, nil
	}
	op := p.title + ": " + what
	if stepName != mainCall {
		op = p.title + ": " + stepName + ": " + what
	}
	if errors.Is(err, context.Canceled) {
		return nil, false, &Error{Kind: KindCanceled, Op: op, Err: err}
	}
	return nil, false, &Error{Kind: KindMapping, Op: op, Pos: x.Pos(), Err: err}
}

func (b *builder) base(req *Request, account map[string]any) (base, shown string) {
	if req.BaseURL != "" {
		return req.BaseURL, req.BaseURL
	}
	in := b.plan.integration
	base, err := in.baseURL.expand(func(name string) (string, error) {
		text, ok := account[name].(string)
		if !ok || text == "" {
			return "", &Error{Kind: KindAccount, Op: b.plan.title, Err: fmt.Errorf("credential %q is missing", name)}
		}
		return text, nil
	})
	if err != nil {
		b.fail(err)
	}
	if in.baseSecret {
		shown, _ = in.baseURL.expand(func(string) (string, error) { return masked, nil })
		return base, shown
	}
	return base, base
}

func (b *builder) path(id string, bindings map[string]any) (path, shown string) {
	values := make(map[string]string, len(b.step.path.variables))
	path, err := b.step.path.expand(func(name string) (string, error) {
		text, pointer := id, ""
		v, declared := b.step.variables[name]
		if declared {
			value, present := b.eval(v.expr, "path_variables."+name, bindings)
			if b.err != nil {
				return "", b.err
			}
			if present && value != nil {
				text = scalarText(value)
			} else {
				text = ""
			}
			pointer = callerField(v.expr)
		}
		encoded, err := encodeSegment(text)
		if err != nil {
			return "", b.badVariable(name, v, pointer, err)
		}
		values[name] = encoded
		return encoded, nil
	})
	if err != nil {
		b.fail(err)
		return "", ""
	}
	shown, _ = b.step.path.expand(func(name string) (string, error) {
		if b.step.variables[name].secret {
			return masked, nil
		}
		return values[name], nil
	})
	return path, shown
}

// badVariable says whose fault an unusable path variable is: the caller's where it comes
// from the request, the mapping's otherwise.
func (b *builder) badVariable(name string, v param, pointer string, cause error) error {
	op := b.plan.title
	if v.expr == nil {
		return &Error{Kind: KindInvalid, Op: op, Err: fmt.Errorf("the record's id %w", cause)}
	}
	if pointer != "" {
		return &Error{Kind: KindInvalid, Op: op, Pointer: pointer, Err: fmt.Errorf("%s %w", strings.TrimLeft(pointer, "/?"), cause)}
	}
	return &Error{Kind: KindMapping, Op: op + ": path_variables." + name, Pos: v.expr.Pos(), Err: fmt.Errorf("path variable %q %w", name, cause)}
}

func (b *builder) body(call *Call, req *Request, bindings map[string]any, isMain bool) {
	value := b.mapped(bodyKey, bindings)
	if isMain {
		if extra, ok := req.Body[RemoteData].(map[string]any); ok {
			value = mergeDeep(value, extra)
		}
		if b.plan.mapsBody() && isNothing(value) {
			b.fail(&Error{Kind: KindInvalid, Op: b.plan.title, Err: ErrNothingToSend})
		}
	}
	if b.err != nil || value == nil || b.step.verb == http.MethodGet {
		return
	}
	if !b.step.form {
		call.Body = b.encodeJSON(value)
		return
	}
	object, ok := value.(map[string]any)
	if !ok {
		b.fail(&Error{
			Kind: KindMapping, Op: b.plan.title + ": request_body_mapping", Pos: b.step.bodyMap.Pos(),
			Err: errors.New("a form body must be an object"),
		})
		return
	}
	call.Body = []byte(encodeForm(object))
}

func (b *builder) encodeJSON(value any) []byte {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		b.fail(&Error{Kind: KindMapping, Op: b.plan.title + ": request_body_mapping", Err: err})
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// query collects the parameters in order: the method's own, the mapping's, the caller's
// remote_query (which wins over a mapped one of the same name), then what authenticates.
func (b *builder) query(req *Request, bindings, authBindings map[string]any, isMain bool) []Param {
	out := b.params(b.step.query, authBindings)
	if value := b.mapped(queryKey, bindings); value != nil {
		object, ok := value.(map[string]any)
		if !ok {
			b.fail(&Error{
				Kind: KindMapping, Op: b.plan.title + ": query_mapping", Pos: b.step.queryMap.Pos(),
				Err: errGivesNoObject,
			})
		}
		mapped := flattenParams(object)
		out = append(replaced(out, mapped), mapped...)
	}
	if isMain {
		out = append(replaced(out, req.RemoteQuery), req.RemoteQuery...)
	}
	auth := b.params(b.plan.integration.authQuery, authBindings)
	return append(replaced(out, auth), auth...)
}

// replaced is params without those whose name, up to the first bracket, is one of by's.
func replaced(params, by []Param) []Param {
	return slices.DeleteFunc(params, func(p Param) bool {
		return slices.ContainsFunc(by, func(o Param) bool { return baseName(o.Name) == baseName(p.Name) })
	})
}

func baseName(name string) string {
	name, _, _ = strings.Cut(name, "[")
	return name
}

func (b *builder) header(call *Call, req *Request, authBindings map[string]any) []Param {
	var out []Param
	if call.Body != nil {
		contentType := "application/json"
		if b.step.form {
			contentType = "application/x-www-form-urlencoded"
		}
		out = append(out, Param{Name: "Content-Type", Value: contentType})
	}
	for _, more := range [][]Param{
		b.params(b.step.header, authBindings), b.params(b.plan.integration.authHeader, authBindings), req.Header,
	} {
		out = slices.DeleteFunc(out, func(p Param) bool {
			return slices.ContainsFunc(more, func(o Param) bool { return strings.EqualFold(o.Name, p.Name) })
		})
		out = append(out, more...)
	}
	return out
}

func (b *builder) params(params []param, bindings map[string]any) []Param {
	out := make([]Param, 0, len(params)+4)
	for _, p := range params {
		value, present := b.eval(p.expr, p.name, bindings)
		if present && value != nil {
			out = append(out, Param{Name: p.name, Value: scalarText(value), Secret: p.secret})
		}
	}
	return out
}

// joinURL puts exactly one slash between base and path.
func joinURL(base, path string) string {
	return strings.TrimRight(base, "/") + "/" + strings.TrimLeft(path, "/")
}

// scalarText is a JSON value as URL or header text: text as it is, anything else as JSON.
func scalarText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, _ := json.Marshal(v) // plain JSON: cannot fail
	return string(text)
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
			out = append(out, Param{Name: name, Value: scalarText(v)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		walk(key, object[key])
	}
	return out
}

var callerPath = regexp.MustCompile(`\b(query|rawQuery|body)\s*\.\s*([A-Za-z_]\w*)((?:\[\d+\]|\.[A-Za-z_]\w*)*)`)

// callerField is the part of the request that x reads, as a pointer: the one to name if its
// value cannot be used. "" if it reads none.
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
