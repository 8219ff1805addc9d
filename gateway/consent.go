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
	Origin       string // "http://127.0.0.1:4711/acme": in place of scheme and host of both endpoints; "" leaves them
}

// Consents reports whether accounts of integration can be connected by consent.
func (g *Gateway) Consents(integration string) bool {
	in := g.Snapshot().catalog.Integration(integration)
	_, ok := g.apps[integration]
	return ok && g.keeper != nil && in != nil && in.OAuth != nil
}

// ConsentOrigin is the origin that stands in place of the authorization server's own; "" for none.
func (g *Gateway) ConsentOrigin(integration string) string { return g.apps[integration].Origin }

// ConsentURL is where an account of integration, which must be one that Consents, is
// connected, and the verifier that AcceptConsent needs. filled are the account's fields that
// the customer has typed in; the problem names one that is missing.
func (g *Gateway) ConsentURL(integration string, filled accounts.Context, callback, state string) (string, accounts.Secret, *Problem) {
	app, p := g.app(integration, filled)
	if p != nil {
		return "", "", p
	}
	verifier := oauth.NewVerifier()
	return app.ConsentURL(callback, state, verifier), verifier, nil
}

// Consent is what an authorization server sent the customer back with.
type Consent struct {
	Integration    string
	Filled         accounts.Context // the account's fields that the customer has typed in
	Callback       string           // as given to ConsentURL
	Code, Verifier accounts.Secret
	RequestID      string // for the log
}

// AcceptConsent turns a consent into a grant, and into the account's fields: those filled in,
// and those that the authorization server's answer has. The problem's message is for the
// customer. It shows no secret.
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
	if err != nil { // whose text is for whoever wrote the mapping, and may quote the answer
		return nil, nil, unusableConsent("")
	}
	fields := accounts.Context{}
	maps.Copy(fields, consent.Filled)
	maps.Copy(fields, settings)
	complete := engine.Context(maps.Clone(fields))
	complete[engine.AccessToken] = grant.AccessToken.Reveal()
	if wrong := engine.CheckContext(in.Credentials, complete); len(wrong) > 0 {
		return nil, nil, unusableConsent(": " + strings.Join(wrong, "; "))
	}
	return fields, &grant, nil
}

func unusableConsent(reason string) *Problem {
	return &Problem{Status: statusBadGateway, Message: "The provider allowed the connection, but its answer cannot be used" + reason}
}

// exchangeProblem is why a code was not exchanged for a grant.
func (g *Gateway) exchangeProblem(ctx context.Context, consent Consent, app oauth.App, err error) *Problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return &Problem{Status: statusBadGateway, Message: Redact("The provider refused: "+refusal.Error(), app.ClientSecret, consent.Code, consent.Verifier)}
	case answered && refusal.Kind == oauth.Timeout:
		return &Problem{Status: statusTimeout, Message: "The provider did not answer in time. Try again."}
	case answered:
		return &Problem{Status: statusBadGateway, Message: "The provider gave no usable answer. Try again."}
	default:
		return g.storeProblem(ctx, consent.RequestID, err)
	}
}

// app is the client that Portolan is towards the authorization server of an account with
// this context. The problem names the account's field that is missing.
func (g *Gateway) app(integration string, account accounts.Context) (oauth.App, *Problem) {
	own, declared := g.apps[integration], g.Snapshot().catalog.Integration(integration).OAuth
	authorize, token, err := declared.Endpoints(engine.Context(account))
	if err != nil {
		return oauth.App{}, problemOf(err, nil)
	}
	return oauth.App{
		AuthorizeURL: moved(authorize, own.Origin), TokenURL: moved(token, own.Origin),
		ClientID: own.ClientID, ClientSecret: own.ClientSecret, Scopes: declared.Scopes,
	}, nil
}

// moved puts origin in place of an endpoint's scheme and host.
func moved(endpoint, origin string) string {
	u, err := url.Parse(endpoint)
	if origin == "" || err != nil {
		return endpoint
	}
	return strings.TrimRight(origin, "/") + u.RequestURI()
}

// Unrenewed runs do while nobody renews the account's grant: what came of that would be
// stored over do's.
func (g *Gateway) Unrenewed(ctx context.Context, id string, do func(context.Context) error) error {
	if g.keeper == nil {
		return do(ctx)
	}
	return g.keeper.Exclusive(ctx, id, do)
}
