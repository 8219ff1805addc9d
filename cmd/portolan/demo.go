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

// demoToken opens the demo accounts, demoAdminToken the admin API of a database that ends
// with the process. They are not secrets.
const (
	demoToken      = "sandbox-token"
	demoAdminToken = "sandbox-admin"
)

// demoEnvironment is where the demo accounts are if accounts are served that outlast the
// process: everyone knows demoToken, so it must not reach those. No database has an
// environment of this name, because a name in it has no dot.
const demoEnvironment = "sandbox.demo"

// demoTokens are those of an environment. Without lasting accounts they are in the
// environment that the database of the process has, and one of them administers it.
func demoTokens(lasting bool) []accounts.StoredToken {
	call := accounts.Token{Name: "sandbox", Environment: demoEnvironmentOf(lasting)}
	tokens := []accounts.StoredToken{{Token: call, Hash: accounts.HashToken(demoToken)}}
	if !lasting {
		admin := accounts.Token{Name: "sandbox admin", Environment: call.Environment, Role: accounts.RoleAdmin}
		tokens = append(tokens, accounts.StoredToken{Token: admin, Hash: accounts.HashToken(demoAdminToken)})
	}
	return tokens
}

func demoEnvironmentOf(lasting bool) string {
	if lasting {
		return demoEnvironment
	}
	return accounts.DefaultEnvironment
}

// demoAccounts gives an account for each provider that can be played. origin, where set,
// is where they are served ("http://127.0.0.1:4711"); without it they keep their base URLs.
func (w *world) demoAccounts(origin string) []accounts.Account {
	out := make([]accounts.Account, 0, len(w.providers))
	for _, provider := range w.providers {
		a := accounts.Account{
			ID: provider.Demo().IntegratedAccountID, Integration: provider.Name(), Context: provider.Demo().Context,
		}
		if origin != "" {
			a.BaseURL = w.demoBase(origin, provider)
		}
		out = append(out, a)
	}
	return out
}

// demoBase is the base URL of a provider that is played at origin.
func (w *world) demoBase(origin string, provider *sandbox.Provider) string {
	return origin + "/" + provider.Name() + w.basePath(provider.Name())
}

// bases are the base URLs of the providers that are played at origin; none where it is "".
func (w *world) bases(origin string) map[string]string {
	bases := map[string]string{}
	for _, provider := range w.providers {
		if origin != "" {
			bases[provider.Name()] = w.demoBase(origin, provider)
		}
	}
	return bases
}

// demoApps adds the clients that the pretend authorization servers at origin know.
func (w *world) demoApps(origin string, apps map[string]gateway.OAuthApp) {
	for _, provider := range w.providers {
		if client, plays := provider.OAuth(); plays {
			apps[provider.Name()] = gateway.OAuthApp{
				ClientID: client.ID, ClientSecret: accounts.Secret(client.Secret), Origin: origin + "/" + provider.Name(),
			}
		}
	}
}

// mounts are the providers with the paths under which they are served.
func (w *world) mounts() []sandbox.Mount {
	out := make([]sandbox.Mount, 0, len(w.providers))
	for _, provider := range w.providers {
		out = append(out, sandbox.Mount{Provider: provider, BasePath: w.basePath(provider.Name())})
	}
	return out
}

// demoCurl is a command to paste that changes a provider's sample record through the API
// at origin; "" where the provider has no method for that.
func (w *world) demoCurl(origin string, provider *sandbox.Provider) string {
	plan := w.updatePlan(provider.Name())
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

// demoBody is a small body of which the provider takes everything: a name, or else the
// first field whose values are known; nil where it has neither.
func demoBody(support *engine.Support) map[string]any {
	if support.Reaches("/first_name") {
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

// quoted is text as one word of a shell command.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
