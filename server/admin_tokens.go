package server

import (
	"context"
	"strconv"
	"time"

	"portolan/accounts"
	"portolan/gateway"
)

// The kinds of secrets, which their prefixes begin with.
const (
	apiTokens     = "ptl"
	accountTokens = "pta"
)

// accountTokenLife is how long an account's token lives where nothing is asked for, in seconds.
const accountTokenLife = 900

func showToken(t accounts.Token) any { return t.Public() }

func listTokens(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	page, err := a.server.store.Tokens(ctx, a.token.Environment, a.query.PageQuery)
	if err != nil {
		return nil, a.tokenProblem(err)
	}
	return listOf(page, showToken), nil
}

func getToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	found, err := a.server.store.Token(ctx, a.token.Environment, a.id)
	if err != nil {
		return nil, a.tokenProblem(err)
	}
	return found.Public(), nil
}

// createToken makes a token of the caller's environment; those who look after all
// environments may name another.
func createToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	environment := a.token.Environment
	if other := a.text("environment"); other != "" && other != environment {
		if !a.overAll() {
			return nil, noEnvironment(other)
		}
		environment = other
	}
	made := accounts.Token{Name: a.text("name"), Environment: environment, Role: accounts.Role(a.text("role"))}
	return a.issue(ctx, apiTokens, made, a.whole("expires_in", 0), "environment "+strconv.Quote(environment))
}

// createAccountToken makes a token that may call one account.
func createAccountToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	account, err := a.server.store.AccountInfo(ctx, a.token.Environment, a.id)
	if err != nil {
		return nil, a.accountProblem(err)
	}
	made := accounts.Token{Name: "integrated account", Environment: account.Environment, Role: accounts.RoleCall, AccountID: account.ID}
	return a.issue(ctx, accountTokens, made, a.whole("expires_in", accountTokenLife), a.accountName())
}

// issue stores t with a new secret, which the answer alone shows. life is in seconds, 0 for
// without end; owner is what may be gone.
func (a *adminCall) issue(ctx context.Context, kind string, t accounts.Token, life int64, owner string) (any, *gateway.Problem) {
	secret, prefix := accounts.NewSecret(kind)
	t.Prefix = prefix
	if life > 0 {
		t.ExpiresAt = a.server.now().UTC().Add(time.Duration(life) * time.Second)
	}
	made, err := a.server.store.CreateToken(ctx, a.actor(), accounts.StoredToken{Token: t, Hash: accounts.HashToken(secret.Reveal())})
	if err != nil {
		return nil, a.storeProblem(err, owner, "the token could not be made: try again")
	}
	answer := made.Public()
	answer["token"] = secret.Reveal()
	return answer, nil
}

func revokeToken(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	found, err := a.server.store.Token(ctx, a.token.Environment, a.id)
	if err == nil {
		err = a.server.store.RevokeToken(ctx, a.actor(), a.token.Environment, a.id)
	}
	if err != nil {
		return nil, a.tokenProblem(err)
	}
	return map[string]any{"id": found.ID}, nil
}

func (a *adminCall) tokenProblem(err error) *gateway.Problem {
	return a.storeProblem(err, "token of this id", "the token was changed meanwhile: try again")
}
