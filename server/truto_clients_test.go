package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

// Lists are paged by limit and next_cursor, which are sent empty for the first page.
func TestListsOfTrutosClients(t *testing.T) {
	o := newAdminFixture(t)
	for i := range 3 {
		o.clock.advance(time.Second)
		o.must(201, "root", "POST", "/integrated-account", fmt.Sprintf(`{"integration":{"id":"bare","name":"bare"},"label":"a%d"}`, i))
		o.must(201, "root", "POST", "/environment", fmt.Sprintf(`{"name":"e%d"}`, i))
	}
	for path, want := range map[string]int{"/integrated-account": 4, "/environment": 5, "/api-token": 4, "/audit": 11, "/integration": 5} {
		seen, next := map[string]bool{}, ""
		for range 20 {
			page := o.must(200, "root", "GET", "//"+path[1:]+"?limit=2&next_cursor="+url.QueryEscape(next), "")
			if page["limit"] != 2.0 {
				t.Errorf("%s: limit %v", path, page["limit"])
			}
			for _, item := range page["result"].([]any) {
				seen[fmt.Sprint(item.(map[string]any)["id"])] = true
			}
			if next, _ = page["next_cursor"].(string); next == "" {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("%s: %d entries, want %d", path, len(seen), want)
		}
		if whole := o.must(200, "root", "GET", path+"?limit=&next_cursor=", ""); whole["limit"] != 50.0 || len(whole["result"].([]any)) != want {
			t.Errorf("%s: %v", path, whole["limit"])
		}
	}
	if got := failures(o.must(400, "root", "GET", "/audit?next_cursor=x", "")); !slices.Equal(got, []string{"?next_cursor format"}) {
		t.Error(got)
	}
}

func TestPingAndIntegrations(t *testing.T) {
	o := newAdminFixture(t)
	for _, who := range []string{"root", "caller", "bound"} {
		o.must(200, who, "GET", "/ping", "")
		if got := o.must(200, who, "GET", "/integration/example", ""); got["label"] != "Example <i>&" || len(got["credentials"].([]any)) != 3 {
			t.Errorf("%v", got)
		}
	}
	o.must(401, "nobody", "GET", "/ping", "")
	o.must(404, "root", "GET", "/integration/none", "")
	if got := results(o.must(200, "caller", "GET", "/integration", ""), "name"); !slices.Equal(got, []string{"bare", "example", "loose", "reads", "writes"}) {
		t.Error(got)
	}
	s := newServer(t, answers(200, "{}")) // without a store
	if w := ask(s, "GET", "/ping", ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := results(decode(t, ask(s, "GET", "/integration", "")), "name"); !slices.Equal(got, []string{"hive", "pivotal_tracker", "planhat", "teamwork"}) {
		t.Error(got)
	}
}

// Environments have an id, by which they can be used like by name, and a name that can be changed.
func TestEnvironmentByID(t *testing.T) {
	o := newAdminFixture(t)
	id := o.environmentID("live")
	for _, who := range []string{"root", "ops"} {
		if got := o.must(200, who, "PATCH", "/environment/"+id, `{"name":"Live Europe"}`); got["id"] != id || got["name"] != "Live Europe" || got["slug"] != "live" {
			t.Errorf("%v", got)
		}
		if got := o.must(200, who, "GET", "/environment/"+id, ""); got["slug"] != "live" {
			t.Errorf("%v", got)
		}
		if got := o.must(201, who, "POST", "/api-token", `{"name":"x","role":"call","environment":"`+id+`"}`); got["environment"] != "live" || got["environment_id"] != id {
			t.Errorf("%v", got)
		}
		if got := o.must(200, who, "GET", "/audit?limit=1&environment="+id, "")["result"].([]any)[0].(map[string]any); got["environment_id"] != id {
			t.Errorf("%v", got)
		}
	}
	other := o.environmentID("default")
	o.must(404, "ops", "GET", "/environment/"+other, "")
	o.must(404, "ops", "GET", "/audit?environment="+other, "")
	o.must(404, "ops", "POST", "/api-token", `{"name":"x","role":"call","environment":"`+other+`"}`)
	if w := o.do("root", "POST", "/environment", `{"name":"`+id+`"}`); w.Code != 400 {
		t.Errorf("an environment has the name of another's id: %d", w.Code)
	}
	o.must(409, "root", "DELETE", "/environment/"+id, "")
}

func TestTokenForAccountInTheBody(t *testing.T) {
	o := newAdminFixture(t)
	made := o.must(201, "root", "POST", "/integrated-account/token", `{"integrated_account_id":"`+o.ids["default"]+`"}`)
	if made["integrated_account_id"] != o.ids["default"] || made["expires_at"] != "2026-03-01T12:15:00Z" || made["token"] == nil {
		t.Errorf("%v", made)
	}
	o.must(404, "root", "POST", "/integrated-account/token", `{"integrated_account_id":"`+o.ids["live"]+`"}`)
	if got := failures(o.must(400, "root", "POST", "/integrated-account/token", `{}`)); !slices.Equal(got, []string{"/integrated_account_id required"}) {
		t.Error(got)
	}
}

func TestRefreshCredentials(t *testing.T) {
	w := newFixture(t, true)
	refresh := func(id string) (int, map[string]any) {
		answer := ask(w, "POST", "/integrated-account/refresh-credentials", `{"id":"`+id+`"}`, "Authorization", "Bearer "+adminToken)
		return answer.Code, decode(t, answer)
	}
	account := w.account(nil)
	if status, got := refresh(account.ID); status != 200 || got["success"] != true || w.info(account.ID).Grant.AccessToken != "access-canary-2" || w.authority.renewals != 1 {
		t.Errorf("%d %v, %d renewals", status, got, w.authority.renewals)
	}
	keyed := w.account(func(a *accounts.Account) { a.Grant = nil })
	if status, got := refresh(keyed.ID); status != 400 || !slices.Equal(failures(got), []string{"/id unsupported"}) {
		t.Errorf("%d %v", status, got)
	}
	if status, _ := refresh(accounts.NewID()); status != 404 {
		t.Errorf("an unknown account: %d", status)
	}
	w.clock.advance(time.Minute)
	w.authority.refresh = ""
	if status, got := refresh(account.ID); status != 401 || got["truto_is_remote_error"] != true || w.info(account.ID).Status != accounts.StatusNeedsReauth {
		t.Errorf("a refused renewal: %d %v", status, got)
	}
}

// A link for a tenant alone lets the customer choose, also by the address that Truto's client opens.
func TestLinkWithoutIntegration(t *testing.T) {
	for _, byConsent := range []bool{true, false} {
		w := newFixture(t, byConsent)
		path := w.link(`{"tenant_id":"acme-7","unified_model_id":"ticketing","context":{"region":"us","undeclared":"x"}}`)
		b := newBrowser(w)
		token := strings.TrimPrefix(path, "/link/")
		page := b.send("GET", path, nil)
		if page.Code != 200 || strings.Contains(page.Body.String(), "bare") || !strings.Contains(page.Body.String(), `<a href="?integration=example">Example &lt;i&gt;&amp;</a>`) {
			t.Errorf("%d %s", page.Code, page.Body)
		}
		if other := b.send("GET", path+"?integration=bare", nil); !strings.Contains(other.Body.String(), "?integration=example") {
			t.Errorf("an integration that was not offered: %s", other.Body)
		}
		if blind := b.send("POST", path, url.Values{}); blind.Code != 400 {
			t.Errorf("a form without an integration: %d", blind.Code)
		}
		led := b.send("GET", "//connect-account?link_token="+token+"&integration=example&iframe=true", nil)
		chosen := led.Header().Get("Location")
		if led.Code != http.StatusSeeOther || chosen != path+"?integration=example" {
			t.Fatalf("%d %s", led.Code, chosen)
		}
		var done int
		if byConsent {
			if got := asks(b.send("GET", chosen, nil)); len(got) != 0 {
				t.Errorf("asks for %v", got)
			}
			answer := b.send("POST", chosen, url.Values{})
			done = b.send("GET", "/link/callback?"+w.authority.consent(t, answer.Header().Get("Location")).Encode(), nil).Code
		} else {
			done = b.send("POST", chosen, url.Values{"site": {"acme"}, "api_key": {"key-canary"}}).Code
		}
		if list := w.all(); done != 200 || len(list) != 1 || list[0].Integration != "example" || list[0].TenantID != "acme-7" || list[0].Context["region"] != "us" {
			t.Errorf("%d, %v", done, len(list))
		}
		if again := b.send("GET", path, nil); again.Code != 404 {
			t.Errorf("the link again: %d", again.Code)
		}
		w.checkNoSecrets()
	}
	w := newFixture(t, false)
	if answer := newBrowser(w).send("GET", "/connect-account", nil); answer.Code != 404 {
		t.Errorf("without a token: %d", answer.Code)
	}
}

// A link for an account alone has its integration. Its context is not asked for, and what the customer
// leaves empty stays if the link says so, but no secret goes to another site.
func TestLinkWithContext(t *testing.T) {
	w := newFixture(t, false)
	account := w.account(func(a *accounts.Account) {
		a.Grant, a.Context = nil, accounts.Context{"site": "acme", "api_key": "key-canary", "region": "eu"}
	})
	link := func(more string) string { return w.link(`{"integrated_account_id":"` + account.ID + `"` + more + `}`) }
	b := newBrowser(w)
	path := link(`,"context":{"region":"us"},"persist_previous_context":true`)
	if diff := cmp.Diff([]string{"site:text=", "api_key:password="}, asks(b.send("GET", path, nil))); diff != "" {
		t.Error(diff)
	}
	for _, values := range []url.Values{{"site": {"evil"}}, {"site": {"evil"}, "api_key": {" "}}} {
		answer := b.send("POST", path, values)
		if answer.Code != 422 || !strings.Contains(answer.Body.String(), "API key is missing") || len(w.takeCalls()) != 0 {
			t.Errorf("the old key for another site: %d %s", answer.Code, answer.Body)
		}
	}
	if done := b.send("POST", path, url.Values{"site": {""}}); done.Code != 200 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	if got := w.info(account.ID).Context; got["site"] != "acme" || got["api_key"] != "key-canary" || got["region"] != "us" {
		t.Errorf("site %v, region %v", got["site"], got["region"])
	}
	if diff := cmp.Diff([]string{"GET https://acme.example.com/api/me Key key-canary"}, w.takeCalls()); diff != "" {
		t.Errorf("verified by %s", diff)
	}
	// Without it, both are required again.
	if answer := b.send("POST", link(""), url.Values{"site": {"acme"}}); answer.Code != 422 {
		t.Errorf("a blank key: %d", answer.Code)
	}
	for body, want := range map[string][]string{
		`{"integration":"example","context":{"regoin":"eu","access_token":"x","region":"mars"}}`: {"/context/access_token additional", "/context/region enum", "/context/regoin additional"},
		`{"tenant_id":"t","unified_model_id":"crm"}`:                                             {"/unified_model_id enum"},
		`{"label":"x"}`: {"/integration required"},
	} {
		answer := ask(w, "POST", "/link-token", body, "Authorization", "Bearer "+adminToken)
		if diff := cmp.Diff(want, slices.Sorted(slices.Values(failureList(t, answer)))); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	w.checkNoSecrets()
}
