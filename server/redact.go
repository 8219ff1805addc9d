package server

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
)

const masked = "***"

// minSecret is the length from which a secret is looked for in text: shorter ones would
// blot out ordinary words.
const minSecret = 6

// hide keeps further secrets out of every text of this exchange: those that it came to
// know on its way, also where the account has others by now.
func (x *exchange) hide(secrets ...accounts.Secret) { x.hidden = append(x.hidden, secrets...) }

// redact replaces every secret of the account's that a provider might echo.
func (x *exchange) redact(text string) string {
	for _, secret := range x.secrets() {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

// secrets are the account's secret credentials and what authorization was computed from
// them, in the forms in which they may stand in text, longest first.
func (x *exchange) secrets() []string {
	var out []string
	add := func(s string) {
		quoted, _ := json.Marshal(s) // a string: cannot fail
		for _, form := range []string{s, url.QueryEscape(s), string(quoted[1 : len(quoted)-1])} {
			if len(form) >= minSecret && !slices.Contains(out, form) {
				out = append(out, form)
			}
		}
	}
	if x.plan != nil {
		for _, c := range x.plan.Credentials() {
			if v, ok := x.account.Context[c.Name].(string); ok && c.Secret {
				add(v)
			}
		}
	}
	if grant := x.account.Grant; grant != nil {
		add(grant.AccessToken.Reveal())
		add(grant.RefreshToken.Reveal())
	}
	for _, s := range x.hidden {
		add(s.Reveal())
	}
	if x.result != nil {
		for _, s := range x.result.Steps {
			if s.Call != nil {
				for _, p := range slices.Concat(s.Call.Header, s.Call.Query) {
					addAuthorization(p, add)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// addAuthorization adds a secret parameter whole and, of "Basic x", the x as well.
func addAuthorization(p engine.Param, add func(string)) {
	if !p.Secret {
		return
	}
	add(p.Value)
	if _, credentials, ok := strings.Cut(p.Value, " "); ok {
		add(credentials)
	}
}
