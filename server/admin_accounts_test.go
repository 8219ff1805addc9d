package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
)

func TestAccountLife(t *testing.T) {
	o := newAdminFixture(t)
	const id = "6F1C2A34-0000-4000-8000-00000000ABCD"
	path := "/integrated-account/" + strings.ToLower(id)
	created := o.must(201, "root", "POST", "/integrated-account", `{"id":"`+id+`","integration":"example","label":"Acme","tenant_id":"acme-7",
		"context":{"site":"acme","api_key":"canary-1"},"overrides":{"ticketing.users.update":{"response_mapping":"{ \"name\": \"x\" }"}}}`, "X-Request-Id", "req-1")
	want := map[string]any{
		"id": strings.ToLower(id), "environment": "default", "environment_id": o.environmentID("default"),
		"integration":                map[string]any{"id": "example", "name": "example", "label": "Example <i>&"},
		"environment_integration_id": nil, "environment_integration": nil,
		"context": map[string]any{"site": "acme", "api_key": "***"}, "label": "Acme", "tenant_id": "acme-7",
		"status": "active", "last_error": nil, "version": 1.0, "created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z",
		"credentials": []any{map[string]any{"name": "api_key", "set_at": "2026-03-01T12:00:00Z"}, map[string]any{"name": "site", "set_at": "2026-03-01T12:00:00Z"}},
		"overrides":   map[string]any{"ticketing.users.update": map[string]any{"response_mapping": `{ "name": "x" }`}},
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, o.must(200, "root", "GET", "/integrated-account/"+id, "")); diff != "" {
		t.Error(diff)
	}
	o.must(409, "root", "POST", "/integrated-account", `{"id":"`+strings.ToLower(id)+`","integration":"bare"}`)
	// The id of another environment's account is free: that it is taken there is not told.
	if other := o.must(201, "ops", "POST", "/integrated-account", `{"id":"`+id+`","integration":"bare"}`); other["environment"] != "live" {
		t.Errorf("made %v", other)
	}

	o.clock.advance(time.Minute)
	changed := o.must(200, "root", "PATCH", path, `{"version":1,"label":"","status":"disabled","context":{"api_key":"canary-2","region":"eu"},"overrides":{}}`, "X-Request-Id", "req-2")
	want["label"], want["status"], want["version"], want["updated_at"], want["overrides"] = "", "disabled", 2.0, "2026-03-01T12:01:00Z", map[string]any{}
	want["context"] = map[string]any{"site": "acme", "api_key": "***", "region": "eu"}
	want["credentials"] = []any{
		map[string]any{"name": "api_key", "set_at": "2026-03-01T12:01:00Z"},
		map[string]any{"name": "region", "set_at": "2026-03-01T12:01:00Z"},
		map[string]any{"name": "site", "set_at": "2026-03-01T12:00:00Z"},
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Error(diff)
	}
	if got := o.info(id).Context; got["api_key"] != "canary-2" || got["site"] != "acme" {
		t.Error("the context was not merged")
	}
	o.must(409, "root", "PATCH", path, `{"version":1,"label":"late"}`)
	o.must(409, "root", "PATCH", path+"?verify=true", `{"version":1,"label":"late"}`)
	if calls := o.takeCalls(); len(calls) > 0 {
		t.Errorf("a stale version was tried with the provider: %d calls", len(calls))
	}
	o.must(409, "root", "DELETE", path+"?version=1", "")
	if got := o.must(200, "root", "PATCH", path, `{"context":{"region":null},"status":"active"}`, "X-Request-Id", "req-3"); got["version"] != 3.0 || got["status"] != "active" {
		t.Error(got)
	}
	if _, there := o.info(id).Context["region"]; there {
		t.Error("null removed nothing")
	}
	deleted := o.must(200, "root", "DELETE", "/integrated-account/"+id+"?version=3", "", "X-Request-Id", "req-4")
	if diff := cmp.Diff(map[string]any{"id": strings.ToLower(id)}, deleted); diff != "" {
		t.Error(diff)
	}
	o.must(404, "root", "GET", path, "")
	o.must(404, "root", "PATCH", path, `{"label":"x"}`)
	o.must(404, "root", "DELETE", path, "")

	// Each change is in the audit log once, with actor and request; refused ones are not.
	audit := o.must(200, "root", "GET", "/audit?subject="+strings.ToLower(id), "")
	var got []string
	for _, e := range audit["result"].([]any) {
		e := e.(map[string]any)
		got = append(got, fmt.Sprint(e["action"], " ", e["actor"], " ", e["request_id"], " ", e["before"] != nil, " ", e["after"] != nil))
	}
	actions := []string{
		"integrated-account.delete admin req-4 true false", "integrated-account.update admin req-3 true true",
		"integrated-account.update admin req-2 true true", "integrated-account.create admin req-1 false true",
	}
	if diff := cmp.Diff(actions, got); diff != "" {
		t.Error(diff)
	}
	o.must(201, "ops", "POST", "/integrated-account", `{"integration":"bare"}`)
	if actors := results(o.must(200, "ops", "GET", "/audit", ""), "actor"); !slices.Contains(actors, "token ops ("+o.secrets["ops"][:12]+")") {
		t.Errorf("actors %v", actors)
	}
}

