package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

func TestTokenLife(t *testing.T) {
	o := newAdminFixture(t)
	made := o.must(201, "root", "POST", "/api-token", `{"name":"ci","role":"admin","expires_in":3.6e3}`)
	secret := fmt.Sprint(made["token"])
	if !strings.HasPrefix(secret, "ptl_") || made["prefix"] != secret[:12] || made["expires_at"] != "2026-03-01T13:00:00Z" || made["environment"] != "default" || made["role"] != "admin" {
		t.Errorf("%v", made)
	}
	o.secrets["ci"] = secret // no further answer may show it
	own := "/api-token/" + fmt.Sprint(made["id"])
	delete(made, "token")
	if diff := cmp.Diff(made, o.must(200, "root", "GET", "/api-token/"+strings.ToUpper(fmt.Sprint(made["id"])), "")); diff != "" {
		t.Error(diff)
	}
	o.must(200, "ci", "GET", own, "")
	if got := o.must(200, "ci", "DELETE", own, ""); fmt.Sprint(got) != fmt.Sprintf("map[id:%s]", made["id"]) { // a token can revoke itself
		t.Error(got)
	}
	o.must(401, "ci", "GET", own, "")
	o.must(404, "root", "GET", own, "")
	o.must(404, "root", "DELETE", own, "")

	lasting := o.must(201, "root", "POST", "/api-token", `{"name":"for live","role":"call","environment":"live"}`)
	if lasting["expires_at"] != nil || lasting["environment"] != live {
		t.Error(lasting)
	}
	o.must(404, "root", "GET", "/api-token/"+fmt.Sprint(lasting["id"]), "")
	o.must(200, "ops", "GET", "/api-token/"+fmt.Sprint(lasting["id"]), "")
	o.secrets["made for live"] = fmt.Sprint(lasting["token"])
	if w := o.do("made for live", "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+o.ids[live], `{"first_name":"Ada"}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	short := o.must(201, "root", "POST", "/api-token", `{"name":"short","role":"admin","expires_in":1}`)
	o.secrets["short"] = fmt.Sprint(short["token"])
	o.must(200, "short", "GET", "/audit", "")
	o.clock.advance(time.Second)
	o.must(401, "short", "GET", "/audit", "")

	for body, want := range map[string][]string{
		`{}`: {"/name required", "/role required"},
		`{"name":"","role":"root","expires_in":0,"envronment":"x"}`:                                 {"/envronment additional", "/expires_in range", "/name length", "/role enum"},
		`{"name":"` + strings.Repeat("x", 201) + `","role":"call","expires_in":315360001}`:          {"/expires_in range", "/name length"},
		`{"name":"a\u001b","role":"call","expires_in":1.5,"environment":"LIVE"}`:                    {"/environment format", "/expires_in type", "/name format"},
		`{"name":"x","role":"call","expires_in":1e300,"token":"mine","integrated_account_id":null}`: {"/expires_in range", "/integrated_account_id additional", "/token additional"},
	} {
		if diff := cmp.Diff(want, failures(o.must(400, "root", "POST", "/api-token", body))); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

func TestAccountTokens(t *testing.T) {
	o := newAdminFixture(t)
	path := "/integrated-account/" + o.ids["default"]
	made := o.must(201, "root", "POST", path+"/token", "")
	if !strings.HasPrefix(fmt.Sprint(made["token"]), "pta_") || made["integrated_account_id"] != o.ids["default"] || made["role"] != "call" || made["expires_at"] != "2026-03-01T12:15:00Z" {
		t.Errorf("%v", made)
	}
	o.secrets["short"] = fmt.Sprint(made["token"])
	if got := o.must(201, "root", "POST", "/integrated-account/"+strings.ToUpper(o.ids["default"])+"/token", `{"expires_in":60}`); got["expires_at"] != "2026-03-01T12:01:00Z" {
		t.Error(got)
	}
	call := "/unified/ticketing/users/u1?integrated_account_id=" + o.ids["default"]
	if w := o.do("short", "PATCH", call, `{"first_name":"Ada"}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	o.must(403, "short", "POST", path+"/token", "")
	o.must(404, "ops", "POST", path+"/token", "")
	o.must(404, "root", "POST", "/integrated-account/"+accounts.NewID()+"/token", `{"expires_in":60}`)
	o.clock.advance(15 * time.Minute)
	if w := o.do("short", "PATCH", call, `{"first_name":"Ada"}`); w.Code != 401 {
		t.Errorf("after 15 minutes: %d %s", w.Code, w.Body)
	}
	// The tokens of an account are deleted with it.
	again := o.must(201, "root", "POST", path+"/token", `{}`)
	o.secrets["again"] = fmt.Sprint(again["token"])
	o.must(200, "root", "DELETE", path, "")
	if w := o.do("again", "PATCH", call, `{"first_name":"Ada"}`); w.Code != 401 {
		t.Errorf("after the account: %d %s", w.Code, w.Body)
	}
}

func TestEnvironmentLife(t *testing.T) {
	o := newAdminFixture(t)
	const overrides = `{"example/ticketing.users.update":{"response_mapping":"{ \"name\": \"Env\" }"}}`
	made := o.must(201, "root", "POST", "/environment", `{"name":"stage","label":"Stage","overrides":`+overrides+`}`)
	want := map[string]any{
		"id": o.environmentID("stage"), "name": "stage", "slug": "stage", "team_id": nil, "logo": nil, "allowed_origins": []any{},
		"label": "Stage", "version": 1.0, "created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z",
		"overrides": map[string]any{"example/ticketing.users.update": map[string]any{"response_mapping": `{ "name": "Env" }`}},
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, o.must(200, "root", "GET", "/environment/stage", "")); diff != "" {
		t.Error(diff)
	}
	o.must(409, "root", "POST", "/environment", `{"name":"stage"}`)
	o.must(409, "root", "PATCH", "/environment/stage", `{"version":7,"label":"x"}`)
	o.must(404, "root", "PATCH", "/environment/nowhere", `{"label":"x"}`)
	if got := o.must(200, "root", "PATCH", "/environment/stage", `{"version":1,"label":"S","overrides":{}}`); got["version"] != 2.0 || got["label"] != "S" {
		t.Error(got)
	}
	for target, want := range map[string]string{
		"/environment/stage?version=1": "another version", "/environment/live": "has accounts or tokens", "/environment/default": "cannot be deleted",
	} {
		if got := o.must(409, "root", "DELETE", target, ""); !strings.Contains(fmt.Sprint(got["message"]), want) {
			t.Errorf("%s: %v", target, got)
		}
	}
	if got := o.must(200, "root", "DELETE", "/environment/stage?version=2", ""); fmt.Sprint(got) != "map[id:"+want["id"].(string)+" name:stage]" {
		t.Error(got)
	}
	o.must(404, "root", "GET", "/environment/stage", "")
	if got := results(o.must(200, "root", "GET", "/audit?environment=stage", ""), "action"); !slices.Equal(got, []string{"environment.create", "environment.delete", "environment.update"}) {
		t.Error(got)
	}

	// Administrators of an environment change its label and the overrides that its accounts inherit.
	if got := o.must(200, "ops", "PATCH", "/environment/live", `{"overrides":`+overrides+`}`); got["version"] != 2.0 {
		t.Error(got)
	}
	if w := o.do("ops", "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+o.ids[live], `{"first_name":"Ada"}`); !strings.Contains(w.Body.String(), `"name":"Env"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, want := range map[string][]string{
		`{"name":"UP","labl":1,"overrides":{"ticketing.users.update":{"query_mapping":"{}"},"none/ticketing.users.update":{},"bare/ticketing.users.update":{}}}`: {
			"/labl additional", "/name format", "/overrides/bare~1ticketing.users.update additional", "/overrides/none~1ticketing.users.update additional", "/overrides/ticketing.users.update additional",
		},
		`{"overrides":{"example/ticketing.users.update":{"query_mapping":"{ \"a\": $nope() }"}}}`: {"/name required", "/overrides/example~1ticketing.users.update/query_mapping mapping"},
		`{"name":"","overrides":3}`:                  {"/name format", "/overrides type"},
		`{"name":"` + strings.Repeat("a", 65) + `"}`: {"/name format"},
		`{"name":"a\nb"}`:                            {"/name format"},
		`{"name":"a\n"}`:                             {"/name format"},
	} {
		if diff := cmp.Diff(want, failures(o.must(400, "root", "POST", "/environment", body))); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	if got := failures(o.must(400, "ops", "PATCH", "/environment/live", `{"version":2}`)); !slices.Equal(got, []string{" empty"}) {
		t.Error(got)
	}
}

func TestAuditHoldsNoSecret(t *testing.T) {
	o := newAdminFixture(t)
	made := o.must(201, "root", "POST", "/integrated-account", `{"integration":"example","context":{"site":"a","api_key":"canary-9"}}`)
	o.must(200, "root", "PATCH", "/integrated-account/"+fmt.Sprint(made["id"]), `{"context":{"api_key":"canary-10"}}`)
	token := o.must(201, "root", "POST", "/api-token", `{"name":"n","role":"call"}`)
	o.secrets["new"] = fmt.Sprint(token["token"]) // do checks that no answer shows it
	audit := o.must(200, "root", "GET", "/audit", "")
	text, err := json.Marshal(audit)
	if err != nil || !strings.Contains(string(text), fmt.Sprint(token["id"])) || !strings.Contains(string(text), `"set_at"`) {
		t.Errorf("%s %v", text, err)
	}
}
