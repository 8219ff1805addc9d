package engine

import (
	"context"
	"maps"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
)

// Override lays own expressions over a method's mapping. Each is evaluated on the same
// bindings as the mapping's own, except that context holds no secret credential, and gives
// an object. What is "" leaves the mapping as it is.
type Override struct {
	RequestBodyMapping, QueryMapping, ResponseMapping string

	// Replace puts what they give in the place of what is below. Without it, it is merged
	// over: objects deeply, anything else replaced.
	Replace bool
}

// OverrideLayer is an Override with a name for places: Pos.File is
// Name+"/request_body_mapping", Line and Col are inside that expression's text.
type OverrideLayer struct {
	Name string
	Override
}

func (l OverrideLayer) isEmpty() bool {
	return l.RequestBodyMapping == "" && l.QueryMapping == "" && l.ResponseMapping == ""
}

// mappingKey is a key of a mapping that an override may have as well.
type mappingKey int

const (
	bodyKey mappingKey = iota
	queryKey
	responseKey
	mappingKeys // how many there are
)

// String is the key as it is written.
func (k mappingKey) String() string {
	return [...]string{"request_body_mapping", "query_mapping", "response_mapping"}[k]
}

func (l OverrideLayer) source(k mappingKey) string {
	return [...]string{l.RequestBodyMapping, l.QueryMapping, l.ResponseMapping}[k]
}

// overlay is a compiled OverrideLayer; nil for what it leaves alone.
type overlay [mappingKeys]*jsonata.Expr

// Base is the plan without overrides; p itself where it has none.
func (p *Plan) Base() *Plan {
	if p.base != nil {
		return p.base
	}
	return p
}

// mapsBody reports whether anything maps the main call's body.
func (p *Plan) mapsBody() bool {
	return p.main.bodyMap != nil || slices.ContainsFunc(p.over, func(o overlay) bool { return o[bodyKey] != nil })
}

// mapped is what a step's request_body_mapping or query_mapping gives, overrides included;
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
	if len(p.over) == 0 || s != p.main {
		return value, nil
	}
	return p.lay(ctx, value, key, bindings)
}

// lay puts what the overrides under key give over value, which it does not write into.
func (p *Plan) lay(ctx context.Context, value any, key mappingKey, bindings jsonata.Bindings) (any, error) {
	account, _ := bindings.Plain("context").(map[string]any)
	public, err := bindings.With(map[string]any{"context": p.integration.publicContext(account)})
	if err != nil {
		return nil, &Error{Kind: KindMapping, Op: p.title, Err: err}
	}
	for _, o := range p.over {
		x := o[key]
		if x == nil {
			continue
		}
		given, _, err := evaluate(ctx, x, public, place{p.title, mainCall, key.String()})
		if err != nil {
			return nil, err
		}
		object, ok := given.(map[string]any)
		switch {
		case given == nil:
			continue
		case !ok:
			return nil, &Error{Kind: KindMapping, Op: p.title + ": " + key.String(), Pos: x.Pos(), Err: errGivesNoObject}
		case key == queryKey:
			object = p.withoutAuthorizing(object)
		case key == responseKey: // null says nothing, and clears nothing
			object, _ = plain.WithoutNulls(object).(map[string]any)
		}
		value = plain.Merge(value, object)
	}
	return value, nil
}

// publicContext is an account's context as an override may see it: what the integration
// declares and does not call secret.
func (in *Integration) publicContext(account map[string]any) map[string]any {
	out := map[string]any{}
	for _, c := range in.Credentials {
		if v, ok := account[c.Name]; ok && !c.Secret {
			out[c.Name] = v
		}
	}
	return out
}

// withoutAuthorizing is query without what authenticates, in any spelling: an account that
// has no such credential must not get one from an override.
func (p *Plan) withoutAuthorizing(query map[string]any) map[string]any {
	out := maps.Clone(query)
	maps.DeleteFunc(out, func(name string, _ any) bool { return p.authorizes(name) })
	return out
}

func (p *Plan) authorizes(name string) bool {
	return slices.ContainsFunc(p.authorizingQuery, func(a string) bool { return strings.EqualFold(a, baseName(name)) })
}
