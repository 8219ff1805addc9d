package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/accounts/database"
	"portolan/engine"
	"portolan/schemas"
	"portolan/server"
)

// adminFixture is a fixture with a second environment, tokens of all kinds and one account in each
// environment.
type adminFixture struct {
	*fixture
	secrets, ids map[string]string // secrets and ids of tokens by caller; ids of accounts by environment
}

const live = "live"

func newAdminFixture(t *testing.T, opts ...any) *adminFixture {
	t.Helper()
	o := &adminFixture{fixture: newFixture(t, false, opts...), secrets: map[string]string{"root": adminToken, "caller": callToken}, ids: map[string]string{}}
	by := accounts.Actor{Name: "test"}
	if _, err := o.db.CreateEnvironment(t.Context(), by, accounts.Environment{Name: live}); err != nil {
		t.Fatal(err)
	}
	for _, environment := range []string{accounts.DefaultEnvironment, live} {
		o.ids[environment] = o.account(func(a *accounts.Account) {
			a.Environment, a.Grant, a.Context = environment, nil, accounts.Context{"site": "acme", "api_key": "canary-key-" + environment}
		}).ID
	}
	for who, token := range map[string]accounts.Token{
		"ops":         {Environment: live, Role: accounts.RoleAdmin},
		"live caller": {Environment: live, Role: accounts.RoleCall},
		"bound":       {Environment: accounts.DefaultEnvironment, Role: accounts.RoleCall, AccountID: o.ids[accounts.DefaultEnvironment]},
		"spare":       {Environment: accounts.DefaultEnvironment, Role: accounts.RoleCall},
		"expired":     {Environment: accounts.DefaultEnvironment, Role: accounts.RoleAdmin, ExpiresAt: fixedClock().Add(-time.Hour)},
		"revoked":     {Environment: accounts.DefaultEnvironment, Role: accounts.RoleAdmin},
	} {
		secret, prefix := accounts.NewSecret("ptl")
		token.Name, token.Prefix = who, prefix
		made, err := o.db.CreateToken(t.Context(), by, accounts.StoredToken{Token: token, Hash: accounts.HashToken(secret.Reveal())})
		if err != nil {
			t.Fatal(err)
		}
		o.secrets[who], o.ids[who] = secret.Reveal(), made.ID
	}
	if err := o.db.RevokeToken(t.Context(), by, accounts.DefaultEnvironment, o.ids["revoked"]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.checkLogForSecrets)
	return o
}

// do sends a request with the token of who. The answer must not show a credential or known token.
func (o *adminFixture) do(who, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	w := ask(o, method, target, body, append([]string{"Authorization", "Bearer " + o.secrets[who]}, headers...)...)
	if text := fmt.Sprint(w.Header(), w.Body); strings.Contains(text, "canary") {
		o.t.Errorf("%s %s shows a credential: %s", method, target, text)
	}
	for name, secret := range o.secrets {
		if strings.Contains(w.Body.String(), secret) {
			o.t.Errorf("%s %s shows the token of %s: %s", method, target, name, w.Body)
		}
	}
	return w
}

// must is do; the answer must have this status.
func (o *adminFixture) must(status int, who, method, target, body string, headers ...string) map[string]any {
	o.t.Helper()
	w := o.do(who, method, target, body, headers...)
	if w.Code != status {
		o.t.Fatalf("%s: %s %s: status %d, want %d: %s", who, method, target, w.Code, status, w.Body)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		o.t.Errorf("%s %s: may be cached", method, target)
	}
	return decode(o.t, w)
}

func (o *adminFixture) checkLogForSecrets() {
	for name, secret := range o.secrets {
		if strings.Contains(o.logs.String(), secret) {
			o.t.Errorf("the token of %s was logged", name)
		}
	}
	if strings.Contains(o.logs.String(), "canary") {
		o.t.Errorf("a credential was logged")
	}
}

func (o *adminFixture) environmentID(name string) string {
	o.t.Helper()
	e, err := o.db.Environment(o.t.Context(), name)
	if err != nil {
		o.t.Fatal(err)
	}
	return e.ID
}

