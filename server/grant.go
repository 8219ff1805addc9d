package server

import (
	"context"
	"errors"
	"net/http"
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

// WithOAuth lets accounts be connected by consent and keeps their grants fresh. apps are by
// integration.
func WithOAuth(keeper *oauth.Keeper, apps map[string]OAuthApp) Option {
	return func(s *settings) { s.keeper, s.apps = keeper, apps }
}

// consents reports whether accounts of integration can be connected by consent.
func (s *Server) consents(integration string) bool {
	_, ok := s.apps[integration]
	return ok && s.keeper != nil && s.catalog.OAuth(integration) != nil
}

// app is the client that Portolan is towards the authorization server of an account with
// this context. The error says which of the account's fields is missing.
func (s *Server) app(integration string, account accounts.Context) (oauth.App, error) {
	own, declared := s.apps[integration], s.catalog.OAuth(integration)
	authorize, token, err := declared.Endpoints(engine.Context(account))
	if err != nil {
		return oauth.App{}, err
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

// renewal is Keeper.Fresh or Keeper.Renew.
type renewal func(context.Context, oauth.App, accounts.Account) (accounts.Account, error)

// renew puts the account's grant through do. An account without a grant, or of an
// integration without an app, stays as it is.
func (x *exchange) renew(ctx context.Context, do renewal) *problem {
	if !x.hasGrant() {
		return nil
	}
	app, err := x.server.app(x.account.Integration, x.account.Context)
	if err != nil {
		return x.problemOf(err)
	}
	x.hide(app.ClientSecret, x.account.Grant.AccessToken, x.account.Grant.RefreshToken)
	renewed, err := do(ctx, app, x.account)
	if err != nil {
		return x.grantProblem(ctx, err)
	}
	x.account = renewed
	x.call.Context = engine.Context(renewed.Context)
	return x.checkStatus() // which was read anew
}

// unrenewed runs do while nobody renews the account's grant: what came of that would be
// stored over do's.
func (s *Server) unrenewed(ctx context.Context, id string, do func(context.Context) error) error {
	if s.keeper == nil {
		return do(ctx)
	}
	return s.keeper.Alone(ctx, id, do)
}

func (x *exchange) hasGrant() bool {
	return x.account.Grant != nil && x.account.Grant.AccessToken != "" && x.server.consents(x.account.Integration)
}

// grantProblem turns an error of the keeper into a problem.
func (x *exchange) grantProblem(ctx context.Context, err error) *problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return mustReconnect(x.redact(refusal.Error()))
	case answered && refusal.Kind == oauth.Timeout:
		return &problem{status: http.StatusGatewayTimeout, message: "the authorization server did not answer in time"}
	case answered:
		return &problem{status: http.StatusBadGateway, message: x.redact("no usable answer from the authorization server: " + refusal.Error())}
	case errors.Is(err, accounts.ErrUnavailable): // whatever made it so, a deadline for one
		return x.storeProblem(ctx, err, "", "")
	case errors.Is(err, accounts.ErrNotFound):
		return &problem{status: http.StatusNotFound, message: "there is no integrated account " + x.account.ID}
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{status: http.StatusGatewayTimeout, message: "renewing the account's access token took too long"}
	case errors.Is(err, context.Canceled):
		return &problem{status: statusClosed, message: "the request was cancelled"}
	default:
		return x.storeProblem(ctx, err, "", "")
	}
}

// refusedToken reports whether err is the provider's refusal of the grant's access token,
// with nothing done before it that must not be done twice.
func (x *exchange) refusedToken(err error) bool {
	e, ok := errors.AsType[*engine.Error](err)
	if !ok || e.Kind != engine.KindProvider || e.Provider == nil || e.Provider.Status != http.StatusUnauthorized || !x.hasGrant() {
		return false
	}
	for _, s := range x.result.Steps {
		if s.Err == nil && s.Call != nil && !s.Call.Repeatable && s.Call.Method != http.MethodGet {
			return false
		}
	}
	return true
}

// attempt carries out the plan and adds what was done to the result of the attempt before.
func (x *exchange) attempt(ctx context.Context, mode engine.Mode) error {
	before := x.result
	result, err := x.server.engine.Do(ctx, x.plan, x.call, mode)
	if before != nil {
		result.Steps = append(before.Steps, result.Steps...)
		result.Waited += before.Waited
	}
	x.result = result
	return err
}
