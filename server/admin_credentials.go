package server

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
)

// maxContextBytes limits the names and values of a context together.
const maxContextBytes = 64 << 10

// integration returns the name of the integration in the body; "" after a failure if there is no
// such integration.
func (a *adminCall) integration() string {
	name := a.text("integration")
	if object, ok := a.body["integration"].(map[string]any); ok { // as accounts are answered
		id, _ := object["id"].(string)
		name, _ = object["name"].(string)
		name = cmp.Or(id, name)
	}
	if name == "" || a.server.integration(name) != nil {
		return name
	}
	var known []string
	for _, in := range a.server.gateway.Snapshot().Catalog().Integrations() {
		known = append(known, in.Name)
	}
	f := gateway.Failuref("/integration", gateway.CodeEnum, "integration is not known%s", gateway.Suggestion(name, known...))
	for _, k := range known {
		f.Allowed = append(f.Allowed, k)
	}
	a.failures = append(a.failures, f)
	return ""
}

// integration returns an integration by name; nil if there is none.
func (s *Server) integration(name string) *engine.Integration {
	return s.gateway.Snapshot().Catalog().Integration(name)
}

// context merges the context of the body into before and checks the result against the
// credentials that the integration declares. Secrets are not kept if they would go to another
// address. No message shows a value.
func (a *adminCall) context(integration string, before accounts.Context) accounts.Context {
	given, _ := a.body["context"].(map[string]any)
	credentials := a.server.integration(integration).Credentials
	var names []string
	for _, c := range credentials {
		if !c.Granted {
			names = append(names, c.Name)
		}
	}
	merged, size := maps.Clone(before), 0
	if merged == nil {
		merged = accounts.Context{}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if len(a.failures) >= gateway.MaxFailures {
			break
		}
		size += len(name) + len(fmt.Sprint(given[name]))
		switch {
		case !slices.Contains(names, name):
			a.failf("/context/"+plain.EscapeToken(name), gateway.CodeAdditional, "context/%s is not a credential of %s%s", name, integration, gateway.Suggestion(name, names...))
		case given[name] == nil:
			delete(merged, name)
		default:
			merged[name] = given[name]
		}
	}
	if size > maxContextBytes {
		a.failf("/context", gateway.CodeLimit, "context is larger than %d bytes", maxContextBytes)
	}
	dropped := leftBehind(a.server.integration(integration), before, merged, given)
	for _, name := range dropped {
		delete(merged, name)
	}
	for _, p := range engine.ContextProblems(credentials, engine.Context(merged)) {
		f := contextFailure(p)
		if slices.Contains(dropped, p.Credential.Name) || p.Credential.Replaced && slices.Contains(dropped, accounts.AccessTokenField) {
			f.Message += ": the stored credentials are not sent to the new address"
		}
		a.failures = append(a.failures, f)
	}
	return merged
}

// leftBehind returns the names of the secrets of before that are not given anew, if after leads to
// another address of the provider, which must not receive them.
func leftBehind(in *engine.Integration, before, after accounts.Context, given map[string]any) []string {
	var names []string
	moved := in.OAuth != nil && addresses(in.OAuth, before) != addresses(in.OAuth, after)
	for _, c := range in.Credentials {
		if strings.Contains(in.BaseURL, "{"+c.Name+"}") {
			moved = moved || orDefault(before[c.Name], c) != orDefault(after[c.Name], c)
		}
		_, anew := given[c.Name]
		if _, kept := before[c.Name]; kept && !anew && (c.Secret || c.Granted) {
			names = append(names, c.Name)
		}
	}
	if !moved {
		return nil
	}
	return names
}

func orDefault(value any, c engine.Credential) string {
	if value == nil || value == "" {
		return c.Default
	}
	return plain.Text(value)
}

// addresses returns the URLs of the authorization server for an account; none if a setting is missing.
func addresses(o *engine.OAuth, context accounts.Context) [2]string {
	authorize, token, _ := o.Endpoints(engine.Context(context))
	return [2]string{authorize, token}
}

// shortSecrets returns a warning for each secret of context that is too short to be masked everywhere.
func (a *adminCall) shortSecrets(integration string, context accounts.Context) []gateway.Failure {
	return gateway.ShortSecrets(a.server.integration(integration).Credentials, context)
}

// contextFailure reports p as a failure of the body, with the pointer to the credential.
func contextFailure(p engine.ContextProblem) gateway.Failure {
	at := "/context/" + plain.EscapeToken(p.Credential.Name)
	f := gateway.Failure{Pointer: at, Message: at[1:] + " " + strings.TrimPrefix(p.Message, fmt.Sprintf("credential %q ", p.Credential.Name))}
	switch p.Fault {
	case engine.FaultMissing:
		f.Code = gateway.CodeRequired
	case engine.FaultType:
		f.Code = gateway.CodeType
	case engine.FaultEnum:
		f.Code = gateway.CodeEnum
		for _, v := range p.Credential.Enum {
			f.Allowed = append(f.Allowed, v)
		}
	default:
		f.Code = gateway.CodeFormat
	}
	return f
}

// checkVerify refuses the query parameter verify if the integration declares no call for it.
func (a *adminCall) checkVerify(integration string) {
	if a.query.verify && a.server.integration(integration).Verify == nil {
		a.failf("?verify", gateway.CodeUnsupported, "verify is not supported: %s declares no call for it", integration)
	}
}

// verification is the provider's answer to the account's credentials.
type verification struct {
	Status int `json:"status"`
}

// verify checks account's credentials with the provider; it returns nil if the query does not ask
// for it.
func (a *adminCall) verify(ctx context.Context, account accounts.Account) (*verification, *gateway.Problem) {
	if !a.query.verify {
		return nil, nil
	}
	outcome, p := a.server.gateway.Verify(ctx, a.request.id, account)
	if p != nil {
		return nil, p
	}
	a.report = outcome.Report
	return &verification{Status: outcome.Status}, nil
}

func withVerification(answer map[string]any, v *verification) map[string]any {
	if v != nil {
		answer["verification"] = v
	}
	return answer
}
