package engine

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Override holds a customer's expressions for a method. Each sees the bindings of the mapping's
// own, except that context has no secret credentials, and returns an object. "" changes nothing.
type Override struct {
	RequestBodyMapping, QueryMapping, ResponseMapping string

	// Replace puts the results in place of the mapping's. Otherwise they are merged into those:
	// objects deeply, anything else replaced.
	Replace bool
}

// OverrideLayer is an Override with a name. In diagnostics, Pos.File is
// Name+"/request_body_mapping", and Line and Col are places in that expression.
type OverrideLayer struct {
	Name string
	Override
}

// IsEmpty reports whether the layer changes nothing.
func (l OverrideLayer) IsEmpty() bool {
	return l.RequestBodyMapping == "" && l.QueryMapping == "" && l.ResponseMapping == ""
}

// mappingKey is a key of a mapping that an override may have too.
type mappingKey int

const (
	bodyKey mappingKey = iota
	queryKey
	responseKey
	mappingKeys // how many there are
)

// String returns the key as it is written.
func (k mappingKey) String() string {
	return [...]string{"request_body_mapping", "query_mapping", "response_mapping"}[k]
}

func (l OverrideLayer) source(k mappingKey) string {
	return [...]string{l.RequestBodyMapping, l.QueryMapping, l.ResponseMapping}[k]
}

// compiledOverride is a compiled OverrideLayer: an expression by mappingKey, or nil.
type compiledOverride [mappingKeys]*jsonata.Expr

// Base returns the plan without overrides; p itself if it has none.
func (p *Plan) Base() *Plan {
	if p.base != nil {
		return p.base
	}
	return p
}

// mapsBody reports whether anything maps the main call's body.
func (p *Plan) mapsBody() bool {
	return p.main.bodyMap != nil || slices.ContainsFunc(p.overrides, func(o compiledOverride) bool { return o[bodyKey] != nil })
}

// mapped returns the result of a step's request_body_mapping or query_mapping, with overrides;
// nil for nothing.
func (p *Plan) mapped(ctx context.Context, s *step, key mappingKey, bindings jsonata.Bindings) (any, error) {
	x := s.bodyMap
	if key == queryKey {
		x = s.queryMap
	}
	var value any
	if x != nil {
		var err error
		if value, _, err = evaluate(ctx, x, bindings, place{p.title, s.name, key.String()}); err != nil {
			return nil, err
		}
	}
	if len(p.overrides) == 0 || s != p.main {
		return value, nil
	}
	return p.applyOverrides(ctx, value, key, bindings)
}

// applyOverrides returns value with the results of the overrides under key. It does not change
// value.
func (p *Plan) applyOverrides(ctx context.Context, value any, key mappingKey, bindings jsonata.Bindings) (any, error) {
	account, _ := bindings.Plain("context").(map[string]any)
	public := bindings.With(map[string]any{"context": p.integration.publicContext(account)})
	for _, o := range p.overrides {
		x := o[key]
		if x == nil {
			continue
		}
		result, _, err := evaluate(ctx, x, public, place{p.title, mainStep, key.String()})
		if err != nil {
			return nil, err
		}
		object, ok := result.(map[string]any)
		switch {
		case result == nil:
			continue
		case !ok:
			return nil, &Error{Kind: KindMapping, Op: p.title + ": " + key.String(), Pos: x.Pos(), Err: errNotObject}
		case key == queryKey:
			object = p.withoutAuthorizing(object)
		case key == responseKey: // null does not clear a field
			object, _ = plain.WithoutNulls(object).(map[string]any)
		}
		value = plain.Merge(value, object)
	}
	return value, nil
}

// publicContext returns the declared credentials of an account that are not secret.
func (in *Integration) publicContext(account map[string]any) map[string]any {
	out := map[string]any{}
	for _, c := range in.Credentials {
		if v, ok := account[c.Name]; ok && !c.Secret {
			out[c.Name] = v
		}
	}
	return out
}

// withoutAuthorizing returns query without the parameters that authenticate. An override must
// not set them even if the account does not.
func (p *Plan) withoutAuthorizing(query map[string]any) map[string]any {
	out := maps.Clone(query)
	maps.DeleteFunc(out, func(name string, _ any) bool { return p.Authorizes(name) })
	return out
}

// Authorizes reports whether the query parameter called name authenticates. Providers differ in what
// they ignore of a name: case, brackets, or characters that are neither letters nor digits.
func (p *Plan) Authorizes(name string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(name, "[]"), "[")
	return slices.ContainsFunc(p.authorizingQuery, func(a string) bool {
		a = separators.ReplaceAllString(a, "")
		return strings.EqualFold(a, separators.ReplaceAllString(first, "")) || strings.EqualFold(a, separators.ReplaceAllString(name, ""))
	})
}

var separators = regexp.MustCompile(`[^\pL\pN]+`)
