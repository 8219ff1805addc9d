// Package oauth gets, keeps and renews the grants of integrated accounts (OAuth 2.0,
// authorization code with PKCE).
package oauth

import (
	"golang.org/x/oauth2"

	"portolan/accounts"
)

// App is this server as one provider's authorization server knows it.
type App struct {
	AuthorizeURL string
	TokenURL     string
	ClientID     string
	ClientSecret accounts.Secret
	Scopes       []string
}

// NewVerifier makes what proves, at the exchange, that whoever began a consent ends it
// (PKCE, RFC 7636): 256 random bits.
func NewVerifier() accounts.Secret { return accounts.Secret(oauth2.GenerateVerifier()) }

// ConsentURL is where the customer's browser goes to consent. It shows the verifier's
// SHA-256 only.
func (a App) ConsentURL(redirectURI, state string, verifier accounts.Secret) string {
	return a.config(redirectURI).AuthCodeURL(state, oauth2.S256ChallengeOption(verifier.Reveal()))
}

// config is a for the library. Client id and secret go into the form body, which the
// providers' own manuals show; the library's other way of finding out, to try both, would
// use up a code or a rotating refresh token.
func (a App) config(redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(), RedirectURL: redirectURI, Scopes: a.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: a.AuthorizeURL, TokenURL: a.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
}
