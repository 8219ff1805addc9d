package engine_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

// authorized builds a call of an integration with authorization, and an endpoint with headers.
// Both are expressions by name.
func authorized(t *testing.T, credentials, more string, authorization map[string]map[string]string, headers map[string]string, account engine.Context) (*engine.Call, error) {
	t.Helper()
	maps.DeleteFunc(authorization, func(_ string, entries map[string]string) bool { return entries == nil })
	quoted, err := json.Marshal(authorization)
	if err != nil {
		t.Fatal(err)
	}
	if headers == nil {
		headers = map[string]string{}
	}
	endpoint, err := json.Marshal(map[string]any{"method": "PUT", "path": "/people/{id}", "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: acme\nbase_url: https://api.example.com\ncredentials: " + credentials +
			"\nauthorization: " + string(quoted) + "\nresources: {people: {update: " + string(endpoint) + "}}\n" + more)},
		"acme/ticketing.yaml": {Data: []byte("format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: people.update\n" +
			"      request_body_schema: {properties: {first_name: {}}}\n      request_body_mapping: '{ \"name\": body.first_name }'\n")},
	}})
	catalog, probed := engine.Compile(docs, unifiedModels(t), nil)
	for _, d := range append(found, probed...) {
		t.Error(d)
	}
	return catalog.Plan("acme", usersUpdate).Build(t.Context(), &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: account}, nil)
}

// What may hold a secret is masked, however an expression comes by it.
func TestSecretHeadersAreMasked(t *testing.T) {
	for expression, want := range map[string]string{
		`context.region`:                        "eu",
		`$.context.region & "-1"`:               "eu-1",
		`url`:                                   "https://api.example.com/people/u1",
		`context.key`:                           "***",
		`$$."context".key`:                      "***",
		`$string(context.region = 1)`:           "false",
		`$string(context)`:                      "***",
		`$string($)`:                            "***",
		`*.region`:                              "***",
		`$lookup(context, "ke" & "y")`:          "***",
		`$map("x", function() { context.key })`: "***",
	} {
		call, err := authorized(t, "[{name: key, secret: true}, {name: region}]", "", map[string]map[string]string{}, map[string]string{"X-Any": expression},
			engine.Context{"key": "canary", "region": "eu"})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		shown := map[string]string{}
		for _, p := range call.Header {
			shown[p.Name] = p.Shown()
		}
		if diff := cmp.Diff(map[string]string{"Content-Type": "application/json", "X-Any": want}, shown); diff != "" {
			t.Errorf("%s (-want +got):\n%s", expression, diff)
		}
	}
}

