package server

import (
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// callbackPath is where authorization servers send the browser back to.
const callbackPath = "/link/callback"

// beginConsent sends the browser to the authorization server. What comes back must be of
// the same state, verifier and browser.
func (l *linkSession) beginConsent(given accounts.Context) (*answer, *gateway.Problem) {
	state, _ := accounts.NewSecret("pts")
	address, verifier, p := l.server.gateway.ConsentURL(l.link.Integration, given, l.server.publicURL+callbackPath, state.Reveal())
	if p != nil {
		return l.formAgain(given, p), nil
	}
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
	return redirect(address), nil
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
	given, grant, p := l.server.gateway.AcceptConsent(l.Context(), gateway.Consent{
		Integration: integration, Filled: filled, Callback: l.server.publicURL + callbackPath, Code: code, Verifier: l.link.Verifier, RequestID: l.id,
	})
	switch {
	case p != nil && p.Status == http.StatusServiceUnavailable:
		return nil, comeAgain()
	case p != nil:
		return l.formAgain(filled, p), nil
	}
	l.hide(grant.AccessToken, grant.RefreshToken)
	return l.connect(given, grant)
}
