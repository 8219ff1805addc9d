package server

import (
	"context"
	"maps"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// accountName names the account of the path in messages. Its id is not quoted: it may be a secret sent by mistake.
const accountName = "integrated account with this id"

func (a *adminCall) accountProblem(err error) *gateway.Problem {
	return a.storeProblem(err, accountName, versionChanged)
}

func listAccounts(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	page, err := a.server.store.Accounts(ctx, a.token.Environment, accounts.AccountQuery{
		PageQuery: a.query.PageQuery, Integration: a.query.integration, TenantID: a.query.tenantID, Status: a.query.status,
	})
	return listOf(a, page, a.server.accountAnswer), a.accountProblem(err)
}

func getAccount(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, err := a.server.store.AccountInfo(ctx, a.token.Environment, a.id)
	return a.server.accountAnswer(found), a.accountProblem(err)
}

// accountAnswer returns the answer for an account: its settings that are not secret, and "***" for
// everything else that is stored.
func (s *Server) accountAnswer(account accounts.Account) map[string]any {
	out := account.Public()
	name := map[string]any{"id": account.Integration, "name": account.Integration, "label": account.Integration}
	shown := map[string]any{}
	for _, f := range account.Fields {
		shown[f.Name] = "***"
	}
	if in := s.integration(account.Integration); in != nil {
		name["label"] = in.Label
		for _, c := range in.Credentials {
			if v, stored := account.Context[c.Name]; stored && !c.Secret && !c.Granted {
				shown[c.Name] = v
			}
		}
	}
	out["integration"], out["context"] = name, shown
	out["environment_integration_id"], out["environment_integration"] = nil, nil // of Truto's; there are none here
	return out
}

// refreshCredentials gets a new access token for an account that has one.
func refreshCredentials(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	account, err := a.server.store.Account(ctx, a.token.Environment, a.text("id"))
	if err != nil {
		return nil, a.accountProblem(err)
	}
	renewed, p := a.server.gateway.RenewGrant(ctx, a.request.id, account)
	if p == nil && !renewed {
		a.failf("/id", gateway.CodeUnsupported, "id is that of an account without an access token that can be renewed")
		p = a.refusal()
	}
	return map[string]any{"success": true}, p
}

func deleteAccount(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	err := a.server.store.DeleteAccount(ctx, a.actor(), a.token.Environment, a.id, a.query.version)
	return map[string]any{"id": strings.ToLower(a.id)}, a.accountProblem(err)
}

// createAccount stores a new account. If the query asks for it, the provider has to accept the
// credentials first.
func createAccount(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	n := accounts.Account{
		ID: a.text("id"), Integration: a.integration(), Environment: a.token.Environment,
		Label: a.text("label"), TenantID: a.text("tenant_id"), Context: accounts.Context{},
	}
	var warnings []gateway.Failure
	if n.Integration != "" {
		inherited, p := a.inherited(ctx)
		if p != nil {
			return nil, p
		}
		var own *accounts.Overrides
		n.Context = a.context(n.Integration, nil)
		if own, warnings, p = a.accountOverrides(ctx, n.Integration, inherited); p != nil {
			return nil, p
		}
		if own != nil {
			n.Overrides = *own
		}
		warnings = append(warnings, a.shortSecrets(n.Integration, n.Context)...)
		a.checkVerify(n.Integration)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	verified, p := a.verify(ctx, n)
	if p != nil {
		return nil, p
	}
	made, err := a.server.store.CreateAccount(ctx, a.actor(), accounts.NewAccount{Account: n})
	if err != nil {
		return nil, a.storeProblem(err, "environment "+a.token.Environment, "an integrated account with this id already exists")
	}
	return withVerification(withWarnings(a.server.accountAnswer(made), warnings), verified), nil
}

// updateAccount changes the members that the body has.
func updateAccount(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	before, err := a.server.store.Account(ctx, a.token.Environment, a.id)
	if err != nil {
		return nil, a.accountProblem(err)
	}
	if before.ReadOnly {
		return nil, a.accountProblem(accounts.ErrReadOnly) // before the provider is called
	}
	a.requireChange()
	change := accounts.AccountChange{Version: a.integer("version", 0), Label: a.textChange("label"), TenantID: a.textChange("tenant_id")}
	if s := a.textChange("status"); s != nil {
		status := accounts.Status(*s)
		change.Status = &status
	}
	after := before
	if _, ok := a.body["context"]; ok {
		after.Context = a.context(before.Integration, before.Context)
		given, _ := a.body["context"].(map[string]any)
		change.Context = takingAway(before.Context, after.Context, given)
		if _, kept := after.Context[accounts.AccessTokenField]; before.Grant != nil && !kept {
			after.Grant, change.Grant = nil, &accounts.Grant{}
		}
	}
	overrides, warnings, p := a.accountOverrides(ctx, before.Integration, before.Inherited)
	if p != nil {
		return nil, p
	}
	change.Overrides = overrides
	warnings = append(warnings, a.shortSecrets(before.Integration, change.Context)...)
	a.checkVerify(before.Integration)
	if p := a.refusal(); p != nil {
		return nil, p
	}
	if change.Version != 0 && change.Version != before.Version {
		return nil, a.accountProblem(accounts.ErrConflict) // before the provider is called
	}
	verified, p := a.verify(ctx, after)
	if p != nil {
		return nil, p
	}
	made, err := a.server.store.UpdateAccount(ctx, a.actor(), a.token.Environment, a.id, change)
	if err != nil {
		return nil, a.accountProblem(err)
	}
	return withVerification(withWarnings(a.server.accountAnswer(made), warnings), verified), nil
}

// takingAway returns given, with null for what before has and after does not.
func takingAway(before, after accounts.Context, given map[string]any) accounts.Context {
	out := maps.Clone(given)
	for name := range before {
		if _, kept := after[name]; !kept {
			out[name] = nil
		}
	}
	return out
}

// inherited returns the overrides of the caller's environment; nil if the body has no overrides
// to check together with them.
func (a *adminCall) inherited(ctx context.Context) (accounts.Overrides, *gateway.Problem) {
	if a.body["overrides"] == nil {
		return nil, nil
	}
	environment, err := a.server.store.Environment(ctx, a.token.Environment)
	if err != nil {
		return nil, a.storeProblem(err, "environment "+a.token.Environment, "")
	}
	return environment.Overrides, nil
}
