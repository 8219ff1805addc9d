package sandbox

import (
	"crypto/rand"
	"sync"
	"time"
)

// authority holds the codes and tokens of one authorization server. It never deletes any, so
// that it recognises used ones.
type authority struct {
	mu      sync.Mutex
	codes   map[string]*consent
	access  map[string]*accessToken
	refresh map[string]*refreshToken
}

func newAuthority() *authority {
	return &authority{codes: map[string]*consent{}, access: map[string]*accessToken{}, refresh: map[string]*refreshToken{}}
}

// consent is a user's consent; all its codes and tokens refer to it.
type consent struct {
	redirectURI string
	challenge   string // of PKCE; "" if none
	scope       string
	caller      any // nil if none
	expires     time.Time
	used        bool
	revoked     bool
}

type accessToken struct {
	of      *consent
	expires time.Time // zero for never
	revoked bool
}

type refreshToken struct {
	of   *consent
	used bool
}

// issued holds the tokens of a token response.
type issued struct {
	*consent
	access, refresh string // refresh may be ""
}

// addConsent stores c and returns its code.
func (a *authority) addConsent(c *consent) (code string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	code = rand.Text()
	a.codes[code] = c
	return code
}

// exchange returns tokens for a code, once.
func (a *authority) exchange(o *oauth, code, redirectURI, verifier string, now time.Time) (issued, *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.codes[code]
	switch {
	case c == nil:
		return issued{}, badGrant("the code is unknown")
	case c.used: // RFC 6749 §4.1.2: the code may be stolen
		c.revoked = true
		return issued{}, badGrant("the code was used before: its tokens are revoked")
	case !now.Before(c.expires):
		return issued{}, badGrant("the code has expired")
	case redirectURI != c.redirectURI:
		return issued{}, badGrant("redirect_uri differs from that of the consent")
	case o.pkce == pkceIgnored:
	case c.challenge == "" && verifier != "":
		return issued{}, badGrant("code_verifier was sent without a code_challenge before")
	case c.challenge != "" && challengeOf(verifier) != c.challenge:
		return issued{}, badGrant("code_verifier does not match code_challenge")
	}
	c.used = true
	g := issued{consent: c, access: a.newAccess(o, c, now)}
	if o.renews() {
		g.refresh = a.newRefresh(c)
	}
	return g, nil
}

// renew returns a new access token for a refresh token.
func (a *authority) renew(o *oauth, token, scope string, now time.Time) (issued, *refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.refresh[token]
	switch {
	case t == nil:
		return issued{}, badGrant("the refresh token is unknown")
	case t.of.revoked:
		return issued{}, badGrant("the grant is revoked")
	case t.used: // RFC 9700 §4.14.2: the token may be stolen
		t.of.revoked = true
		return issued{}, badGrant("the refresh token was used before; the grant is revoked")
	case scope != "" && scope != t.of.scope:
		return issued{}, &refusal{"invalid_scope", "the scope differs from that of the consent"}
	}
	g := issued{consent: t.of, access: a.newAccess(o, t.of, now)}
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

// revoke revokes an access token, or a refresh token with its whole consent. It ignores
// unknown tokens.
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

// grant returns the binding `grant` of a valid access token, nil for any other token.
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
