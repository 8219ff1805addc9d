package gateway

import (
	"context"
	"errors"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
)

// credentials are those of an account during one call. They are renewed before the call if the
// access token is about to expire, and by the engine if the provider refuses them. They are not
// safe for concurrent use.
type credentials struct {
	gateway   *Gateway
	requestID string
	account   accounts.Account  // as renewed last
	seen      []accounts.Secret // every token that the call had, to mask it
}

var _ engine.Renewer = (*credentials)(nil)

// renewer returns c if the account's grant can be renewed; nil otherwise.
func (c *credentials) renewer() engine.Renewer {
	if !c.renewable() {
		return nil
	}
	return c
}

func (c *credentials) renewable() bool {
	return c.account.Grant != nil && c.account.Grant.AccessToken != "" && c.gateway.Consents(c.account.Integration)
}

// fresh renews an access token that is about to expire.
func (c *credentials) fresh(ctx context.Context) *Problem {
	if !c.renewable() {
		return nil
	}
	return c.renewWith(ctx, c.gateway.keeper.Fresh)
}

// Renew gets a new access token; nil if there is none.
func (c *credentials) Renew(ctx context.Context) (engine.Context, error) {
	refused := c.account.Grant.AccessToken
	if p := c.renewWith(ctx, c.gateway.keeper.Renew); p != nil {
		return nil, p
	}
	if c.account.Grant.AccessToken == refused { // the provider refuses something else
		return nil, nil
	}
	return engine.Context(c.account.Context), nil
}

// RenewGrant gets a new access token for the account. It reports whether the account has one that can
// be renewed.
func (g *Gateway) RenewGrant(ctx context.Context, requestID string, account accounts.Account) (bool, *Problem) {
	own := &credentials{gateway: g, requestID: requestID, account: account}
	if p := checkStatus(account); p != nil || !own.renewable() {
		return p != nil, p
	}
	return true, own.renewWith(ctx, g.keeper.Renew)
}

// renewWith renews the account's grant by renew.
func (c *credentials) renewWith(ctx context.Context, renew func(context.Context, oauth.App, accounts.Account) (accounts.Account, error)) *Problem {
	app, p := c.gateway.app(c.account.Integration, c.account.Context)
	if p != nil {
		return p
	}
	c.seen = append(c.seen, app.ClientSecret, c.account.Grant.AccessToken, c.account.Grant.RefreshToken)
	renewed, err := renew(ctx, app, c.account)
	if err != nil {
		return c.grantProblem(ctx, err)
	}
	c.account = renewed
	return checkStatus(renewed) // it was read again
}

// grantProblem turns an error of the keeper into a problem.
func (c *credentials) grantProblem(ctx context.Context, err error) *Problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	redacted := newMasker(c.account, nil, c.seen, nil).redact
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return mustReconnect(redacted(refusal.Error()))
	case answered && refusal.Kind == oauth.Timeout:
		return &Problem{Status: statusTimeout, Message: "the authorization server did not answer in time"}
	case answered:
		return &Problem{Status: statusBadGateway, Message: redacted("the answer of the authorization server cannot be used: " + refusal.Error())}
	case errors.Is(err, accounts.ErrUnavailable): // for any reason, such as a deadline
		return c.gateway.storeProblem(ctx, c.requestID, err)
	case errors.Is(err, accounts.ErrNotFound):
		return noAccount(c.account.ID)
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Status: statusTimeout, Message: "renewing the account's access token took too long"}
	case errors.Is(err, context.Canceled):
		return Canceled()
	default:
		return c.gateway.storeProblem(ctx, c.requestID, err)
	}
}
