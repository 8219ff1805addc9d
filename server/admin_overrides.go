package server

import (
	"context"
	"maps"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
	"portolan/source"
)

// accountOverrides reads and compiles the body's overrides of an account, over those of its
// environment; nil where the body names none. What is odd and stored all the same is warned of.
func (a *adminCall) accountOverrides(ctx context.Context, integration string, inherited accounts.Overrides) (*accounts.Overrides, []gateway.Failure, *gateway.Problem) {
	return a.overridesOf(ctx, a.token.Environment, func(key string) (*engine.Plan, []engine.OverrideLayer, []string) {
		plan, known := a.server.mapped(integration, key)
		return plan, []engine.OverrideLayer{gateway.OverrideLayer(gateway.EnvironmentLayer, inherited[integration+"/"+key])}, known
	}, gateway.AccountLayer)
}

// environmentOverrides is accountOverrides of an environment, for each integration. Other
// saves in the environment called name wait.
func (a *adminCall) environmentOverrides(ctx context.Context, name string) (*accounts.Overrides, []gateway.Failure, *gateway.Problem) {
	return a.overridesOf(ctx, name, func(key string) (*engine.Plan, []engine.OverrideLayer, []string) {
		integration, op, _ := strings.Cut(key, "/")
		plan, _ := a.server.mapped(integration, op)
		var known []string
		for _, p := range a.server.gateway.Snapshot().Catalog().Plans() {
			known = append(known, p.Integration().Name+"/"+p.Operation().String())
		}
		return plan, nil, known
	}, gateway.EnvironmentLayer)
}

// mapped is the plan of an operation; nil where the integration does not map it, but known.
func (s *Server) mapped(integration, operation string) (plan *engine.Plan, known []string) {
	for _, p := range s.gateway.Snapshot().Catalog().Plans() {
		if p.Integration().Name == integration {
			known = append(known, p.Operation().String())
			if p.Operation().String() == operation {
				plan = p
			}
		}
	}
	return plan, known
}

// overridesOf compiles each of the body's overrides as the layer called name, while no other
// request does so in environment. find gives the plan under a key, what lies below, and the
// keys that there are.
//
//nolint:contextcheck,nolintlint // a plan is compiled for all who use it (contextcheck finds this mark itself)
func (a *adminCall) overridesOf(ctx context.Context, environment string, find func(key string) (*engine.Plan, []engine.OverrideLayer, []string), name string,
) (*accounts.Overrides, []gateway.Failure, *gateway.Problem) {
	given, ok := a.body["overrides"].(map[string]any)
	if !ok {
		return nil, nil, nil
	}
	out := accounts.Overrides{}
	if len(given) == 0 {
		return &out, nil, nil
	}
	leave, p := a.saving(ctx, environment)
	if p != nil {
		return nil, nil, p
	}
	defer leave()
	var warnings []gateway.Failure
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if len(a.failures) >= gateway.MaxFailures {
			break
		}
		at := "/overrides/" + plain.EscapeToken(key)
		plan, below, known := find(key)
		if plan == nil {
			a.failf(at, gateway.CodeAdditional, "%s is no method to override%s", at[1:], gateway.Suggestion(key, known...))
			continue
		}
		fields, _ := given[key].(map[string]any)
		override := overrideIn(fields)
		out[key] = override
		if override == (accounts.Override{Replace: override.Replace}) {
			a.failf(at, gateway.CodeEmpty, "%s names no mapping", at[1:])
			continue
		}
		if ctx.Err() != nil || len(a.failures) > maxListed { // compiling takes time
			break
		}
		_, found := a.server.gateway.Snapshot().Overrides().Plan(plan, append(below, gateway.OverrideLayer(name, override))...)
		for _, d := range found {
			f := overrideFailure(at, name, d)
			switch {
			case d.Severity == source.SeverityError:
				a.failures = append(a.failures, f)
			case f.Line > 0: // what lies below was warned of when it was saved
				warnings = append(warnings, f)
			}
		}
	}
	return &out, warnings, nil
}

// overrideIn reads what the schema has judged.
func overrideIn(fields map[string]any) accounts.Override {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	replace, _ := fields["replace"].(bool)
	return accounts.Override{
		RequestBodyMapping: text("request_body_mapping"), QueryMapping: text("query_mapping"), ResponseMapping: text("response_mapping"), Replace: replace,
	}
}

// overrideFailure tells a finding about the override at, a pointer, whose layer has that name.
func overrideFailure(at, name string, d source.Diagnostic) gateway.Failure {
	message := d.Code + ": " + d.Message
	if d.Hint != "" {
		message += " (" + d.Hint + ")"
	}
	key, own := strings.CutPrefix(d.Pos.File, name+"/")
	if !own { // of what lies below, together with which it does not work
		return gateway.Failure{Pointer: at, Code: gateway.CodeMapping, Message: d.Pos.String() + ": " + message}
	}
	return gateway.Failure{Pointer: at + "/" + key, Code: gateway.CodeMapping, Message: message, Line: d.Pos.Line, Column: d.Pos.Col}
}

// orNone is no overrides where none were named.
func orNone(o *accounts.Overrides) accounts.Overrides {
	if o == nil {
		return nil
	}
	return *o
}