// An account that cannot authenticate its call makes none.
func TestNoCallWithoutAuthorization(t *testing.T) {
	type entries = map[string]string
	const (
		key    = "[{name: key, secret: true, required: true}, {name: region}, {name: mode}]"
		public = "[{name: key, secret: true}, {name: region}]"
		user   = "[{name: key, secret: true, required: true}, {name: user, required: true}, {name: region}]"

		notConnected = "the account is not connected: it has no access token"
		oauthOnly    = "oauth2: {authorize_url: https://example.com/a, token_url: https://example.com/t}\n"
		oauth        = "oauth2: {authorize_url: https://example.com/a, token_url: https://example.com/t, replaces: [key]}\n"
	)
	withKey, granted := engine.Context{"key": "k1"}, engine.Context{"access_token": "t1"}
	for _, c := range []struct {
		name, credentials, more string
		header, query           entries
		account                 engine.Context
		want                    string
	}{
		{"an optional setting is left out", key, "", entries{"X-Key": "context.key", "X-Region": "context.region"}, nil, withKey, "X-Key=k1"},
		{"a condition leaves the required credential out", key, "", entries{"X-Key": `context.mode = "b" ? context.key`}, nil, withKey, `X-Key of the integration's authorization has no value`},
		{"a condition leaves the required credential out of the query", key, "", nil, entries{"key": `context.region ? context.key`}, withKey, `key of the integration's authorization has no value`},
		{"the required credential comes to empty text", key, "", entries{"X-Key": `$substringAfter(context.key, "k1")`}, nil, withKey, `X-Key of the integration's authorization has no value`},
		{"no credential is required", public, "", entries{"X-Key": "context.key"}, nil, engine.Context{}, ""},
		{"one header for both ways, by key", key, oauth, entries{"X-Key": `context.access_token ? context.access_token : context.key`}, nil, withKey, "X-Key=k1"},
		{"one header for both ways, by consent", key, oauth, entries{"X-Key": `context.access_token ? context.access_token : context.key`}, nil, granted, "X-Key=t1"},
		{"a header for each way, by key", key, oauth, entries{"X-Key": "context.key", "X-Token": "context.access_token"}, nil, withKey, "X-Key=k1"},
		{"a header for each way, by consent", key, oauth, entries{"X-Key": "context.key", "X-Token": "context.access_token"}, nil, granted, "X-Token=t1"},
		{"either header, by consent", key, oauth, entries{"X-Key": "$not($exists(context.access_token)) ? context.key", "X-Token": "context.access_token"}, nil, granted, "X-Token=t1"},
		{"a header and a parameter, by consent", key, oauth, entries{"X-Token": "context.access_token"}, entries{"key": "context.key"}, granted, "X-Token=t1"},
		{"consent that nothing reads", key, oauth, entries{"X-Key": "context.key"}, nil, granted, `credential "key" is missing`},
		{"consent that nothing reads, with a constant before", key, oauth, entries{"X-Key": `"Bearer " & context.key`}, nil, granted, `credential "key" is missing`},
		{"consent that comes to nothing", public, oauth, entries{"X-Token": "context.region ? context.access_token"}, nil, granted, `X-Token of the integration's authorization has no value`},
		{"no consent, and nothing in its place", public, oauth, entries{"X-Token": "context.access_token"}, nil, engine.Context{}, notConnected},
		{"no consent, with a constant before", "[]", oauthOnly, entries{"X-Token": `"Bearer " & context.access_token`}, nil, engine.Context{}, notConnected},
		{"a blank token", "[]", oauthOnly, entries{"X-Token": `"Bearer " & context.access_token`}, nil, engine.Context{"access_token": " "}, notConnected},
		{"no consent, and a key that may stand in its place", public, oauth, entries{"X-Token": "context.access_token", "X-Key": "context.key"}, nil, withKey, "X-Key=k1"},
		{"a blank key", key, "", entries{"X-Key": `"Bearer " & context.key`}, nil, engine.Context{"key": " \u00a0"}, `credential "key" is missing`},
		{"one of two required credentials", user, "", entries{"X-User": `context.user & ":" & context.key`}, nil, withKey, `credential "user" is missing`},
		{"a required setting with an absent optional key", "[{name: user, required: true}, {name: key, secret: true}]", "", entries{"X-User": `context.user & ":" & context.key`}, nil, engine.Context{"user": "u1"}, "X-User=u1:"},
		{"a required setting is left out beside a good key", user, "", entries{"X-Key": "context.key", "X-User": "context.region ? context.user"}, nil, engine.Context{"key": "k1", "user": "u1"}, `X-User of the integration's authorization has no value`},
	} {
		t.Run(c.name, func(t *testing.T) {
			call, err := authorized(t, c.credentials, c.more, map[string]map[string]string{"headers": c.header, "query": c.query}, nil, c.account)
			var got []string
			if failed, ok := errors.AsType[*engine.Error](err); ok && failed.Kind == engine.KindAccount {
				got = append(got, failed.Err.Error())
			} else if err != nil {
				t.Fatal(err)
			} else {
				for _, p := range slices.Concat(call.Header, call.Query) {
					if p.Name != "Content-Type" {
						got = append(got, p.Name+"="+p.Value)
					}
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}
