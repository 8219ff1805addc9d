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

// accountOverrides compiles the body's overrides of an account, on top of those of its
// environment; it returns nil if the body has none. Findings that do not prevent saving are
// returned as warnings.
func (a *adminCall) accountOverrides(ctx context.Context, integration string, inherited accounts.Overrides) (*accounts.Overrides, []gateway.Failure, *gateway.Problem) {
	return a.overridesOf(ctx, a.token.Environment, func(key string) (*engine.Plan, []engine.OverrideLayer, []string) {
		plan, known := a.server.mapped(integration, key)
		return plan, []engine.OverrideLayer{gateway.OverrideLayer(gateway.EnvironmentLayer, inherited[integration+"/"+key])}, known
	}, gateway.AccountLayer)
}

// environmentOverrides compiles the body's overrides of an environment, which may be for any
// integration. name is the environment, in which other saves wait.
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

// mapped returns the plan of an operation, or nil if the integration does not map it, and all
// operations that the integration maps.
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
// request compiles in environment. find returns the plan of a key, the layers below, and all
// keys that have a plan; the plan is nil if the key has none.
//
//nolint:contextcheck,nolintlint // a compiled plan is shared, and must not depend on one request (contextcheck reports this line as well)
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
			a.failf(at, gateway.CodeAdditional, "%s is not a method that can be overridden%s", at[1:], gateway.Suggestion(key, known...))
			continue
		}
		fields, _ := given[key].(map[string]any)
		override := overrideIn(fields)
		out[key] = override
		if override == (accounts.Override{Replace: override.Replace}) {
			a.failf(at, gateway.CodeEmpty, "%s does not have a mapping", at[1:])
			continue
		}
		if ctx.Err() != nil || len(a.failures) > maxListed { // compiling takes time
			break
		}
		_, found := a.server.gateway.Snapshot().Override(environment, plan, append(below, gateway.OverrideLayer(name, override))...)
		for _, d := range found {
			f := overrideFailure(at, name, d)
			switch {
			case d.Severity == source.SeverityError:
				a.failures = append(a.failures, f)
			case f.Line > 0: // the layers below had their warnings when they were saved
				warnings = append(warnings, f)
			}
		}
	}
	return &out, warnings, nil
}

// overrideIn reads the members of one override; the schema has checked their types.
func overrideIn(fields map[string]any) accounts.Override {
	text := func(name string) string { s, _ := fields[name].(string); return s }
	replace, _ := fields["replace"].(bool)
	return accounts.Override{
		RequestBodyMapping: text("request_body_mapping"), QueryMapping: text("query_mapping"), ResponseMapping: text("response_mapping"), Replace: replace,
	}
}

// overrideFailure reports finding d of the override at the pointer at, which is the layer called
// name.
func overrideFailure(at, name string, d source.Diagnostic) gateway.Failure {
	message := d.Code + ": " + d.Message
	if d.Hint != "" {
		message += " (" + d.Hint + ")"
	}
	key, own := strings.CutPrefix(d.Pos.File, name+"/")
	if !own { // in a layer below, which does not work together with this override
		return gateway.Failure{Pointer: at, Code: gateway.CodeMapping, Message: d.Pos.String() + ": " + message}
	}
	return gateway.Failure{Pointer: at + "/" + key, Code: gateway.CodeMapping, Message: message, Line: d.Pos.Line, Column: d.Pos.Col}
}
