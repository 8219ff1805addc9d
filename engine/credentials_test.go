package engine_test

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

// authorized builds a call of an integration that authorises itself with headers, each an
// expression by name.
func authorized(t *testing.T, credentials, more string, authorization any, account engine.Context) (*engine.Call, error) {
	t.Helper()
	quoted, err := json.Marshal(authorization)
	if err != nil {
		t.Fatal(err)
	}
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: acme\nbase_url: https://api.example.com\ncredentials: " + credentials +
			"\nauthorization: " + string(quoted) + "\nresources: {people: {update: {method: PUT, path: \"/people/{id}\"}}}\n" + more)},
		"acme/ticketing.yaml": {Data: []byte("format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: people.update\n" +
			"      request_body_schema: {properties: {first_name: {}}}\n      request_body_mapping: '{ \"name\": body.first_name }'\n")},
	}})
	catalog, probed := engine.Compile(docs, unifiedModels(t))
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
		call, err := authorized(t, "[{name: key, secret: true}, {name: region}]", "", map[string]any{"headers": map[string]string{"X-Any": expression}},
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
