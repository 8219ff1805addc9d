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
	refreshNone   = "none"   // no refresh tokens
	refreshKeep   = "keep"   // one refresh token, reusable
	refreshRotate = "rotate" // each renewal replaces the refresh token
)

const (
	pkceRequired = "required"
	pkceIgnored  = "ignored"
)

// oauth is the section `oauth2`: an authorization server with one client.
type oauth struct {
	client                   OAuthClient
	authorize, token, revoke []string // paths under /<provider>; revoke may be nil
	codeLifetime, expiresIn  time.Duration
	refresh, pkce            string
	caller                   *expr // who a consenting user acts as
	answer                   *expr // the token response; nil for the standard one
}

func (o *oauth) renews() bool { return o.refresh == refreshKeep || o.refresh == refreshRotate }

// OAuthClient is the client of a simulated authorization server.
type OAuthClient struct {
	ID, Secret string
}

// OAuth returns the client of the provider's authorization server; false if it has none.
func (p *Provider) OAuth() (OAuthClient, bool) {
	if p.oauth == nil {
		return OAuthClient{}, false
	}
	return p.oauth.client, true
}

// endpoint returns the endpoint of the authorization server at path; nil if there is none.
func (p *instance) endpoint(path []string) endpoint {
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

// endpoint is an endpoint of the authorization server; guard and routes do not apply to it.
type endpoint func(*exchange) *response

// bearer returns the access token of a request; "" if there is none.
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
				l.Diags.Errorf(n.Pos, "E006-bad-value", "%q is not a valid path, for example /oauth/token", text)
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
				l.Diags.Errorf(n.Pos, "E006-bad-value", "want text that is not empty")
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
		"pkce":          func(n *source.Node) { o.pkce = l.OneOf(n, "optional", pkceRequired, pkceIgnored) },
		"caller":        func(n *source.Node) { o.caller = l.expr(n, "caller", baseBindings) },
		"answer":        func(n *source.Node) { o.answer = l.expr(n, "answer", append(slices.Clip(baseBindings), "token")) },
	}, "client_id", "client_secret", "authorize", "token", "code_lifetime")
}

// lifetime reads a positive duration in whole seconds: 90s, 15m, 1h30m.
func (l *loader) lifetime(n *source.Node) time.Duration {
	text := l.String(n)
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 {
		l.Diags.Errorf(n.Pos, "E006-bad-value", "%q is not a lifetime in whole seconds, for example 90s, 15m, 1h", text)
	}
	return d
}
