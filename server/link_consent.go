package server

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// callbackPath is the path to which authorization servers redirect the browser.
const callbackPath = "/link/callback"

// beginConsent redirects the browser to the authorization server. The callback must have the same
// state, verifier and browser.
func (l *linkSession) beginConsent(given accounts.Context) (*answer, *gateway.Problem) {
	state, _ := accounts.NewSecret("pts")
	address, verifier, p := l.server.gateway.ConsentURL(l.link.Integration, given, l.server.publicURL+callbackPath, state.Reveal())
	if p != nil {
		return l.retryForm(given, p), nil
	}
	browser, _ := accounts.NewSecret("ptb")
	cookie := browser.Reveal() + "." + l.token.Reveal() // the way back to the form
	l.link.Verifier, l.link.Context, l.link.Browser = verifier, given, accounts.HashToken(cookie)
	switch err := l.server.store.BeginConsent(l.Context(), l.link.ID, accounts.HashToken(state.Reveal()), l.link); {
	case errors.Is(err, accounts.ErrNotFound):
		return nil, invalidLink()
	case err != nil:
		return nil, l.storeFailure(err)
	}
	l.setCookie(cookie)
	return redirect(address), nil
}

// cookieName differs for each link, so that a browser can connect several accounts at a time. The
// prefix __Host- makes browsers accept the cookie from this host over TLS only.
func (s *Server) cookieName(linkID string) string {
	if s.publicTLS() {
		return "__Host-portolan-" + linkID
	}
	return "portolan-" + linkID
}

func (s *Server) publicTLS() bool { return strings.HasPrefix(s.publicURL, "https://") }

// setCookie sets the cookie that the callback checks; "" deletes it.
func (l *linkSession) setCookie(value string) {
	age := -1
	if value != "" {
		age = max(int(l.link.ExpiresAt.Sub(l.server.now()).Seconds()), 1)
	}
	cookie := &http.Cookie{ //nolint:gosec // G124: plain HTTP, for local use only, does not allow Secure cookies
		Name: l.server.cookieName(l.link.ID), Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: l.server.publicTLS(), SameSite: http.SameSiteLaxMode,
	}
	l.cookies = append(l.cookies, gateway.Header{Name: "Set-Cookie", Value: cookie.String()})
}

// finishConsent handles the callback of the authorization server. Each state can be used once,
// even if the callback fails.
func (l *linkSession) finishConsent() (*answer, *gateway.Problem) {
	if l.Method == http.MethodHead { // it has no effects: it must not use up the state
		return l.page(http.StatusOK, linkPage{Title: "Connecting"}, "'none'"), nil
	}
	query, err := url.ParseQuery(l.URL.RawQuery)
	if err != nil || len(query["state"]) != 1 || len(query["code"]) > 1 || len(query["error"]) > 1 {
		return nil, &gateway.Problem{Status: http.StatusBadRequest, Message: "The answer of the provider cannot be read. Open your link again."}
	}
	if p := l.takeConsent(query.Get("state")); p != nil {
		return nil, p
	}
	l.setCookie("")
	code := accounts.Secret(query.Get("code"))
	l.hide(code, l.link.Verifier)
	switch refusal := query.Get("error"); {
	case refusal == "access_denied":
		return l.form(http.StatusOK, "Access was not granted. Nothing was stored. You can try again.", l.link.Context, nil), nil
	case refusal != "":
		return l.retryForm(l.link.Context, &gateway.Problem{
			Status:  http.StatusBadGateway,
			Message: l.redact("The provider refused: " + strings.TrimSpace(refusal+" "+query.Get("error_description"))),
		}), nil
	case code == "":
		return nil, &gateway.Problem{Status: http.StatusBadRequest, Message: "The answer of the provider has no code. Open your link again."}
	}
	return l.acceptConsent(code)
}

// takeConsent loads the link of state and checks that the browser is the one that began.
func (l *linkSession) takeConsent(state string) *gateway.Problem {
	l.server.warnOfProxy(l.request)
	link, err := l.server.store.TakeConsent(l.Context(), accounts.HashToken(state))
	if errors.Is(err, accounts.ErrNotFound) {
		return cmp.Or(l.server.failedAuthentication(l.request, l.server.linkThrottle),
			&gateway.Problem{Status: http.StatusBadRequest, Message: "The answer of the provider is unknown or was already used. Open your link again."})
	}
	if err != nil {
		return l.storeFailure(err)
	}
	cookie, err := l.Cookie(l.server.cookieName(link.ID))
	if err != nil {
		cookie = &http.Cookie{}
	}
	got := accounts.HashToken(cookie.Value)
	if subtle.ConstantTimeCompare(got[:], link.Browser[:]) != 1 {
		return &gateway.Problem{Status: http.StatusForbidden, Message: "The connection was started in another browser. Open your link again in this browser."}
	}
	_, token, _ := strings.Cut(cookie.Value, ".")
	l.link, l.token = link, accounts.Secret(token)
	l.hide(l.token)
	return l.checkLink()
}

// acceptConsent exchanges the code for a grant and connects the account.
func (l *linkSession) acceptConsent(code accounts.Secret) (*answer, *gateway.Problem) {
	integration, filled := l.link.Integration, l.link.Context
	if !l.server.gateway.Consents(integration) {
		return nil, invalidLink()
	}
	given, grant, p := l.server.gateway.AcceptConsent(l.Context(), gateway.Consent{
		Integration: integration, Filled: filled, Callback: l.server.publicURL + callbackPath, Code: code, Verifier: l.link.Verifier, RequestID: l.id,
	})
	switch {
	case p != nil && p.Status == http.StatusServiceUnavailable:
		return nil, linkUnavailable()
	case p != nil:
		return l.retryForm(filled, p), nil
	}
	l.hide(grant.AccessToken, grant.RefreshToken)
	return l.connect(given, grant)
}
