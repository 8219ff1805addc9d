// Package oauth gets, stores and renews the grants of integrated accounts (OAuth 2.0,
// authorization code with PKCE).
package oauth

import (
	"golang.org/x/oauth2"

	"portolan/accounts"
)

// App is this server's registration as a client of one provider.
type App struct {
	AuthorizeURL string
	TokenURL     string
	ClientID     string
	ClientSecret accounts.Secret
	Scopes       []string
}

// NewVerifier returns a random code verifier of 256 bits (PKCE, RFC 7636).
func NewVerifier() accounts.Secret { return accounts.Secret(oauth2.GenerateVerifier()) }

// ConsentURL returns the URL of the provider's consent page. It contains only the SHA-256 of
// verifier.
func (a App) ConsentURL(redirectURI, state string, verifier accounts.Secret) string {
	return a.config(redirectURI).AuthCodeURL(state, oauth2.S256ChallengeOption(verifier.Reveal()))
}

// config returns a for the library. Client id and secret are sent in the body, as providers
// document. Auto-detection would use up a code or a rotating refresh token.
func (a App) config(redirectURI string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.ClientID, ClientSecret: a.ClientSecret.Reveal(), RedirectURL: redirectURI, Scopes: a.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: a.AuthorizeURL, TokenURL: a.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
}
