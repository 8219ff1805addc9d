package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"portolan/source"
)

// How an authorization server renews grants.
const (
	refreshNone   = "none"   // never: access tokens are all there is
	refreshKeep   = "keep"   // by one refresh token, again and again
	refreshRotate = "rotate" // each refresh token once, for the next one
)

const pkceRequired = "required"

// oauth is the section `oauth2`: an authorization server with one client.
type oauth struct {
	client                   OAuthClient
	authorize, token, revoke []string // paths under /<provider>; revoke nil: none
	codeLifetime, expiresIn  time.Duration
	refresh, pkce            string
	caller                   *expr // what a consent acts as
	answer                   *expr // the token endpoint's, in place of the plain one
}

func (o *oauth) renews() bool { return o.refresh == refreshKeep || o.refresh == refreshRotate }

// OAuthClient is who may ask for consent at a pretend authorization server.
type OAuthClient struct {
	ID, Secret string
}

// OAuth gives the one client of the provider's authorization server; false where it plays none.
func (p *Provider) OAuth() (OAuthClient, bool) {
	if p.oauth == nil {
		return OAuthClient{}, false
	}
	return p.oauth.client, true
}

// Stats counts what an authorization server did since it was made.
type Stats struct {
	Codes     int // given by consents
	Requests  int // that reached the token endpoint, faults included
	Exchanges int // of a code for a grant
	Refreshes int // of a grant
	Refused   int // by the token endpoint, with an OAuth error
}

// Issued counts what the authorization server of provider did; zero where it plays none.
func (s *Sandbox) Issued(provider string) Stats {
	p := s.players[provider]
	if p == nil {
		return Stats{}
	}
	p.authority.mu.Lock()
	defer p.authority.mu.Unlock()
	return p.authority.stats
}

// Trouble makes provider's token endpoint fail from now on as the built-in fault does,
// without a header; "" ends it. A header goes before.
func (s *Sandbox) Trouble(provider, fault string) {
	if p := s.players[provider]; p != nil {
		p.authority.mu.Lock()
		defer p.authority.mu.Unlock()
		p.authority.trouble = fault
	}
}

// endpoint gives what answers a path of the authorization server; nil where it is none.
func (p *player) endpoint(path []string) endpoint {
	switch o := p.oauth; {
	case o == nil:
		return nil
	case slices.Equal(path, o.authorize):
		return (*exchange).authorize
	case slices.Equal(path, o.token):
		return (*exchange).token
	case o.revoke != nil && slices.Equal(path, o.revoke):
		return (*exchange).revoke
	default:
		return nil
	}
}

// endpoint answers at the authorization server, where no guard and no route is asked.
type endpoint func(*exchange) *response

// atToken counts a request to the token endpoint and gives the fault that it shall meet.
func (p *player) atToken(path []string) (trouble string) {
	if p.oauth == nil || !slices.Equal(path, p.oauth.token) {
		return ""
	}
	p.authority.mu.Lock()
	defer p.authority.mu.Unlock()
	p.authority.stats.Requests++
	return p.authority.trouble
}

// bearer is the access token of a request; "" where there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func (l *loader) oauth(n *source.Node) {
	o := &oauth{refresh: refreshNone}
	l.p.oauth = o
	var taken []string
	path := func(to *[]string) func(*source.Node) {
		return func(n *source.Node) {
			text := l.String(n)
			if *to = segments(text); !strings.HasPrefix(text, "/") || slices.Contains(*to, "") || strings.ContainsAny(text, "{}?# ") {
				l.Diags.Errorf(n.Pos, "E006-bad-value", "%q is no path; want a plain one: /oauth/token", text)
			}
			if slices.Contains(taken, text) {
				l.Diags.Errorf(n.Pos, "E002-duplicate-key", "path %q occurs twice", text)
			}
			taken = append(taken, text)
		}
	}
	text := func(to *string) func(*source.Node) {
		return func(n *source.Node) {
			if *to = l.String(n); *to == "" {
				l.Diags.Errorf(n.Pos, "E006-bad-value", "want a text that is not empty")
			}
		}
	}
	l.Object(n, source.Fields{
		"client_id":     text(&o.client.ID),
		"client_secret": text(&o.client.Secret),
		"authorize":     path(&o.authorize),
		"token":         path(&o.token),
		"revoke":        path(&o.revoke),
		"code_lifetime": func(n *source.Node) { o.codeLifetime = l.lifetime(n) },
		"expires_in":    func(n *source.Node) { o.expiresIn = l.lifetime(n) },
		"refresh":       func(n *source.Node) { o.refresh = l.OneOf(n, refreshNone, refreshKeep, refreshRotate) },
		"pkce":          func(n *source.Node) { o.pkce = l.OneOf(n, "optional", pkceRequired) },
		"caller":        func(n *source.Node) { o.caller = l.expr(n, "caller", baseBindings) },
		"answer":        func(n *source.Node) { o.answer = l.expr(n, "answer", append(slices.Clip(baseBindings), "token")) },
	}, "client_id", "client_secret", "authorize", "token", "code_lifetime")
}

// lifetime reads whole seconds, more than none: 90s, 15m, 1h30m.
func (l *loader) lifetime(n *source.Node) time.Duration {
	text := l.String(n)
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		l.Diags.Errorf(n.Pos, "E006-bad-value", "%q is no lifetime in whole seconds: 90s, 15m, 1h", text)
	}
	return d
}
