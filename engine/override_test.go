package engine_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/jsonata"
)

const overriddenIntegration = `format: portolan/integration/v1
name: acme
base_url: https://{site}.example.com/v1
credentials:
  - {name: site, required: true, pattern: '[a-z]+'}
  - {name: user_id, label: The caller}
  - {name: region, default: eu}
  - {name: api_key, secret: true, required: true}
authorization:
  headers: {X-Key: context.api_key}
  query: {user_id: context.user_id}
oauth2: {authorize_url: https://example.com/authorize, token_url: https://example.com/token, replaces: [api_key]}
resources:
  people:
    update: {method: PUT, path: "/people/{id}"}
`

const overriddenMapping = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: people.update
      request_body_schema: {properties: {first_name: {}, last_name: {}}}
      query_mapping: '{ "fields": { "a": 1, "b": 2 } }'
      request_body_mapping: |
        { "person": { "first": body.first_name, "last": body.last_name, "tags": ["base"] } }
      response_mapping: |
        response.{ "id": $string(id), "first_name": first, "roles": [{ "id": "base" }] }
`

func overriddenCatalog(tb testing.TB, limits jsonata.Limits) (*engine.Catalog, *engine.Plan) {
	tb.Helper()
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, found := engine.Load(jsonata.NewLanguage(time.Now, rand.Reader, limits), engine.Layer{FS: files})
	c, more := engine.Compile(docs, unifiedModels(tb), nil)
	for _, d := range append(found, more...) {
		tb.Error(d)
	}
	return c, c.Plan("acme", usersUpdate)
}

func account() engine.Context {
	return engine.Context{"site": "acme", "user_id": "u9", "api_key": "canary-key", "access_token": "canary-token", "extra": "canary-extra"}
}

func layer(name, body, query, response string, replace bool) engine.OverrideLayer {
	return engine.OverrideLayer{Name: name, Override: engine.Override{
		RequestBodyMapping: body, QueryMapping: query, ResponseMapping: response, Replace: replace,
	}}
}

// carriedOut is what a call of plan sends and what its answer becomes.
func carriedOut(tb testing.TB, plan *engine.Plan, req *engine.Request, answer string) (target, body string, record map[string]any, err error) {
	tb.Helper()
	doer := &verbatim{reply: &engine.Reply{Status: 200, Body: []byte(answer), Header: http.Header{"Etag": {"v1"}}}}
	result, err := engine.New(doer, time.Now).Do(tb.Context(), plan, req, engine.Full)
	if result.Main != nil && result.Main.Call != nil {
		target, body = result.Main.Call.Target(), string(result.Main.Call.Body)
	}
	if result.Output != nil {
		record = result.Output.Records[0].Fields
	}
	return target, body, record, err
}

func TestOverride(t *testing.T) {
	const (
		baseTarget = "https://acme.example.com/v1/people/7?fields%5Ba%5D=1&fields%5Bb%5D=2&user_id=u9"
		baseBody   = `{"person":{"first":"Ada","tags":["base"]}}`
	)
	record := map[string]any{"id": "1", "first_name": "Ada", "roles": []any{map[string]any{"id": "base"}}}
	for _, c := range []struct {
		name         string
		layers       []engine.OverrideLayer
		target, body string
		record       map[string]any
	}{
		{"none", nil, baseTarget, baseBody, record},
		{"empty ones", []engine.OverrideLayer{layer("a", "", "", "", true), {}}, baseTarget, baseBody, record},
		{
			"objects are merged deeply, anything else is replaced",
			[]engine.OverrideLayer{layer("a", `{ "person": { "last": "from " & context.site, "tags": ["mine"] }, "note": null }`, `{ "fields": { "b": 3, "c": id } }`, `{ "roles": [], "nickname": response.nick }`, false)},
			"https://acme.example.com/v1/people/7?fields%5Ba%5D=1&fields%5Bb%5D=3&fields%5Bc%5D=7&user_id=u9",
			`{"note":null,"person":{"first":"Ada","last":"from acme","tags":["mine"]}}`,
			map[string]any{"id": "1", "first_name": "Ada", "roles": []any{}, "nickname": "Countess"},
		},
		{
			"null in a response removes nothing",
			[]engine.OverrideLayer{layer("a", "", "", `{ "first_name": null, "etag": headers.etag, "name": response.missing }`, false)},
			baseTarget, baseBody,
			map[string]any{"id": "1", "first_name": "Ada", "roles": []any{map[string]any{"id": "base"}}, "etag": "v1"},
		},
		{
			"the second layer lies over the first",
			[]engine.OverrideLayer{layer("environment", `{ "a": 1, "b": 1 }`, "", `{ "x": 1, "y": 1 }`, false), layer("account", `{ "b": 2 }`, "", `{ "y": 2 }`, false)},
			baseTarget, `{"a":1,"b":2,"person":{"first":"Ada","tags":["base"]}}`,
			map[string]any{"id": "1", "first_name": "Ada", "roles": []any{map[string]any{"id": "base"}}, "x": 1.0, "y": 2.0},
		},
		{
			"replace takes the place of all below, where it says anything",
			[]engine.OverrideLayer{layer("environment", `{ "a": 1 }`, `{ "q": 1 }`, `{ "x": 1 }`, false), layer("account", `{ "first": body.first_name }`, "", `{ "y": 2 }`, true)},
			"https://acme.example.com/v1/people/7?fields%5Ba%5D=1&fields%5Bb%5D=2&q=1&user_id=u9", `{"first":"Ada"}`,
			map[string]any{"id": "7", "y": 2.0},
		},
		{
			"what gives nothing changes nothing",
			[]engine.OverrideLayer{layer("a", "body.missing", "null", "response.missing", false)},
			baseTarget, baseBody, record,
		},
		{
			"a record without id is completed",
			[]engine.OverrideLayer{layer("a", "", "", `{ "id": "" }`, false)},
			baseTarget, baseBody,
			map[string]any{"id": "7", "first_name": "Ada", "roles": []any{map[string]any{"id": "base"}}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			catalog, base := overriddenCatalog(t, jsonata.Limits{})
			plan, found := catalog.Override("", base, c.layers...)
			if found.Failed() {
				t.Fatal(found)
			}
			req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
			target, body, record, err := carriedOut(t, plan, req, `{"id":1,"first":"Ada","nick":"Countess"}`)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{c.target, c.body}, []string{target, body}); diff != "" {
				t.Errorf("call differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.record, record); diff != "" {
				t.Errorf("record differs (-want +got):\n%s", diff)
			}
			if plan.Base() != base || base.Base() != base || len(c.layers) == 0 && plan != base {
				t.Error("the base is not the base")
			}
			againTarget, againBody, _, err := carriedOut(t, base, req, `{}`)
			if diff := cmp.Diff([]any{baseTarget, baseBody, nil}, []any{againTarget, againBody, err}); diff != "" {
				t.Errorf("the base was changed (-want +got):\n%s", diff)
			}
		})
	}
}

// Steps before and after belong to the mapping.
func TestOverrideLeavesStepsAlone(t *testing.T) {
	catalog, base := stepsCatalog(t)
	plan, found := catalog.Override("", base, layer("a", `{ "name": { "kind": "x" } }`, `{ "mine": 1 }`, `{ "kind": $keys(after) }`, true))
	if found.Failed() {
		t.Fatal(found)
	}
	doer := &scripted{answers: map[string]*engine.Reply{
		"GET /find": reply(200, `{"number":42}`), "PUT /people/42": reply(200, `{}`),
		"POST /people/u1/notes": reply(201, `{}`), "GET /people/u1": reply(200, `{"id":1}`),
	}}
	req := &engine.Request{ID: "u1", Body: map[string]any{"last_name": "Quill"}, Context: engine.Context{"site": "site", "key": "k1"}}
	result, err := engine.New(doer, time.Now).Do(t.Context(), plan, req, engine.Full)
	if err != nil {
		t.Fatal(err)
	}
	const auth = "signed=SITE X-Key=k1 X-Region=eu"
	want := []string{
		"GET https://site.example.com/v1/find?exact=yes&page%5Bsize%5D=1&q=u1&" + auth,
		"PUT https://site.example.com/v1/people/42?mine=1&signed=SITE Content-Type=application/x-www-form-urlencoded X-Mode=full X-Key=k1 X-Region=eu name%5Bkind%5D=x",
		"POST https://site.example.com/v1/people/u1/notes?signed=SITE Content-Type=application/json X-Key=k1 X-Region=eu " + `{"text":"Quill"}`,
		"GET https://site.example.com/v1/people/u1?" + auth,
	}
	if diff := cmp.Diff(want, doer.calls); diff != "" {
		t.Errorf("calls differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"id": "u1", "kind": []any{"note", "read"}}, result.Output.Records[0].Fields); diff != "" {
		t.Errorf("record differs (-want +got):\n%s", diff)
	}
}

func TestRemoteDataWinsOverOverrides(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	plan, _ := catalog.Override("", base, layer("a", `{ "note": "override" }`, `{ "q": "override" }`, "", false))
	req := &engine.Request{
		ID: "7", Context: account(), RemoteQuery: []engine.Param{{Name: "q", Value: "caller"}},
		Body: map[string]any{engine.RemoteData: map[string]any{"note": "caller"}},
	}
	target, body, _, err := carriedOut(t, plan, req, "{}")
	if err != nil || !strings.Contains(target, "q=caller") || !strings.Contains(body, `"note":"caller"`) || strings.Contains(target+body, "override") {
		t.Errorf("sent %s %s, %v", target, body, err)
	}
}

func TestOverrideVersion(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	version := func(layers ...engine.OverrideLayer) string {
		plan, found := catalog.Override("", base, layers...)
		if found.Failed() {
			t.Fatal(found)
		}
		return plan.Version()
	}
	one := version(layer("a", `{ "a": 1 }`, "", "", false))
	if !strings.HasPrefix(one, "acme/ticketing.users.update@") || len(one) != len(base.Version()) {
		t.Errorf("version %q", one)
	}
	if same := version(layer("other name", "{\n  \"a\" : 1 /* one */ }", "", "", false)); same != one {
		t.Error("layout changes the version")
	}
	seen := map[string]bool{base.Version(): true}
	for i, v := range []string{
		one, version(layer("a", `{ "a": 2 }`, "", "", false)), version(layer("a", `{ "a": 1 }`, "", "", true)),
		version(layer("a", "", `{ "a": 1 }`, "", false)), version(layer("a", "", "", `{ "a": 1 }`, false)),
		version(layer("a", `{ "a": 1 }`, "", "", false), layer("b", `{ "b": 1 }`, "", "", false)),
		version(layer("b", `{ "b": 1 }`, "", "", false), layer("a", `{ "a": 1 }`, "", "", false)),
		version(layer("a", `{ "a": "1 " }`, "", "", false)), version(layer("a", `{ "a": "1" }`, "", "", false)),
	} {
		if seen[v] {
			t.Errorf("content %d has the version of another", i)
		}
		seen[v] = true
	}
}

func TestOverrideSupport(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	plan, found := catalog.Override("", base, layer("a", `{ "given": body.first_name, "mail": body.emails[0].email, "desk": body.custom_fields.desk }`, "", "", true))
	if found.Failed() {
		t.Fatal(found)
	}
	body := map[string]any{"custom_fields": map[string]any{"desk": "4b"}, "first_name": "Ada", "last_name": "Quill", "emails": []any{map[string]any{"email": "ada@example.com"}}}
	want := []engine.Receipt{
		{Pointer: "/custom_fields", Outcome: engine.Applied},
		{Pointer: "/emails/0/email", Outcome: engine.Applied},
		{Pointer: "/first_name", Outcome: engine.Applied},
		{Pointer: "/last_name", Outcome: engine.Unsupported},
	}
	if diff := cmp.Diff(want, plan.Receipts(&engine.Request{Body: body})); diff != "" {
		t.Errorf("receipts differ (-want +got):\n%s", diff)
	}
	if got := plan.Support().Pointer("given", body); got != "/first_name" {
		t.Errorf("the provider's field given is %q", got)
	}
	if base.Support().Names("emails") || !base.Support().Names("last_name") {
		t.Error("the base has another support than before")
	}
}

// verbatim answers every call alike.
type verbatim struct{ reply *engine.Reply }

func TestOverrideSeesNoSecret(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	for _, peek := range []string{
		`$string($$)`, `$string($)`, `$string(context)`, `$lookup(context, "api_key")`, `$lookup(context, "access_" & "token")`, `$string(context.*)`, `$join($keys(context), ",")`,
		`$string(**)`, `$string($spread(context))`, `(function($c) { $string($c) })(context)`, `$string($merge([context, {}]))`,
		"$string($$.`context`[0])", `$sign("x", $lookup(context, "api_key"))`, `$string($each($$, function($v, $k) { $v }))`,
	} {
		for _, l := range []engine.OverrideLayer{
			layer("a", `{ "peek": `+peek+` }`, "", "", false), layer("a", "", `{ "peek": `+peek+` }`, "", false), layer("a", "", "", `{ "peek": `+peek+` }`, false),
		} {
			plan, found := catalog.Override("", base, l)
			if found.Failed() {
				t.Fatalf("%s: %v", peek, found)
			}
			req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
			target, body, record, err := carriedOut(t, plan, req, `{"id":1}`)
			if all := fmt.Sprint(target, body, record, err); strings.Contains(all, "canary") || strings.Contains(all, "_token") {
				t.Errorf("%s sees a secret: %s", peek, all)
			}
			if err == nil && strings.Contains(peek, "context)") && !strings.Contains(fmt.Sprint(target, body, record), "region") {
				t.Errorf("%s does not see what is no secret: %s %s %v", peek, target, body, record)
			}
		}
	}
}

func TestOverrideCannotAuthorize(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	// Neither literally nor computed, deep or in another spelling.
	plan, found := catalog.Override("", base, layer("a", "", `$merge([{ "ok": 1 }, { "user" & "_id": "evil" }, { "USER_" & "ID": "evil" }, { "user" & "_id[0]": "evil" }, { "user" & "_id": { "x": "evil" } }])`, "", true))
	if found.Failed() {
		t.Fatal(found)
	}
	for _, user := range []any{"u9", nil} {
		context := account()
		context["user_id"] = user
		req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: context}
		target, _, _, err := carriedOut(t, plan, req, `{"id":1}`)
		if err != nil || strings.Contains(target, "evil") || !strings.Contains(target, "ok=1") || strings.Contains(target, "user_id=u9") != (user != nil) {
			t.Errorf("with user %v: %s, %v", user, target, err)
		}
	}
}

func (v *verbatim) Do(context.Context, *engine.Call) (*engine.Reply, error) { return v.reply, nil }

func BenchmarkOverride(b *testing.B) {
	catalog, base := overriddenCatalog(b, jsonata.Limits{EvalTimeout: 5 * time.Second})
	for name, layers := range map[string][]engine.OverrideLayer{
		"none": nil,
		"one":  {layer("account", `{ "person": { "kind": body.last_name } }`, "", `{ "nickname": response.nick, "site": context.site }`, false)},
	} {
		b.Run(name, func(b *testing.B) {
			req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada", "last_name": "Quill"}, Context: account()}
			plan, _ := catalog.Override("", base, layers...)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := carriedOut(b, plan, req, `{"id":1,"first":"Ada","nick":"Countess"}`); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A parameter that authenticates is known in whatever spelling a provider may accept.
func TestAuthorizes(t *testing.T) {
	_, plan := stepsCatalog(t)
	for name, want := range map[string]bool{
		"signed": true, "SIGNED": true, "signed[]": true, "signed[a][b]": true, "[signed]": true, "[[signed]]": true, "]signed": true,
		"sig ned": true, "signed\x00": true, "sig.ned": true, "s[igned": true, "\u017figned": true, // the long s
		"sign": false, "signed2": false, "a[signed]": false, "": false, "[]": false,
	} {
		if got := plan.Authorizes(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
