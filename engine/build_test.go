package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

// onePlan compiles a provider whose users.update maps the body as mapping says, and more of
// its keys, a line each.
func onePlan(t *testing.T, mapping string, more ...string) *engine.Plan {
	t.Helper()
	quoted, err := json.Marshal(mapping)
	if err != nil {
		t.Fatal(err)
	}
	src := "format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: people.update\n" +
		"      request_body_schema: {properties: {first_name: {}}}\n      request_body_mapping: " + string(quoted) + "\n"
	for _, line := range more {
		src += "      " + line + "\n"
	}
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: acme\nbase_url: https://api.example.com\n" +
			"resources: {people: {update: {method: PUT, path: \"/people/{id}\"}}}\n")},
		"acme/ticketing.yaml": {Data: []byte(src)},
	}})
	catalog, probed := engine.Compile(docs, unifiedModels(t), nil)
	for _, d := range append(found, probed...) {
		t.Error(d)
	}
	return catalog.Plan("acme", usersUpdate)
}

// remote_data is merged at remote_data_in, and refused if it would replace mapped values.
func TestRemoteData(t *testing.T) {
	ada := map[string]any{"first_name": "Ada"}
	none := map[string]any{}
	more := map[string]any{"title": "Dr.", "tags": map[string]any{"b": true}}
	for _, c := range []struct {
		name, mapping, in string
		body, remote      map[string]any
		want              string
	}{
		{"over the body", `{ "name": body.first_name, "title": "Ms." }`, "", ada, more, `{"name":"Ada","tags":{"b":true},"title":"Dr."}`},
		{"alone", `body.first_name ? { "name": body.first_name }`, "", none, more, `{"tags":{"b":true},"title":"Dr."}`},
		{"a list", `[{ "op": "add", "value": body.first_name }]`, "", ada, more, "/remote_data: remote_data cannot be merged: this integration's body is not an object"},
		{"a text", `body.first_name`, "", ada, more, "/remote_data: remote_data cannot be merged: this integration's body is not an object"},
		{"a list, and nothing to merge", `[body.first_name]`, "", ada, none, `["Ada"]`},
		{
			"in what wraps the body", `{ "person": { "name": body.first_name, "tags": { "a": true } }, "v": 1 }`, "person", ada, more,
			`{"person":{"name":"Ada","tags":{"a":true,"b":true},"title":"Dr."},"v":1}`,
		},
		{"in what is not there", `{ "name": body.first_name }`, "data.person", ada, more, `{"data":{"person":{"tags":{"b":true},"title":"Dr."}},"name":"Ada"}`},
		{"in nothing", `body.first_name ? { "person": { "name": body.first_name } }`, "person", none, more, `{"person":{"tags":{"b":true},"title":"Dr."}}`},
		{"nothing in nothing", `body.first_name ? { "person": { "name": body.first_name } }`, "person", none, none, ": nothing in the request would reach the provider"},
		{"in null", `{ "name": body.first_name, "person": null }`, "person", ada, more, `{"name":"Ada","person":{"tags":{"b":true},"title":"Dr."}}`},
		{
			"in a list", `{ "data": { "people": [body.first_name] } }`, "data.people", ada, more,
			"/remote_data: remote_data cannot be merged: data.people in this integration's body is not an object",
		},
		{"below a number", `{ "data": 1, "name": body.first_name }`, "data.person", ada, more, "/remote_data: remote_data cannot be merged: data in this integration's body is not an object"},
		{"in a body that is a list", `[body.first_name]`, "person", ada, more, "/remote_data: remote_data cannot be merged: this integration's body is not an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var keys []string
			if c.in != "" {
				keys = append(keys, "remote_data_in: "+c.in)
			}
			body := map[string]any{engine.RemoteData: c.remote}
			maps.Copy(body, c.body)
			call, err := onePlan(t, c.mapping, keys...).Build(t.Context(), &engine.Request{ID: "u1", Body: body}, nil)
			got := ""
			if failed, ok := errors.AsType[*engine.Error](err); ok && failed.Kind == engine.KindInvalid {
				got = fmt.Sprintf("%s: %v", failed.Pointer, failed.Err)
			} else if err != nil {
				t.Fatal(err)
			} else {
				got = string(call.Body)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}
