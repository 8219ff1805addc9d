package server

import (
	"context"
	"strconv"
	"time"

	"portolan/accounts"
	"portolan/gateway"
)

// The kinds of tokens, with which their prefixes begin.
const (
	apiTokens     = "ptl"
	accountTokens = "pta"
)

// accountTokenLifetime is the default lifetime of an account token, in seconds.
const accountTokenLifetime = 900

func listTokens(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	page, err := a.server.store.Tokens(ctx, a.token.Environment, a.query.PageQuery)
	return listOf(a, page, accounts.Token.Public), a.tokenProblem(err)
}

func getToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, err := a.server.store.Token(ctx, a.token.Environment, a.id)
	return found.Public(), a.tokenProblem(err)
}

// createToken creates a token in the caller's environment, or in another one if the caller
// administers all environments.
func createToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	environment := a.token.Environment
	if other := a.text("environment"); other != "" && other != environment {
		found, p := a.environment(ctx, other)
		if p != nil {
			return nil, p
		}
		environment = found.Name
	}
	made := accounts.Token{Name: a.text("name"), Environment: environment, Role: accounts.Role(a.text("role"))}
	return a.issue(ctx, apiTokens, made, a.integer("expires_in", 0), "environment "+strconv.Quote(environment))
}

// createAccountToken creates a token that can call one account only.
func createAccountToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	return a.createTokenOf(ctx, a.id)
}

// createTokenFor is createAccountToken with the account in the body.
func createTokenFor(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	return a.createTokenOf(ctx, a.text("integrated_account_id"))
}

func (a *adminCall) createTokenOf(ctx context.Context, id string) (any, *gateway.Problem) {
	account, err := a.server.store.AccountInfo(ctx, a.token.Environment, id)
	if err != nil {
		return nil, a.accountProblem(err)
	}
	made := accounts.Token{Name: "integrated account", Environment: account.Environment, Role: accounts.RoleCall, AccountID: account.ID}
	return a.issue(ctx, accountTokens, made, a.integer("expires_in", accountTokenLifetime), accountName)
}

// issue stores t with a new secret and returns both; the secret is shown this once. The lifetime
// is in seconds, 0 for no limit. owner names the environment or account of t in messages.
func (a *adminCall) issue(ctx context.Context, kind string, t accounts.Token, lifetime int64, owner string) (any, *gateway.Problem) {
	secret, prefix := accounts.NewSecret(kind)
	t.Prefix = prefix
	if lifetime > 0 {
		t.ExpiresAt = a.server.now().UTC().Add(time.Duration(lifetime) * time.Second)
	}
	made, err := a.server.store.CreateToken(ctx, a.actor(), accounts.StoredToken{Token: t, Hash: accounts.HashToken(secret.Reveal())})
	if err != nil {
		return nil, a.storeProblem(err, owner, "the token could not be created: try again")
	}
	answer := made.Public()
	answer["token"] = secret.Reveal()
	return answer, nil
}

func revokeToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, err := a.server.store.Token(ctx, a.token.Environment, a.id)
	if err == nil {
		err = a.server.store.RevokeToken(ctx, a.actor(), a.token.Environment, a.id)
	}
	return map[string]any{"id": found.ID}, a.tokenProblem(err)
}

func (a *adminCall) tokenProblem(err error) *gateway.Problem {
	return a.storeProblem(err, "token with this id", "the token was changed in the meantime: try again")
}
