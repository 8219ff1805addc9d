package gateway

import (
	"context"
	"errors"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
)

// credentials are those of one account during one call. They are renewed before it if the
// access token is about to expire, and by the engine if the provider refuses them. It
// belongs to its call, and is not safe for concurrent use.
type credentials struct {
	gateway   *Gateway
	requestID string
	account   accounts.Account  // as renewed last
	seen      []accounts.Secret // every token that the call had, to mask it
}

var _ engine.Renewer = (*credentials)(nil)

// renewer is c if the account has a grant that can be renewed; nil otherwise.
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
	return c.put(ctx, c.gateway.keeper.Fresh)
}

// Renew gets another access token than the one that the provider refused.
func (c *credentials) Renew(ctx context.Context) (engine.Context, error) {
	refused := c.account.Grant.AccessToken
	if p := c.put(ctx, c.gateway.keeper.Renew); p != nil {
		return nil, p
	}
	if c.account.Grant.AccessToken == refused { // then it is not the token that the provider minds
		return nil, nil
	}
	return engine.Context(c.account.Context), nil
}

// put puts the account's grant through renew.
func (c *credentials) put(ctx context.Context, renew func(context.Context, oauth.App, accounts.Account) (accounts.Account, error)) *Problem {
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
	return checkStatus(renewed) // which was read anew
}

// grantProblem turns an error of the keeper into a problem.
func (c *credentials) grantProblem(ctx context.Context, err error) *Problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	redacted := func(text string) string {
		return redact(text, secretForms(c.account, nil, c.seen, nil))
	}
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return mustReconnect(redacted(refusal.Error()))
	case answered && refusal.Kind == oauth.Timeout:
		return &Problem{Status: statusTimeout, Message: "the authorization server did not answer in time"}
	case answered:
		return &Problem{Status: statusBadGateway, Message: redacted("no usable answer from the authorization server: " + refusal.Error())}
	case errors.Is(err, accounts.ErrUnavailable): // whatever made it so, a deadline for one
		return c.gateway.storeProblem(ctx, c.requestID, err)
	case errors.Is(err, accounts.ErrNotFound):
		return noAccount(c.account.ID)
	case errors.Is(err, context.DeadlineExceeded):
		return &Problem{Status: statusTimeout, Message: "renewing the account's access token took too long"}
	case errors.Is(err, context.Canceled):
		return canceled()
	default:
		return c.gateway.storeProblem(ctx, c.requestID, err)
	}
}
