package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
	"portolan/sandbox"
)

// demoToken is valid for the demo accounts, demoAdminToken for the admin API of a temporary database.
// They are not secrets.
const (
	demoToken      = "sandbox-token"
	demoAdminToken = "sandbox-admin"
)

// demoEnvironment has the demo accounts if there are persistent accounts as well, which the public
// demoToken must not reach. A database has no environment with this name, because names of
// environments have no dot.
const demoEnvironment = "sandbox.demo"

// demoTokens are the tokens of the demo accounts. Without persistent accounts, one of them
// administers the default environment.
func demoTokens(persistent bool) []accounts.StoredToken {
	call := accounts.Token{Name: "sandbox", Environment: demoEnvironmentOf(persistent)}
	tokens := []accounts.StoredToken{{Token: call, Hash: accounts.HashToken(demoToken)}}
	if !persistent {
		admin := accounts.Token{Name: "sandbox admin", Environment: call.Environment, Role: accounts.RoleAdmin}
		tokens = append(tokens, accounts.StoredToken{Token: admin, Hash: accounts.HashToken(demoAdminToken)})
	}
	return tokens
}

func demoEnvironmentOf(persistent bool) string {
	if persistent {
		return demoEnvironment
	}
	return accounts.DefaultEnvironment
}

// demoAccounts returns an account for each provider with a sandbox. If origin is set
// ("http://127.0.0.1:4711"), their base URLs are those of the sandbox that is served there.
func (b *bundle) demoAccounts(origin string) []accounts.Account {
	out := make([]accounts.Account, 0, len(b.providers))
	for _, provider := range b.providers {
		a := accounts.Account{
			ID: provider.Demo().IntegratedAccountID, Integration: provider.Name(), Context: provider.Demo().Context,
		}
		if origin != "" {
			a.BaseURL = b.demoBaseURL(origin, provider)
		}
		out = append(out, a)
	}
	return out
}

// demoBaseURL returns the base URL of a provider in the sandbox at origin.
func (b *bundle) demoBaseURL(origin string, provider *sandbox.Provider) string {
	return origin + "/" + provider.Name() + b.basePath(provider.Name())
}

// baseURLs returns the base URLs of the sandbox at origin by integration; none if origin is "".
func (b *bundle) baseURLs(origin string) map[string]string {
	out := map[string]string{}
	for _, provider := range b.providers {
		if origin != "" {
			out[provider.Name()] = b.demoBaseURL(origin, provider)
		}
	}
	return out
}

// demoApps adds to apps the OAuth clients of the sandbox at origin.
func (b *bundle) demoApps(origin string, apps map[string]gateway.OAuthApp) {
	for _, provider := range b.providers {
		if client, ok := provider.OAuth(); ok {
			apps[provider.Name()] = gateway.OAuthApp{
				ClientID: client.ID, ClientSecret: accounts.Secret(client.Secret), Origin: origin + "/" + provider.Name(),
			}
		}
	}
}

// mounts returns the providers of the sandbox with the paths of their base URLs.
func (b *bundle) mounts() []sandbox.Mount {
	out := make([]sandbox.Mount, 0, len(b.providers))
	for _, provider := range b.providers {
		out = append(out, sandbox.Mount{Provider: provider, BasePath: b.basePath(provider.Name())})
	}
	return out
}

// demoCurl returns a curl command that changes a provider's sample record through the API at
// origin; "" if the provider has no method for that.
func (b *bundle) demoCurl(origin string, provider *sandbox.Provider) string {
	plan := b.updatePlan(provider.Name())
	if plan == nil {
		return ""
	}
	body := demoBody(plan.Support())
	if body == nil {
		return ""
	}
	op, demo := plan.Operation(), provider.Demo()
	query := "integrated_account_id=" + url.QueryEscape(demo.IntegratedAccountID)
	if more := demo.EncodedQuery(); more != "" {
		query += "&" + more
	}
	target := fmt.Sprintf("%s/unified/%s/%s/%s?%s", origin, op.Model, op.Resource, url.PathEscape(demo.SampleID), query)
	return fmt.Sprintf("curl -X PATCH %s \\\n  -H %s -H %s -d %s",
		quoted(target), quoted("Authorization: Bearer "+demoToken), quoted("Content-Type: application/json"), quoted(plain.Text(body)))
}

// demoBody returns a small body that the provider supports: a first name, or else the first field
// with known values; nil if there is neither.
func demoBody(support *engine.Support) map[string]any {
	if support.Names("first_name") {
		return map[string]any{"first_name": "Ada"}
	}
	i := slices.IndexFunc(support.Leaves, func(l engine.Leaf) bool { return len(l.Values) > 0 })
	if i < 0 {
		return nil
	}
	value := support.Leaves[i].Values[0]
	names := strings.Split(strings.TrimPrefix(support.Leaves[i].Path, "/"), "/")
	for _, name := range slices.Backward(names) {
		if name == "*" {
			value = []any{value}
		} else {
			value = map[string]any{name: value}
		}
	}
	body, _ := value.(map[string]any)
	return body
}

// quoted returns text as one word of a shell command.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
