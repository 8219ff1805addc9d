package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
)

// callbackPath is where authorization servers send the browser back to.
const callbackPath = "/link/callback"

// beginConsent sends the browser to the authorization server. What comes back must be of
// the same state, verifier and browser.
func (x *exchange) beginConsent(ctx context.Context, v *visit, given accounts.Context) *problem {
	app, err := x.server.app(v.link.Integration, given)
	if err != nil {
		return x.formAgain(v, given, x.problemOf(err))
	}
	verifier := oauth.NewVerifier()
	state, _ := accounts.NewSecret("pts")
	browser, _ := accounts.NewSecret("ptb")
	cookie := browser.Reveal() + "." + v.token.Reveal() // the way back to the form
	v.link.Verifier, v.link.Context, v.link.Browser = verifier, given, accounts.HashToken(cookie)
	switch err := x.server.store.BeginConsent(ctx, v.link.ID, accounts.HashToken(state.Reveal()), v.link); {
	case errors.Is(err, accounts.ErrNotFound):
		return linkGone()
	case err != nil:
		return x.storeAway(ctx, err)
	}
	x.setCookie(v.link, cookie)
	x.redirect(app.ConsentURL(x.server.publicURL+callbackPath, state.Reveal(), verifier))
	return nil
}

// cookieName is of one link, so that a browser can connect several accounts at a time.
// Browsers take the prefix as a promise: from this host, over TLS only.
func (s *Server) cookieName(linkID string) string {
	if s.publicTLS() {
		return "__Host-portolan-" + linkID
	}
	return "portolan-" + linkID
}

func (s *Server) publicTLS() bool { return strings.HasPrefix(s.publicURL, "https://") }

// setCookie gives the browser what to show at the callback; "" takes it away.
func (x *exchange) setCookie(link accounts.Link, value string) {
	age := -1
	if value != "" {
		age = max(int(link.ExpiresAt.Sub(x.server.now()).Seconds()), 1)
	}
	http.SetCookie(x.writer, &http.Cookie{ //nolint:gosec // G124: over plain HTTP, which is for one's own machine, no cookie can be Secure
		Name: x.server.cookieName(link.ID), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: x.server.publicTLS(), SameSite: http.SameSiteLaxMode,
	})
}

// finishConsent takes what the authorization server sent the browser back with. Each state
// works once, whatever comes of it.
func finishConsent(x *exchange, _ echo.Context) *problem {
	query, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil || len(query["state"]) != 1 || len(query["code"]) > 1 || len(query["error"]) > 1 {
		return &problem{status: http.StatusBadRequest, message: "This answer cannot be read. Open your link again."}
	}
	v, p := x.takeConsent(x.request.Context(), query.Get("state"))
	if p != nil {
		return p
	}
	x.setCookie(v.link, "")
	code := accounts.Secret(query.Get("code"))
	x.hide(code, v.link.Verifier)
	switch refusal := query.Get("error"); {
	case refusal == "access_denied":
		x.showForm(http.StatusOK, v, "The connection was not allowed. Nothing has been stored; you can try again.", v.link.Context, nil)
		return nil
	case refusal != "":
		return x.formAgain(v, v.link.Context, &problem{
			status:  http.StatusBadGateway,
			message: x.redact("The provider refused: " + strings.TrimSpace(refusal+" "+query.Get("error_description"))),
		})
	case code == "":
		return &problem{status: http.StatusBadRequest, message: "This answer holds no code. Open your link again."}
	}
	return x.acceptConsent(x.request.Context(), v, code)
}

// takeConsent finds what the callback must prove and has it proved.
func (x *exchange) takeConsent(ctx context.Context, state string) (*visit, *problem) {
	if p := x.throttled(); p != nil {
		return nil, p
	}
	link, err := x.server.store.TakeConsent(ctx, accounts.HashToken(state))
	if errors.Is(err, accounts.ErrNotFound) {
		x.failedAuthentication()
		return nil, &problem{status: http.StatusBadRequest, message: "This answer has been used already, or nobody here asked for it. Open your link again."}
	}
	if err != nil {
		return nil, x.storeAway(ctx, err)
	}
	cookie, err := x.request.Cookie(x.server.cookieName(link.ID))
	if err != nil {
		cookie = &http.Cookie{}
	}
	got := accounts.HashToken(cookie.Value)
	if subtle.ConstantTimeCompare(got[:], link.Browser[:]) != 1 {
		return nil, &problem{status: http.StatusForbidden, message: "This answer belongs to another browser. Open your link again, here."}
	}
	_, token, _ := strings.Cut(cookie.Value, ".")
	v := &visit{link: link, token: accounts.Secret(token)}
	x.hide(v.token)
	return v, x.receive(ctx, v)
}

// acceptConsent turns the code into a grant and connects the account.
func (x *exchange) acceptConsent(ctx context.Context, v *visit, code accounts.Secret) *problem {
	integration, filled := v.link.Integration, v.link.Context
	if !x.server.consents(integration) {
		return linkGone()
	}
	app, err := x.server.app(integration, filled)
	if err != nil {
		return x.formAgain(v, filled, x.problemOf(err))
	}
	x.hide(app.ClientSecret)
	grant, answer, err := x.server.keeper.Exchange(ctx, app, x.server.publicURL+callbackPath, code.Reveal(), v.link.Verifier)
	if err != nil {
		return x.formAgain(v, filled, x.exchangeProblem(ctx, err))
	}
	x.hide(grant.AccessToken, grant.RefreshToken)
	settings, err := x.server.catalog.OAuth(integration).Settings(ctx, answer)
	if err != nil { // whose text is for whoever wrote the mapping, and may quote the answer
		return x.formAgain(v, filled, unusableAnswer(""))
	}
	given := accounts.Context{}
	maps.Copy(given, filled)
	maps.Copy(given, settings)
	complete := engine.Context(maps.Clone(given))
	complete[engine.AccessToken] = grant.AccessToken.Reveal()
	if wrong := engine.CheckContext(x.server.catalog.Credentials(integration), complete); len(wrong) > 0 {
		return x.formAgain(v, filled, unusableAnswer(": "+strings.Join(wrong, "; ")))
	}
	return x.connect(ctx, v, given, &grant)
}

func unusableAnswer(reason string) *problem {
	return &problem{status: http.StatusBadGateway, message: "The provider allowed the connection, but its answer cannot be used" + reason}
}

// exchangeProblem is why a code gave no grant.
func (x *exchange) exchangeProblem(ctx context.Context, err error) *problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return &problem{status: http.StatusBadGateway, message: x.redact("The provider refused: " + refusal.Error())}
	case answered && refusal.Kind == oauth.Timeout:
		return &problem{status: http.StatusGatewayTimeout, message: "The provider did not answer in time. Try again."}
	case answered:
		return &problem{status: http.StatusBadGateway, message: "The provider gave no usable answer. Try again."}
	default:
		return x.storeAway(ctx, err)
	}
}
