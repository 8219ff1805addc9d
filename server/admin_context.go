package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
)

// maxContextBytes is how much the names and texts of a context may hold in all.
const maxContextBytes = 64 << 10

// integration is the one that the body names; "" where there is none, which is a failure.
func (a *adminCall) integration() string {
	name := a.text("integration")
	if name == "" || a.server.catalog.Has(name) {
		return name
	}
	known := a.server.catalog.Integrations()
	f := failuref("/integration", CodeEnum, "integration is not known%s", suggestion(name, known...))
	for _, k := range known {
		f.Allowed = append(f.Allowed, k)
	}
	a.failures = append(a.failures, f)
	return ""
}

// context is what the body makes of a context that was there before: held against what the
// integration declares. No message shows a value.
func (a *adminCall) context(integration string, before accounts.Context) accounts.Context {
	given, _ := a.body["context"].(map[string]any)
	credentials := a.server.catalog.Credentials(integration)
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
		if len(a.failures) >= maxBuilt {
			break
		}
		size += len(name) + len(fmt.Sprint(given[name]))
		switch {
		case !slices.Contains(names, name):
			a.failf("/context/"+escapePointer.Replace(name), CodeAdditional, "context/%s is no credential of %s%s", name, integration, suggestion(name, names...))
		case given[name] == nil:
			delete(merged, name)
		default:
			merged[name] = given[name]
		}
	}
	if size > maxContextBytes {
		a.failf("/context", CodeLimit, "context holds more than %d bytes", maxContextBytes)
	}
	for _, p := range engine.ContextProblems(credentials, engine.Context(merged)) {
		a.failures = append(a.failures, contextFailure(p))
	}
	return merged
}

// contextFailure tells of a credential as of the member of the body that it is.
func contextFailure(p engine.ContextProblem) Failure {
	at := "/context/" + escapePointer.Replace(p.Credential.Name)
	f := Failure{Pointer: at, Message: at[1:] + " " + strings.TrimPrefix(p.Message, fmt.Sprintf("credential %q ", p.Credential.Name))}
	switch p.Fault {
	case engine.FaultMissing:
		f.Code = CodeRequired
	case engine.FaultType:
		f.Code = CodeType
	case engine.FaultEnum:
		f.Code = CodeEnum
		for _, v := range p.Credential.Enum {
			f.Allowed = append(f.Allowed, v)
		}
	default:
		f.Code = CodeFormat
	}
	return f
}

// mayVerify refuses to verify where the integration declares no call for it.
func (a *adminCall) mayVerify(integration string) {
	if a.query.verify && a.server.catalog.Verify(integration) == nil {
		a.failf("?verify", CodeUnsupported, "verify is not supported: %s declares no call for it", integration)
	}
}

// verification is what the provider answered to the account's credentials.
type verification struct {
	Status int `json:"status"`
}

// verify tries the credentials of account where the query asks for it; nil where it does not.
func (a *adminCall) verify(ctx context.Context, account accounts.Account) (*verification, *problem) {
	if !a.query.verify {
		return nil, nil
	}
	a.account, a.plan, a.call = account, a.server.catalog.Verify(account.Integration), &engine.Request{BaseURL: a.server.baseURLs[account.Integration]}
	if account.Status == accounts.StatusActive && a.server.keeper != nil {
		if p := a.renew(ctx, a.server.keeper.Fresh); p != nil {
			return nil, p
		}
		if a.account.Grant != account.Grant { // beside what the body changes
			account.Context = maps.Clone(account.Context)
			account.Context[accounts.AccessTokenField] = a.account.Context[accounts.AccessTokenField]
			a.account.Context = account.Context
		}
	}
	a.call.Context = engine.Context(account.Context)
	result, err := a.server.engine.Do(ctx, a.plan, a.call, engine.MainOnly)
	a.result = result
	if err != nil {
		return nil, a.problemOf(err)
	}
	return &verification{Status: result.Reply.Status}, nil
}

func verifiedAnswer(answer map[string]any, v *verification) map[string]any {
	if v != nil {
		answer["verification"] = v
	}
	return answer
}
