package sandbox

import (
	"crypto/rand"
	"sync"
	"time"
)

// authority is what one authorization server has given. Nothing of it is ever forgotten,
// so that what was used up is known again.
type authority struct {
	mu      sync.Mutex
	codes   map[string]*consent
	access  map[string]*accessToken
	refresh map[string]*refreshToken
	stats   Stats
	trouble string // the fault of the token endpoint
}

func newAuthority() *authority {
	return &authority{codes: map[string]*consent{}, access: map[string]*accessToken{}, refresh: map[string]*refreshToken{}}
}

// consent is what somebody allowed, and stands for all that was given for it.
type consent struct {
	redirectURI string
	challenge   string // of PKCE; "": none
	scope       string
	caller      any // nil: none
	expires     time.Time
	spent       bool
	revoked     bool
}

type accessToken struct {
	of      *consent
	expires time.Time // zero: never
	revoked bool
}

type refreshToken struct {
	of   *consent
	used bool
}

// given is what the token endpoint answers with.
type given struct {
	*consent
	access, refresh string // refresh "": none
}

// consented keeps c and gives its code.
func (a *authority) consented(c *consent) (code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	code = rand.Text()
	a.codes[code] = c
	a.stats.Codes++
	return code
}

// exchange gives the grant for a code, once.
func (a *authority) exchange(o *oauth, code, redirectURI, verifier string, now time.Time) (given, *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.codes[code]
	switch {
	case c == nil:
		return given{}, badGrant("the code is not known")
	case c.spent: // RFC 6749 §4.1.2: somebody else may have it as well
		c.revoked = true
		return given{}, badGrant("the code was used before; all that it gave is revoked")
	case !now.Before(c.expires):
		return given{}, badGrant("the code has expired")
	case redirectURI != c.redirectURI:
		return given{}, badGrant("redirect_uri is not that of the consent")
	case c.challenge == "" && verifier != "":
		return given{}, badGrant("code_verifier was sent, but no code_challenge before")
	case c.challenge != "" && challengeOf(verifier) != c.challenge:
		return given{}, badGrant("code_verifier does not fit code_challenge")
	}
	c.spent = true
	a.stats.Exchanges++
	g := given{consent: c, access: a.newAccess(o, c, now)}
	if o.renews() {
		g.refresh = a.newRefresh(c)
	}
	return g, nil
}

// renew gives another access token for a refresh token.
func (a *authority) renew(o *oauth, token, scope string, now time.Time) (given, *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.refresh[token]
	switch {
	case t == nil:
		return given{}, badGrant("the refresh token is not known")
	case t.of.revoked:
		return given{}, badGrant("the grant is revoked")
	case t.used: // RFC 9700 §4.14.2: somebody else may have it as well
		t.of.revoked = true
		return given{}, badGrant("the refresh token was used before; the grant is revoked")
	case scope != "" && scope != t.of.scope:
		return given{}, &refusal{"invalid_scope", "the scope is not that of the consent"}
	}
	a.stats.Refreshes++
	g := given{consent: t.of, access: a.newAccess(o, t.of, now)}
	if o.refresh == refreshRotate {
		t.used = true
		g.refresh = a.newRefresh(t.of)
	}
	return g, nil
}

func (a *authority) newAccess(o *oauth, c *consent, now time.Time) string {
	token := rand.Text()
	t := &accessToken{of: c}
	if o.expiresIn > 0 {
		t.expires = now.Add(o.expiresIn)
	}
	a.access[token] = t
	return token
}

func (a *authority) newRefresh(c *consent) string {
	token := rand.Text()
	a.refresh[token] = &refreshToken{of: c}
	return token
}

// revoke ends an access token, or with a refresh token all of its grant. Any other token
// is already as good as revoked.
func (a *authority) revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.access[token]; t != nil {
		t.revoked = true
	}
	if t := a.refresh[token]; t != nil {
		t.of.revoked = true
	}
}

// grant gives what a live access token stands for, as expressions see it; nil where token
// is none.
func (a *authority) grant(token string, now time.Time) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.access[token]
	if t == nil || t.revoked || t.of.revoked || !t.expires.IsZero() && !now.Before(t.expires) {
		return nil
	}
	return t.of.binding()
}

func (c *consent) binding() map[string]any {
	out := map[string]any{"scope": c.scope}
	if c.caller != nil {
		out["caller"] = c.caller
	}
	return out
}