// failures returns the failures of an answer as "pointer code".
func failures(answer map[string]any) []string {
	details, _ := answer["details"].(map[string]any)
	list, _ := details["failures"].([]any)
	var out []string
	for _, f := range list {
		f, _ := f.(map[string]any)
		out = append(out, fmt.Sprint(f["pointer"], " ", f["code"]))
	}
	slices.Sort(out)
	return out
}

// results returns the members called name of the entries of a list.
func results(answer map[string]any, name string) []string {
	out := []string{}
	list, _ := answer["result"].([]any)
	for _, item := range list {
		item, _ := item.(map[string]any)
		out = append(out, fmt.Sprint(item[name]))
	}
	slices.Sort(out)
	return out
}

// adminRequests returns one request for each route. id returns the id of an account, token or
// environment that exists.
func adminRequests(id func(string) string) [][3]string {
	account, token, environment := "/integrated-account/"+id("account"), "/api-token/"+id("token"), "/environment/"+id("environment")
	return [][3]string{
		{"GET", "/integrated-account", ""},
		{"POST", "/integrated-account", `{"integration":"example","context":{"site":"a","api_key":"canary-1"}}`},
		{"GET", account, ""},
		{"PATCH", account, `{"label":"new"}`},
		{"POST", account + "/token", ""},
		{"GET", "/api-token", ""},
		{"POST", "/api-token", `{"name":"t","role":"call"}`},
		{"GET", token, ""},
		{"GET", "/environment", ""},
		{"POST", "/environment", `{"name":"third"}`},
		{"GET", environment, ""},
		{"PATCH", environment, `{"label":"new"}`},
		{"GET", "/audit", ""},
		{"DELETE", account, ""},
		{"DELETE", token, ""},
		{"DELETE", environment, ""},
	}
}