func TestAccountRefusals(t *testing.T) {
	o := newAdminFixture(t)
	mine := "/integrated-account/" + o.ids["default"]
	long, many := strings.Repeat("x", 201), strings.Builder{}
	for i := range 65 {
		fmt.Fprintf(&many, `,"f%d":1`, i)
	}
	for _, tt := range []struct {
		name, method, target, body string
		want                       []string
	}{
		{
			"all at once", "POST", "/integrated-account?verify=maybe&vrify=1",
			`{"id":"7","integration":"exampel","label":"` + long + `","tenant_id":"a\u0000b","contxt":{},"overrides":[]}`,
			[]string{"/contxt additional", "/id format", "/integration enum", "/label length", "/overrides type", "/tenant_id format", "?verify enum", "?vrify additional"},
		},
		{
			"credentials", "POST", "/integrated-account", `{"integration":"example","context":{"site":"evil.com/","api_ky":"canary","region":"mars"}}`,
			[]string{"/context/api_key required", "/context/api_ky additional", "/context/region enum", "/context/site format"},
		},
		{"nothing given", "POST", "/integrated-account", `{"integration":"example"}`, []string{"/context/api_key required", "/context/site required"}},
		{
			"control characters", "POST", "/integrated-account", `{"integration":"example","context":{"site":"a\nb","api_key":"canary\r\nX-Other: 1","region":"\u0000"}}`,
			[]string{"/context/api_key format", "/context/region format", "/context/site format"},
		},
		{
			"types", "POST", "/integrated-account", `{"integration":"example","context":{"site":7,"api_key":{"a":1},"region":null}}`,
			[]string{"/context/api_key type", "/context/region type", "/context/site type"},
		},
		{"hosts", "POST", "/integrated-account", `{"integration":"example","context":{"site":"169.254.169.254","api_key":"[::1]"}}`, []string{"/context/site format"}},
		{
			"a grant's token", "POST", "/integrated-account", `{"integration":"example","context":{"site":"a","access_token":"canary"}}`,
			[]string{"/context/access_token additional", "/context/api_key required"},
		},
		{"a base URL", "POST", "/integrated-account", `{"integration":"bare","base_url":"http://127.0.0.1","environment":"live"}`, []string{"/base_url additional", "/environment additional"}},
		{"too many fields", "POST", "/integrated-account", `{"integration":"bare","context":{"a":1` + many.String() + `}}`, nil},
		{"too much", "POST", "/integrated-account", `{"integration":"example","context":{"site":"a","api_key":"` + strings.Repeat("k", 65<<10) + `"}}`, []string{"/context limit"}},
		{"no verify call", "POST", "/integrated-account?verify=true", `{"integration":"bare"}`, []string{"?verify unsupported"}},
		{"no context at all", "POST", "/integrated-account", `{"integration":"example","context":"canary"}`, []string{"/context type"}},
		{"required removed", "PATCH", mine, `{"context":{"api_key":null}}`, []string{"/context/api_key required"}},
		{"required emptied", "PATCH", mine, `{"context":{"api_key":""}}`, []string{"/context/api_key required"}},
		{"nothing to change", "PATCH", mine, `{"version":1}`, []string{" empty"}},
		{"what does not change", "PATCH", mine, `{"integration":"bare","status":"needs_reauth","version":0}`, []string{"/integration additional", "/status enum", "/version range"}},
		{"null", "PATCH", mine, `{"label":null,"context":null,"overrides":null}`, []string{"/context type", "/label type", "/overrides type"}},
		{"life too long", "POST", mine + "/token", `{"expires_in":3601}`, []string{"/expires_in range"}},
		{"life too short", "POST", mine + "/token", `{"expires_in":0,"role":"admin"}`, []string{"/expires_in range", "/role additional"}},
		{"life no number", "POST", mine + "/token", `{"expires_in":"900"}`, []string{"/expires_in type"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answer := o.must(400, "root", tt.method, tt.target, tt.body)
			if tt.want == nil {
				if !slices.Contains(failures(answer), "/context length") {
					t.Error(failures(answer))
				}
				return
			}
			if diff := cmp.Diff(tt.want, failures(answer)); diff != "" {
				t.Errorf("%s\n%v", diff, answer)
			}
		})
	}
	for body, want := range map[string]string{
		`{"integration":"exampel"}`:                                                                `did you mean \"example\"?`,
		`{"integration":"example","context":{"site":"a","api_kee":"x"}}`:                           `did you mean \"api_key\"?`,
		`{"integration":"bare","lable":"x"}`:                                                       `did you mean \"label\"?`,
		`{"integration":"example","overrides":{"ticketing.user.update":{"replace":true}}}`:         `did you mean \"ticketing.users.update\"?`,
		`{"integration":"example","overrides":{"ticketing.users.update":{"response_maping":"1"}}}`: `did you mean \"response_mapping\"?`,
		`{"integration":"example","context":{"region":"mars"}}`:                                    `"allowed":["eu","us"]`,
	} {
		if w := o.do("root", "POST", "/integrated-account", body); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: no %s in %s", body, want, w.Body)
		}
	}
	if got := o.must(200, "root", "GET", "/integrated-account", ""); got["result_count"] != 1.0 {
		t.Errorf("something refused was stored: %v", got)
	}
	if got := o.must(200, "root", "GET", mine, ""); got["version"] != 1.0 {
		t.Errorf("something refused was changed: %v", got)
	}
}

