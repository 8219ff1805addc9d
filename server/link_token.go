package server

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
)

// defaultLinkLifetime is the default lifetime of a link, in seconds.
const defaultLinkLifetime = 3600

// linkAnswer is a new link. Its secret is shown this once.
type linkAnswer struct {
	Token     string    `json:"link_token"`
	URL       string    `json:"link_url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// createLink creates a link with which a customer connects an account.
func createLink(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	s := a.server
	if s.publicURL == "" {
		return nil, &gateway.Problem{
			Status:  http.StatusServiceUnavailable,
			Message: "links need the URL at which browsers reach this server: start it with --public-url",
		}
	}
	lifetime := time.Duration(a.integer("expires_in", defaultLinkLifetime)) * time.Second
	l := accounts.Link{
		ID: accounts.NewID(), Environment: a.token.Environment,
		Integration: a.integration(), Model: a.text("unified_model_id"), AccountID: strings.ToLower(a.text("integrated_account_id")),
		Label: a.text("label"), TenantID: a.text("tenant_id"), RedirectURI: a.text("redirect_uri"), KeepContext: a.body["persist_previous_context"] == true,
		ExpiresAt: s.now().UTC().Add(lifetime).Truncate(time.Microsecond),
	}
	a.checkRedirectURI(l.RedirectURI)
	if p := a.checkLinkedAccount(ctx, &l); p != nil {
		return nil, p
	}
	if l.Preset, _ = a.body["context"].(map[string]any); l.Integration != "" {
		a.checkPreset(l)
	}
	if _, given := a.body["integration"]; !given && l.AccountID == "" && l.TenantID == "" {
		a.failf("/integration", gateway.CodeRequired, "integration is required, unless there is a tenant_id or an integrated_account_id")
	}
	if l.Model != "" && len(s.connectable(l.Model)) == 0 {
		a.failf("/unified_model_id", gateway.CodeEnum, "unified_model_id is not a model that an integration maps")
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	token, _ := accounts.NewSecret("ptk")
	if err := s.store.CreateLink(ctx, a.actor(), accounts.HashToken(token.Reveal()), l); err != nil {
		return nil, a.storeProblem(err, "such account", "")
	}
	return linkAnswer{token.Reveal(), s.publicURL + "/link/" + token.Reveal(), l.ExpiresAt}, nil
}

// connectable returns the integrations that map a model, or all if it is "".
func (s *Server) connectable(model string) []*engine.Integration {
	catalog := s.gateway.Snapshot().Catalog()
	return slices.DeleteFunc(slices.Clone(catalog.Integrations()), func(in *engine.Integration) bool {
		return model != "" && !slices.ContainsFunc(catalog.Plans(), func(p *engine.Plan) bool { return p.Integration() == in && p.Operation().Model == model })
	})
}

// checkPreset checks the values that the customer is not asked for. No message shows a value.
func (a *adminCall) checkPreset(l accounts.Link) {
	var given []engine.Credential
	known := map[string]bool{}
	for _, c := range a.server.integration(l.Integration).Credentials {
		if known[c.Name] = !c.Granted; known[c.Name] && l.Preset[c.Name] != nil {
			given = append(given, c)
		}
	}
	for name := range l.Preset {
		if !known[name] {
			a.failf("/context/"+plain.EscapeToken(name), gateway.CodeAdditional, "context/%s is not a credential of %s", name, l.Integration)
		}
	}
	for _, p := range engine.ContextProblems(given, engine.Context(l.Preset)) {
		a.failures = append(a.failures, contextFailure(p))
	}
}

// checkLinkedAccount checks that the account to connect again exists and has the integration of l, which
// it sets if there is none.
func (a *adminCall) checkLinkedAccount(ctx context.Context, l *accounts.Link) *gateway.Problem {
	const account = "/integrated_account_id"
	if l.AccountID == "" || slices.ContainsFunc(a.failures, func(f gateway.Failure) bool { return f.Pointer == account }) {
		return nil
	}
	found, err := a.server.store.AccountInfo(ctx, l.Environment, l.AccountID)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		a.failf(account, gateway.CodeEnum, "integrated_account_id is not the id of an account")
	case err != nil:
		return a.storeProblem(err, "", "")
	case l.Integration != "" && found.Integration != l.Integration:
		a.failf(account, gateway.CodeEnum, "integrated_account_id is the id of an account of another integration")
	case a.server.integration(found.Integration) == nil:
		a.failf(account, gateway.CodeEnum, "integrated_account_id is the id of an account of an integration that does not exist any more")
	default:
		l.Integration = found.Integration
	}
	return nil
}

// checkRedirectURI refuses a redirect_uri to which a browser cannot be redirected.
func (a *adminCall) checkRedirectURI(text string) {
	if _, given := a.body["redirect_uri"].(string); !given {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		a.failf("/redirect_uri", gateway.CodeFormat, "redirect_uri must be a complete URL")
	case u.User != nil || strings.Contains(text, "#"):
		a.failf("/redirect_uri", gateway.CodeFormat, "redirect_uri must not have a user or a fragment")
	case u.Scheme == "https", u.Scheme == "http" && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname()):
	default:
		a.failf("/redirect_uri", gateway.CodeFormat, "redirect_uri must be https, or http on localhost")
	}
}
