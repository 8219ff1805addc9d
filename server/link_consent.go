package server

import (
	"crypto/subtle"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
)

// callbackPath is where authorization servers send the browser back to.
const callbackPath = "/link/callback"

// beginConsent sends the browser to the authorization server. What comes back must be of
// the same state, verifier and browser.
func (l *linkSession) beginConsent(given accounts.Context) (*answer, *gateway.Problem) {
	app, p := l.server.gateway.App(l.link.Integration, given)
	if p != nil {
		return l.formAgain(given, p), nil
	}
	verifier := oauth.NewVerifier()
	state, _ := accounts.NewSecret("pts")
	browser, _ := accounts.NewSecret("ptb")
	cookie := browser.Reveal() + "." + l.token.Reveal() // the way back to the form
	l.link.Verifier, l.link.Context, l.link.Browser = verifier, given, accounts.HashToken(cookie)
	switch err := l.server.store.BeginConsent(l.Context(), l.link.ID, accounts.HashToken(state.Reveal()), l.link); {
	case errors.Is(err, accounts.ErrNotFound):
		return nil, linkGone()
	case err != nil:
		return nil, l.storeAway(err)
	}
	l.setCookie(cookie)
	return redirect(app.ConsentURL(l.server.publicURL+callbackPath, state.Reveal(), verifier)), nil
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
func (l *linkSession) setCookie(value string) {
	age := -1
	if value != "" {
		age = max(int(l.link.ExpiresAt.Sub(l.server.now()).Seconds()), 1)
	}
	cookie := &http.Cookie{ //nolint:gosec // G124: over plain HTTP, which is for one's own machine, no cookie can be Secure
		Name: l.server.cookieName(l.link.ID), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: l.server.publicTLS(), SameSite: http.SameSiteLaxMode,
	}
	l.cookies = append(l.cookies, gateway.Header{Name: "Set-Cookie", Value: cookie.String()})
}

// finishConsent takes what the authorization server sent the browser back with. Each state
// works once, whatever comes of it.
func (l *linkSession) finishConsent() (*answer, *gateway.Problem) {
	query, err := url.ParseQuery(l.URL.RawQuery)
	if err != nil || len(query["state"]) != 1 || len(query["code"]) > 1 || len(query["error"]) > 1 {
		return nil, &gateway.Problem{Status: http.StatusBadRequest, Message: "This answer cannot be read. Open your link again."}
	}
	if p := l.takeConsent(query.Get("state")); p != nil {
		return nil, p
	}
	l.setCookie("")
	code := accounts.Secret(query.Get("code"))
	l.hide(code, l.link.Verifier)
	switch refusal := query.Get("error"); {
	case refusal == "access_denied":
		return l.form(http.StatusOK, "The connection was not allowed. Nothing has been stored; you can try again.", l.link.Context, nil), nil
	case refusal != "":
		return l.formAgain(l.link.Context, &gateway.Problem{
			Status:  http.StatusBadGateway,
			Message: l.redact("The provider refused: " + strings.TrimSpace(refusal+" "+query.Get("error_description"))),
		}), nil
	case code == "":
		return nil, &gateway.Problem{Status: http.StatusBadRequest, Message: "This answer holds no code. Open your link again."}
	}
	return l.acceptConsent(code)
}

// takeConsent finds what the callback must prove and has it proved.
func (l *linkSession) takeConsent(state string) *gateway.Problem {
	if p := l.server.throttled(l.request); p != nil {
		return p
	}
	link, err := l.server.store.TakeConsent(l.Context(), accounts.HashToken(state))
	if errors.Is(err, accounts.ErrNotFound) {
		l.server.failedAuthentication(l.request)
		return &gateway.Problem{Status: http.StatusBadRequest, Message: "This answer has been used already, or nobody here asked for it. Open your link again."}
	}
	if err != nil {
		return l.storeAway(err)
	}
	cookie, err := l.Cookie(l.server.cookieName(link.ID))
	if err != nil {
		cookie = &http.Cookie{}
	}
	got := accounts.HashToken(cookie.Value)
	if subtle.ConstantTimeCompare(got[:], link.Browser[:]) != 1 {
		return &gateway.Problem{Status: http.StatusForbidden, Message: "This answer belongs to another browser. Open your link again, here."}
	}
	_, token, _ := strings.Cut(cookie.Value, ".")
	l.link, l.token = link, accounts.Secret(token)
	l.hide(l.token)
	return l.receive()
}

// acceptConsent turns the code into a grant and connects the account.
func (l *linkSession) acceptConsent(code accounts.Secret) (*answer, *gateway.Problem) {
	integration, filled := l.link.Integration, l.link.Context
	if !l.server.gateway.Consents(integration) {
		return nil, linkGone()
	}
	app, p := l.server.gateway.App(integration, filled)
	if p != nil {
		return l.formAgain(filled, p), nil
	}
	l.hide(app.ClientSecret)
	grant, told, err := l.server.gateway.Keeper().Exchange(l.Context(), app, l.server.publicURL+callbackPath, code.Reveal(), l.link.Verifier)
	if err != nil {
		return l.formAgain(filled, l.exchangeProblem(err)), nil
	}
	l.hide(grant.AccessToken, grant.RefreshToken)
	in := l.server.integration(integration)
	settings, err := in.OAuth.Settings(l.Context(), told)
	if err != nil { //nolint:nilerr // the page says it: the text is for whoever wrote the mapping, and may quote the answer
		return l.formAgain(filled, unusableAnswer("")), nil
	}
	given := accounts.Context{}
	maps.Copy(given, filled)
	maps.Copy(given, settings)
	complete := engine.Context(maps.Clone(given))
	complete[engine.AccessToken] = grant.AccessToken.Reveal()
	if wrong := engine.CheckContext(in.Credentials, complete); len(wrong) > 0 {
		return l.formAgain(filled, unusableAnswer(": "+strings.Join(wrong, "; "))), nil
	}
	return l.connect(given, &grant)
}

func unusableAnswer(reason string) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusBadGateway, Message: "The provider allowed the connection, but its answer cannot be used" + reason}
}

// exchangeProblem is why a code gave no grant.
func (l *linkSession) exchangeProblem(err error) *gateway.Problem {
	refusal, answered := errors.AsType[*oauth.Error](err)
	switch {
	case answered && refusal.Kind == oauth.Refused:
		return &gateway.Problem{Status: http.StatusBadGateway, Message: l.redact("The provider refused: " + refusal.Error())}
	case answered && refusal.Kind == oauth.Timeout:
		return &gateway.Problem{Status: http.StatusGatewayTimeout, Message: "The provider did not answer in time. Try again."}
	case answered:
		return &gateway.Problem{Status: http.StatusBadGateway, Message: "The provider gave no usable answer. Try again."}
	default:
		return l.storeAway(err)
	}
}
