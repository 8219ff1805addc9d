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
	return listOf(page, accounts.Account.Public), a.accountProblem(err)
}

func getAccount(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, err := a.server.store.AccountInfo(ctx, a.token.Environment, a.id)
	return found.Public(), a.accountProblem(err)
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
	return withVerification(withWarnings(made, warnings), verified), nil
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
	return withVerification(withWarnings(made, warnings), verified), nil
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