func TestRoles(t *testing.T) {
	for _, tt := range []struct {
		who         string
		environment string // of the requested account, token and environment
		want        []int
	}{
		{"root", "default", []int{200, 201, 200, 200, 201, 200, 201, 200, 200, 201, 200, 200, 200, 200, 200, 409}},
		{"ops", "live", []int{200, 201, 200, 200, 201, 200, 201, 200, 200, 403, 200, 200, 200, 200, 200, 403}},
		{"caller", "default", slices.Repeat([]int{403}, 16)},
		{"live caller", "live", slices.Repeat([]int{403}, 16)},
		{"bound", "default", slices.Repeat([]int{403}, 16)},
		{"expired", "default", slices.Repeat([]int{401}, 16)},
		{"revoked", "default", slices.Repeat([]int{401}, 16)},
		// Those of other environments are not visible; lists show those of the caller's environment.
		{"root", "live", []int{200, 201, 404, 404, 404, 200, 201, 404, 200, 201, 200, 200, 200, 404, 404, 409}},
		{"ops", "default", []int{200, 201, 404, 404, 404, 200, 201, 404, 200, 403, 404, 404, 200, 404, 404, 404}},
	} {
		t.Run(tt.who+" in "+tt.environment, func(t *testing.T) {
			o := newAdminFixture(t)
			token := map[string]string{"default": "spare", live: "live caller"}[tt.environment]
			var got []int
			for _, r := range adminRequests(func(what string) string {
				return map[string]string{"account": o.ids[tt.environment], "token": o.ids[token], "environment": tt.environment}[what]
			}) {
				got = append(got, o.do(tt.who, r[0], r[1], r[2]).Code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// tokenID returns the id of the token of who.
func (o *adminFixture) tokenID(who string) string {
	token, err := o.db.Authenticate(o.t.Context(), o.secrets[who])
	if err != nil {
		o.t.Fatal(err)
	}
	return token.ID
}

// Lists, audit and tokens of another environment are not visible if a request names it.
func TestEnvironmentsAreSeparate(t *testing.T) {
	o := newAdminFixture(t)
	for who, own := range map[string]string{"root": "default", "ops": live} {
		if got := results(o.must(200, who, "GET", "/integrated-account", ""), "id"); !slices.Equal(got, []string{o.ids[own]}) {
			t.Errorf("%s sees the accounts %v", who, got)
		}
		for _, name := range results(o.must(200, who, "GET", "/api-token", ""), "environment") {
			if name != own {
				t.Errorf("%s sees a token of %s", who, name)
			}
		}
		for _, name := range results(o.must(200, who, "GET", "/audit", ""), "environment") {
			if name != own {
				t.Errorf("%s sees audit of %s", who, name)
			}
		}
	}
	o.must(200, "ops", "GET", "/audit?environment=live", "")
	if got := results(o.must(200, "root", "GET", "/audit?environment=live&subject="+o.ids[live], ""), "action"); !slices.Equal(got, []string{"integrated-account.create"}) {
		t.Errorf("root sees in the other environment's audit %v", got)
	}
	if got := results(o.must(200, "ops", "GET", "/audit?subject="+o.ids["default"], ""), "id"); len(got) > 0 {
		t.Errorf("ops sees in the audit of a foreign subject %v", got)
	}
	if got := results(o.must(200, "ops", "GET", "/environment", ""), "name"); !slices.Equal(got, []string{live}) {
		t.Errorf("ops sees the environments %v", got)
	}
	if got := results(o.must(200, "root", "GET", "/environment", ""), "name"); !slices.Equal(got, []string{"default", live}) {
		t.Errorf("root sees the environments %v", got)
	}
	o.must(404, "ops", "GET", "/audit?environment=default", "")
	o.must(404, "ops", "GET", "/audit?environment=nowhere", "")
	o.must(404, "ops", "POST", "/api-token", `{"name":"x","role":"admin","environment":"default"}`)
	o.must(404, "ops", "POST", "/api-token", `{"name":"x","role":"admin","environment":"nowhere"}`)
	o.must(404, "root", "POST", "/api-token", `{"name":"x","role":"admin","environment":"nowhere"}`)
	o.must(201, "ops", "POST", "/api-token", `{"name":"x","role":"admin","environment":"live"}`)

	// Nothing was stored in the first environment.
	if page, err := o.db.Tokens(t.Context(), "default", accounts.PageQuery{}); err != nil || slices.ContainsFunc(page.Items, func(k accounts.Token) bool { return k.Name == "x" }) {
		t.Error(page, err)
	}
}

// A token that is bound to an account can call that account only.
func TestBoundTokenCallsItsAccountOnly(t *testing.T) {
	o := newAdminFixture(t)
	other := o.account(func(a *accounts.Account) {
		a.Grant, a.Context = nil, accounts.Context{"site": "b", "api_key": "canary-b"}
	}).ID
	for _, tt := range []struct {
		who, account string
		want         int
	}{
		{"bound", o.ids["default"], 200},
		{"bound", strings.ToUpper(o.ids["default"]), 200},
		{"bound", other, 404},
		{"bound", o.ids[live], 404},
		{"caller", other, 200},
		{"caller", o.ids[live], 404},
		{"live caller", o.ids[live], 200},
		{"root", other, 200},
	} {
		w := o.do(tt.who, "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+tt.account, `{"first_name":"Ada"}`)
		if w.Code != tt.want {
			t.Errorf("%s calls %s: %d %s", tt.who, tt.account, w.Code, w.Body)
		}
	}
}

func TestAdminRoutes(t *testing.T) {
	o := newAdminFixture(t)
	for _, tt := range []struct{ method, target, allow string }{
		{"DELETE", "/integrated-account", "GET, HEAD, POST"},
		{"PUT", "/integrated-account/" + o.ids["default"], "GET, HEAD, PATCH, DELETE"},
		{"GET", "/integrated-account/" + o.ids["default"] + "/token", "POST"},
		{"PATCH", "/api-token/" + o.ids["bound"], "GET, HEAD, DELETE"}, // tokens are immutable
		{"PUT", "/environment/live", "GET, HEAD, PATCH, DELETE"},
		{"POST", "/audit", "GET, HEAD"},
	} {
		w := o.do("root", tt.method, tt.target, "")
		if w.Code != 405 || w.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, Allow %q", tt.method, tt.target, w.Code, w.Header().Get("Allow"))
		}
	}
	for _, target := range []string{
		"/integrated-account//", "/integrated-account/a/b", "/integrated-account/a/token/b", "/api-token/a/b", "/environment/a%2Fb", "/audit/1",
		"/integrated-account/%00", "/api-token/not-a-uuid", "/environment/%ff", "/environment/" + strings.Repeat("x", 5000),
		"/integrated-account/62f44730dd91461ebd6aaedd9e0ad79d", "/integrated-account/..%2f" + o.ids["default"],
	} {
		if w := o.do("root", "GET", target, ""); w.Code != 404 {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	// A server without a store has no such routes.
	if w := ask(newServer(t, answers(200, "{}")), "GET", "/integrated-account", ""); w.Code != 404 {
		t.Errorf("without a store: %d", w.Code)
	}
	// Neither log nor metrics show a secret from the path, or have an id as a label.
	o.do("root", "DELETE", "/api-token/"+o.secrets["ops"], "")
	o.do("root", "DELETE", "/api-token/"+strings.ReplaceAll(o.secrets["ops"], "_", "%5F"), "")
	o.do("root", "GET", "/%6cink/"+strings.ReplaceAll(o.secrets["ops"], "_", "%5f"), "")
	longest := func(a, b string) int { return len(a) - len(b) }
	if part := slices.MaxFunc(strings.Split(o.secrets["ops"], "_"), longest); strings.Contains(o.logs.String(), part) {
		t.Error("the log shows a secret of a path")
	}
	if w := ask(o.Operations(), "GET", "/metrics", ""); strings.Contains(w.Body.String(), o.ids["default"]) {
		t.Error("/metrics names an account")
	}
	if !strings.Contains(o.logs.String(), o.tokenID("root")) {
		t.Error("the log does not have the id of the token")
	}
}

// replaceableStore is a Store that a test can replace by another.
type replaceableStore struct{ accounts.Store }

// cachedTokens is a Store that authenticates callers, even if the rest of it fails.
type cachedTokens struct {
	accounts.Store
	cache accounts.Directory
}

func (s cachedTokens) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	return s.cache.Authenticate(ctx, token)
}

func adminServer(t *testing.T, o *adminFixture, store accounts.Store, unified schemas.Models) *server.Server {
	t.Helper()
	s, err := build(exampleCatalog(t), engine.New(o.fixture, o.clock.now), unified, store, server.WithClock(o.clock.now), server.WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAdminStoreUnavailable(t *testing.T) {
	o := newAdminFixture(t)
	store := &replaceableStore{}
	unified, _ := models(t)
	requests := adminRequests(func(what string) string {
		return map[string]string{"account": o.ids["default"], "token": o.ids["bound"], "environment": "live"}[what]
	})
	s := adminServer(t, o, store, unified)
	closed, err := database.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "closed.db"), database.Options{Now: o.clock.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []accounts.Store{closed, cachedTokens{closed, o.db}} {
		store.Store = lost
		for _, r := range requests {
			w := ask(s, r[0], r[1], r[2], "Authorization", "Bearer "+adminToken)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "closed") {
				t.Errorf("%s %s: %d %s", r[0], r[1], w.Code, w.Body)
			}
		}
	}
	for range 50 { // an outage does not count as a failed authentication
		ask(s, "GET", "/audit", "", "Authorization", "Bearer "+adminToken)
	}
	store.Store = o.db
	for _, r := range requests {
		if w := ask(s, r[0], r[1], r[2], "Authorization", "Bearer "+adminToken); w.Code >= 500 || w.Code == 429 {
			t.Errorf("%s %s: %d %s", r[0], r[1], w.Code, w.Body)
		}
	}
}
