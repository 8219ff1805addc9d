package gateway

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
)

// OAuthApp is Portolan as an integration's authorization server knows it.
type OAuthApp struct {
	ClientID     string
	ClientSecret accounts.Secret
	Origin       string // replaces scheme and host of both endpoints: "http://127.0.0.1:4711/acme"; "" keeps them
}

// Consents reports whether accounts of integration can be connected by consent.
func (g *Gateway) Consents(integration string) bool {
	in := g.Snapshot().catalog.Integration(integration)
	_, ok := g.apps[integration]
	return ok && g.keeper != nil && in != nil && in.OAuth != nil
}

// ConsentOrigin returns the origin that replaces the authorization server's; "" for none.
func (g *Gateway) ConsentOrigin(integration string) string { return g.apps[integration].Origin }

// ConsentURL returns the URL at which an account of integration is connected, and the verifier for
// AcceptConsent. Consents must be true for integration. filled are the account's fields from the
// form; the problem names a missing one.
func (g *Gateway) ConsentURL(integration string, filled accounts.Context, callback, state string) (string, accounts.Secret, *Problem) {
	app, p := g.app(integration, filled)
	if p != nil {
		return "", "", p
	}
	verifier := oauth.NewVerifier()
	return app.ConsentURL(callback, state, verifier), verifier, nil
}

// Consent is the result of a customer's visit to an authorization server.
type Consent struct {
	Integration    string
	Filled         accounts.Context // the account's fields from the form
	Callback       string           // as passed to ConsentURL
	Code, Verifier accounts.Secret
	RequestID      string // for the log
}

// AcceptConsent exchanges a consent for a grant. It returns the grant and the account's fields,
// from the form and from the authorization server's answer. The problem's message is for the
// customer and contains no secret.
func (g *Gateway) AcceptConsent(ctx context.Context, consent Consent) (accounts.Context, *accounts.Grant, *Problem) {
	app, p := g.app(consent.Integration, consent.Filled)
	if p != nil {
		return nil, nil, p
	}
	grant, answer, err := g.keeper.Exchange(ctx, app, consent.Callback, consent.Code.Reveal(), consent.Verifier)
	if err != nil {
		return nil, nil, g.exchangeProblem(ctx, consent, app, err)
	}
	in := g.Snapshot().catalog.Integration(consent.Integration)
	settings, err := in.OAuth.Settings(ctx, answer)
	if err != nil { // its text may contain parts of the answer
		return nil, nil, invalidConsent("")
	}
	fields := accounts.Context{}
	maps.Copy(fields, consent.Filled)
	maps.Copy(fields, settings)
	complete := engine.Context(maps.Clone(fields))
	complete[engine.AccessToken] = grant.AccessToken.Reveal()
	if wrong := engine.CheckContext(in.Credentials, complete); len(wrong) > 0 {
		return nil, nil, invalidConsent(": " + strings.Join(wrong, "; "))
	}
	return fields, &grant, nil
}

func invalidConsent(reason string) *Problem {
	return &Problem{Status: statusBadGateway, Message: "The provider allowed the connection, but its answer cannot be used" + reason}
}

// exchangeProblem is the problem of a code that was not exchanged for a grant.
func (g *Gateway) exchangeProblem(ctx context.Context, consent Consent, app oauth.App, err error) *Problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return &Problem{Status: statusBadGateway, Message: Redact("The provider refused: "+refusal.Error(), app.ClientSecret, consent.Code, consent.Verifier)}
	case answered && refusal.Kind == oauth.Timeout:
		return &Problem{Status: statusTimeout, Message: "The provider did not answer in time. Try again."}
	case answered:
		return &Problem{Status: statusBadGateway, Message: "The provider's answer cannot be used. Try again."}
	default:
		return g.storeProblem(ctx, consent.RequestID, err)
	}
}

// app returns Portolan's OAuth client for an account with this context. The problem names a
// missing field of the account.
func (g *Gateway) app(integration string, account accounts.Context) (oauth.App, *Problem) {
	own, declared := g.apps[integration], g.Snapshot().catalog.Integration(integration).OAuth
	authorize, token, err := declared.Endpoints(engine.Context(account))
	if err != nil {
		return oauth.App{}, problemOf(err, nil)
	}
	return oauth.App{
		AuthorizeURL: withOrigin(authorize, own.Origin), TokenURL: withOrigin(token, own.Origin),
		ClientID: own.ClientID, ClientSecret: own.ClientSecret, Scopes: declared.Scopes,
	}, nil
}

// withOrigin returns endpoint with its scheme and host replaced by origin.
func withOrigin(endpoint, origin string) string {
	u, err := url.Parse(endpoint)
	if origin == "" || err != nil {
		return endpoint
	}
	return strings.TrimRight(origin, "/") + u.RequestURI()
}

// WithoutRenewal runs do while the account's grant is not renewed, because the renewed grant would
// overwrite do's.
func (g *Gateway) WithoutRenewal(ctx context.Context, a accounts.Account, do func(context.Context) error) error {
	if g.keeper == nil {
		return do(ctx)
	}
	return g.keeper.Exclusive(ctx, a, do)
}