func TestAccountOverrides(t *testing.T) {
	o := newAdminFixture(t)
	create := func(overrides string) string {
		return `{"integration":"example","context":{"site":"a","api_key":"canary-1"},"overrides":` + overrides + `}`
	}
	answer := o.must(400, "root", "POST", "/integrated-account", create(`{
		"ticketing.users.update": {"response_mapping": "{\n  \"name\": $upercase(\"x\") }", "query_mapping": "{ \"a\": 1,\n\"k\": context.api_key }",
			"request_body_mapping": "{", "replace": true},
		"ticketing.users.list": {"query_mapping": "{}"}, "crm/x.y": {}, "ticketing.users.delete": {"replace": 1}}`))
	type place struct {
		Pointer      string
		Line, Column any
	}
	var got []place
	for _, f := range answer["details"].(map[string]any)["failures"].([]any) {
		f := f.(map[string]any)
		got = append(got, place{fmt.Sprint(f["pointer"], " ", f["code"]), f["line"], f["column"]})
	}
	slices.SortFunc(got, func(a, b place) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	const update = "/overrides/ticketing.users.update/"
	want := []place{
		{"/overrides/crm~1x.y additional", nil, nil},
		{"/overrides/ticketing.users.delete additional", nil, nil},
		{"/overrides/ticketing.users.delete/replace type", nil, nil},
		{"/overrides/ticketing.users.list additional", nil, nil},
		{update + "query_mapping mapping", 2.0, 14.0},
		{update + "request_body_mapping mapping", 1.0, 1.0},
		{update + "response_mapping mapping", 2.0, 11.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%v", diff, answer)
	}
	if got := failures(o.must(400, "root", "POST", "/integrated-account", create(`{"ticketing.users.update":{"replace":true}}`))); !slices.Equal(got, []string{"/overrides/ticketing.users.update empty"}) {
		t.Error(got)
	}
	// An expression that does not end is refused when it is saved.
	if got := failures(o.must(400, "root", "POST", "/integrated-account", create(`{"ticketing.users.update":{"response_mapping":"( $f := function($n) { $f($n + 1) }; {\"id\": $f(1)} )"}}`))); !slices.Equal(got, []string{update + "response_mapping mapping"}) {
		t.Error(got)
	}
	// Findings that are not errors are stored and returned as warnings.
	made := o.must(201, "root", "POST", "/integrated-account", create(`{"ticketing.users.update":{"request_body_mapping":"{ \"last\": body.last_name }"}}`))
	warnings, _ := made["warnings"].([]any)
	if len(warnings) == 0 || !strings.Contains(fmt.Sprint(warnings), "mapping") {
		t.Errorf("no warning: %v", made)
	}
	mine := "/integrated-account/" + fmt.Sprint(made["id"])
	if got := failures(o.must(400, "root", "PATCH", mine, `{"label":"x","overrides":{"ticketing.users.update":{"response_mapping":"("}}}`)); !slices.Equal(got, []string{update + "response_mapping mapping"}) {
		t.Error(got)
	}
	if got := o.must(200, "root", "GET", mine, ""); got["version"] != 1.0 || got["label"] != "" {
		t.Errorf("a wrong override was stored: %v", got)
	}
	o.must(200, "root", "PATCH", mine, `{"overrides":{"ticketing.users.update":{"response_mapping":"{ \"name\": \"Over\" }"}}}`)
	w := o.do("root", "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+fmt.Sprint(made["id"]), `{"first_name":"Ada"}`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"name":"Over"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A secret that is too short to be masked everywhere is stored with a warning.
func TestAccountShortSecret(t *testing.T) {
	o := newAdminFixture(t)
	made := o.must(201, "ops", "POST", "/integrated-account", `{"integration":"example","context":{"site":"a","api_key":"canary1"}}`)
	want := []any{map[string]any{
		"pointer": "/context/api_key", "code": "length",
		"message": "context/api_key is shorter than 8 characters: it is masked only where it is a whole value",
	}}
	if diff := cmp.Diff(want, made["warnings"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	mine := "/integrated-account/" + fmt.Sprint(made["id"])
	if diff := cmp.Diff(want, o.must(200, "ops", "PATCH", mine, `{"context":{"api_key":"canary2"}}`)["warnings"]); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, change := range []string{`{"label":"x"}`, `{"context":{"api_key":"canary-3"}}`} {
		if got := o.must(200, "ops", "PATCH", mine, change)["warnings"]; got != nil {
			t.Errorf("%s: %v", change, got)
		}
	}
}

// An override of an account is compiled on top of those of its environment, as in calls.
func TestAccountOverridesOverEnvironments(t *testing.T) {
	o := newAdminFixture(t)
	const body = `{"integration":"example","context":{"site":"a","api_key":"canary-1"},"overrides":{"ticketing.users.update":{"response_mapping":"{ \"name\": \"x\" }"}}}`
	lay := func(mapping string) {
		t.Helper()
		below := accounts.Overrides{"example/ticketing.users.update": {RequestBodyMapping: mapping}}
		if _, err := o.db.UpdateEnvironment(t.Context(), accounts.Actor{Name: "test"}, live, accounts.EnvironmentChange{Overrides: &below}); err != nil {
			t.Fatal(err)
		}
	}
	lay(`{ "last": body.last_name }`) // with a warning when it was saved
	if made := o.must(201, "ops", "POST", "/integrated-account", body); made["warnings"] != nil {
		t.Error(made["warnings"])
	}
	lay("(") // as if saved by another version of Portolan
	for method, target := range map[string]string{"POST": "/integrated-account", "PATCH": "/integrated-account/" + o.ids[live]} {
		sent := body
		if method == "PATCH" {
			sent = `{"overrides":{"ticketing.users.update":{"response_mapping":"{ \"name\": \"x\" }"}}}`
		}
		w := o.do("ops", method, target, sent)
		if got := failures(decode(t, w)); !slices.Equal(got, []string{"/overrides/ticketing.users.update mapping"}) || !strings.Contains(w.Body.String(), "environment overrides/request_body_mapping:1:1") {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
}

func TestVerify(t *testing.T) {
	o := newAdminFixture(t)
	create := func(key string) string {
		return `{"integration":"example","context":{"site":"new","api_key":"` + key + `"}}`
	}
	refusing := func(status int) func(*engine.Call) (*engine.Reply, error) {
		return func(c *engine.Call) (*engine.Reply, error) {
			text := fmt.Sprint(c.Target(), c.Header)
			return answers(status, fmt.Sprintf(`{"error":{"message":%q}}`, text))(c)
		}
	}
	made := o.must(201, "root", "POST", "/integrated-account?verify=true", create("canary-1"))
	if diff := cmp.Diff(map[string]any{"status": 200.0}, made["verification"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"GET https://new.example.com/api/me Key canary-1"}, o.takeCalls()); diff != "" {
		t.Error(diff)
	}
	o.must(201, "root", "POST", "/integrated-account?verify=false", create("canary-1"))
	if calls := o.takeCalls(); len(calls) > 0 {
		t.Error(calls)
	}
	mine := "/integrated-account/" + fmt.Sprint(made["id"])
	if got := o.must(200, "root", "PATCH", mine+"?verify=true", `{"context":{"api_key":"canary-3"}}`); fmt.Sprint(got["verification"]) != "map[status:200]" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"GET https://new.example.com/api/me Key canary-3"}, o.takeCalls()); diff != "" { // with the old site and the new key
		t.Error(diff)
	}
	before := o.must(200, "root", "GET", "/integrated-account", "")
	for name, tt := range map[string]struct {
		provider func(*engine.Call) (*engine.Reply, error)
		status   int
		remote   any
	}{
		"refused": {refusing(401), 401, true}, "forbidden": {refusing(403), 403, true}, "busy": {refusing(429), 429, true}, "broken": {refusing(500), 500, true},
		"no answer": {func(*engine.Call) (*engine.Reply, error) {
			return nil, &engine.Error{Kind: engine.KindUpstream, Err: errors.New("refused with canary-4")}
		}, 502, nil},
		"late": {func(*engine.Call) (*engine.Reply, error) {
			return nil, &engine.Error{Kind: engine.KindTimeout, Err: errors.New("late")}
		}, 504, nil},
	} {
		o.mu.Lock()
		o.provider = tt.provider
		o.mu.Unlock()
		for method, target := range map[string]string{"POST": "/integrated-account", "PATCH": mine} {
			body := create("canary-4")
			if method == "PATCH" {
				body = `{"label":"other","context":{"api_key":"canary-4"}}`
			}
			answer := o.must(tt.status, "root", method, target+"?verify=true", body)
			if answer["truto_is_remote_error"] != tt.remote {
				t.Errorf("%s %s: %v", name, method, answer)
			}
		}
	}
	if diff := cmp.Diff(before, o.must(200, "root", "GET", "/integrated-account", "")); diff != "" {
		t.Errorf("what was refused was stored: %s", diff)
	}
	if w := ask(o.Operations(), "GET", "/metrics", ""); !strings.Contains(w.Body.String(), `operation="verify"`) {
		t.Error("no metric of verifying")
	}
}

// Credentials are verified in the name of an account only if it is stored: the id of a new account may
// be that of another one.
func TestVerifyNamesAccount(t *testing.T) {
	o := newAdminFixture(t)
	var named []string
	o.provider = func(c *engine.Call) (*engine.Reply, error) {
		named = append(named, c.Environment+"/"+c.Account)
		return answers(200, `{}`)(c)
	}
	const id = "00000000-0000-4000-8000-00000000abcd"
	const create = `{"id":"` + id + `","integration":"example","context":{"site":"new","api_key":"canary-1"}}`
	o.must(201, "root", "POST", "/integrated-account?verify=true", create)
	o.must(409, "root", "POST", "/integrated-account?verify=true", create)
	o.must(200, "root", "PATCH", "/integrated-account/"+id+"?verify=true", `{"label":"other"}`)
	if diff := cmp.Diff([]string{"/", "/", "default/" + id}, named); diff != "" {
		t.Error(diff)
	}
}

// New credentials are verified with the sandbox if it serves the provider.
func TestVerifyWithSandboxURL(t *testing.T) {
	o := newAdminFixture(t, gateway.WithBaseURLs(map[string]string{"example": "http://127.0.0.1:4711/example/api"}))
	o.must(201, "root", "POST", "/integrated-account?verify=true", `{"integration":"example","context":{"site":"new","api_key":"canary-1"}}`)
	if diff := cmp.Diff([]string{"GET http://127.0.0.1:4711/example/api/me Key canary-1"}, o.takeCalls()); diff != "" {
		t.Error(diff)
	}
}

// An expired grant is renewed before the account is verified.
func TestVerifyWithGrant(t *testing.T) {
	w := newFixture(t, true)
	id := w.account(nil).ID
	w.clock.advance(2 * time.Hour)
	r := ask(w, "PATCH", "/integrated-account/"+id+"?verify=true", `{"context":{"region":"eu"}}`, "Authorization", "Bearer "+adminToken)
	if r.Code != http.StatusOK || strings.Contains(r.Body.String(), "canary") {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	if diff := cmp.Diff([]string{"GET https://acme.example.com/api/me Bearer access-canary-2"}, w.takeCalls()); diff != "" {
		t.Error(diff)
	}
	if a := w.info(id); a.Context["region"] != "eu" || a.Grant.AccessToken != accounts.Secret("access-canary-2") {
		t.Error("the grant or the region was not stored")
	}
}

// Stored credentials are not sent to an address that an administrator chooses later.
func TestPatchMovesNoSecret(t *testing.T) {
	o := newAdminFixture(t)
	keyed, _ := o.must(201, "root", "POST", "/integrated-account", `{"integration":"example","context":{"site":"acme","api_key":"canary-1"}}`)["id"].(string)
	loose, _ := o.must(201, "root", "POST", "/integrated-account", `{"integration":"loose","context":{"site":"acme","api_key":"canary-1"}}`)["id"].(string)
	granted := o.account(nil).ID
	for _, id := range []string{keyed, granted} {
		e := o.must(400, "root", "PATCH", "/integrated-account/"+id+"?verify=true", `{"context":{"site":"evil"}}`)
		if got, want := e["message"], "context/api_key is missing: the stored credentials are not sent to the new address"; got != want {
			t.Errorf("%s: %v", id, got)
		}
		if o.info(id).Context["site"] != "acme" {
			t.Error("it is stored")
		}
		o.must(200, "root", "PATCH", "/integrated-account/"+id, `{"context":{"site":"acme","region":"eu"}}`)
	}
	if a := o.info(granted); a.Grant == nil || a.Grant.AccessToken == "" {
		t.Error("the grant is taken away, although the address is the same")
	}
	o.must(200, "root", "PATCH", "/integrated-account/"+loose, `{"context":{"site":"evil"}}`)
	if got := o.info(loose).Context; got["site"] != "evil" || got["api_key"] != nil {
		t.Errorf("an optional key is kept: %v", got["api_key"] != nil)
	}
	o.must(200, "root", "PATCH", "/integrated-account/"+granted+"?verify=true", `{"context":{"site":"other","api_key":"canary-2"}}`)
	if a := o.info(granted); a.Grant != nil && a.Grant.AccessToken != "" || a.Context["access_token"] != nil && a.Context["access_token"] != "" {
		t.Error("the grant is kept")
	}
	if diff := cmp.Diff([]string{"GET https://other.example.com/api/me Key canary-2"}, o.takeCalls()); diff != "" {
		t.Error(diff)
	}
}
