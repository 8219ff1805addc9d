package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const stepsIntegration = `format: portolan/integration/v1
name: acme
base_url: https://{site}.example.com/v1/
credentials:
  - {name: site, required: true, pattern: '[a-z]+'}
  - {name: key, secret: true, required: true}
  - {name: region, default: eu}
authorization:
  headers: {X-Key: context.key, X-Region: context.region}
  query: {signed: '$uppercase(context.site)'}
resources:
  people:
    find: {method: GET, path: /find, query: {exact: '"yes"'}}
    update: {method: PUT, path: "/people/{person}", headers: {X-Mode: '"full"'}, body: form, repeatable: true}
    read: {method: GET, path: "/people/{id}"}
    note: {method: POST, path: "/people/{id}/notes"}
`

const stepsMapping = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: people.update
      before:
        - {name: find, call: people.find, query_mapping: '{ "q": id, "page": { "size": 1 } }'}
      path_variables: {person: before.find.number}
      request_body_schema: {properties: {first_name: {}, last_name: {}}}
      query_mapping: '{ "fields": ["a", "b"], "signed": "mine" }'
      request_body_mapping: '{ "name": { "first": body.first_name } }'
      after:
        - {name: note, call: people.note, run_if: $exists(body.last_name), request_body_mapping: '{ "text": body.last_name }'}
        - {name: read, call: people.read}
      record: after.read
      response_mapping: 'after.read.{ "id": $string(id), "name": name, "etag": $$.headers.(etag & $lookup($, "set-cookie") & $lookup($, "www-authenticate")), "username": null }'
`

// scripted answers calls by "METHOD path" and notes them.
type scripted struct {
	answers map[string]*engine.Reply
	calls   []string
}

func (s *scripted) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) {
	line := c.Method + " " + c.Target()
	for _, h := range c.Header {
		line += fmt.Sprintf(" %s=%s", h.Name, h.Value)
	}
	s.calls = append(s.calls, strings.TrimSpace(line+" "+string(c.Body)))
	_, path, _ := strings.Cut(strings.TrimPrefix(c.URL, "https://"), "/v1")
	if reply := s.answers[c.Method+" "+path]; reply != nil {
		return reply, nil
	}
	return nil, &engine.Error{Kind: engine.KindUpstream, Op: c.Name, Err: errors.New("refused")}
}

func reply(status int, body string) *engine.Reply {
	return &engine.Reply{Status: status, Body: []byte(body), Header: http.Header{"Etag": {"v1"}, "Set-Cookie": {"a"}, "Www-Authenticate": {"b"}}}
}

func stepsPlan(t *testing.T) *engine.Plan {
	t.Helper()
	_, plan := stepsCatalog(t)
	return plan
}

func stepsCatalog(t *testing.T) (*engine.Catalog, *engine.Plan) {
	t.Helper()
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(stepsIntegration)}, "acme/ticketing.yaml": {Data: []byte(stepsMapping)}}
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: files})
	catalog, more := engine.Compile(docs, unifiedModels(t), nil)
	for _, d := range append(found, more...) {
		t.Error(d)
	}
	return catalog, catalog.Plan("acme", engine.Operation{Model: "ticketing", Resource: "users", Method: "update"})
}

func TestSteps(t *testing.T) {
	const (
		auth   = " X-Key=k1 X-Region=eu"
		find   = "GET https://site.example.com/v1/find?exact=yes&page%5Bsize%5D=1&q=u1&signed=SITE" + auth
		update = "PUT https://site.example.com/v1/people/42?fields%5B0%5D=a&fields%5B1%5D=b&x=1&signed=SITE" +
			" Content-Type=application/x-www-form-urlencoded X-Mode=full" + auth + " name%5Bfirst%5D=Ada"
		note = "POST https://site.example.com/v1/people/u1/notes?signed=SITE Content-Type=application/json" + auth + ` {"text":"Quill"}`
		read = "GET https://site.example.com/v1/people/u1?signed=SITE" + auth
	)
	good := map[string]*engine.Reply{
		"GET /find": reply(200, `{"number":42}`), "PUT /people/42": reply(200, `{}`),
		"POST /people/u1/notes": reply(201, ``), "GET /people/u1": reply(200, `{"id":9007199254740993,"name":"Ada"}`),
	}
	with := func(path string, r *engine.Reply) map[string]*engine.Reply {
		out := maps.Clone(good)
		out[path] = r
		return out
	}
	record := map[string]any{"id": "9007199254740993", "name": "Ada", "etag": "v1"}
	for _, c := range []struct {
		name    string
		answers map[string]*engine.Reply
		body    map[string]any
		mode    engine.Mode
		calls   []string
		fields  map[string]any
		partial []string
		kind    engine.Kind
	}{
		{"all steps", good, map[string]any{"first_name": "Ada", "last_name": "Quill"}, engine.Full, []string{find, update, note, read}, record, nil, 0},
		{"a step that run_if leaves out", good, map[string]any{"first_name": "Ada"}, engine.Full, []string{find, update, read}, record, nil, 0},
		{"a before step that fails ends it", with("GET /find", reply(404, `{"message":"none"}`)), map[string]any{"first_name": "Ada"}, engine.Full, []string{find}, nil, nil, engine.KindProvider},
		{"a before step without answer", with("GET /find", nil), map[string]any{"first_name": "Ada"}, engine.Full, []string{find}, nil, nil, engine.KindUpstream},
		{"a before step that gives nothing usable", with("GET /find", reply(200, `{}`)), map[string]any{"first_name": "Ada"}, engine.Full, []string{find}, nil, nil, engine.KindMapping},
		{
			"after steps that fail leave the write standing", with("GET /people/u1", reply(500, ``)),
			map[string]any{"first_name": "Ada", "last_name": "Quill"},
			engine.Full,
			[]string{find, update, note, read},
			map[string]any{"id": "u1"},
			[]string{"read"},
			0,
		},
		{"the main call alone", good, map[string]any{"first_name": "Ada"}, engine.MainOnly, []string{find, update}, nil, nil, 0},
		{"nothing to send", good, map[string]any{"last_name": "Quill"}, engine.Full, []string{find}, nil, nil, engine.KindInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			doer := &scripted{answers: c.answers}
			req := &engine.Request{
				ID: "u1", Body: c.body, Context: engine.Context{"site": "site", "key": "k1"},
				RemoteQuery: []engine.Param{{Name: "x", Value: "1"}},
			}
			result, err := engine.New(doer, time.Now).Do(t.Context(), stepsPlan(t), req, c.mode)
			kind := engine.Kind(0)
			if failed, ok := errors.AsType[*engine.Error](err); ok {
				kind = failed.Kind
			}
			if kind != c.kind {
				t.Errorf("kind %s, want %s: %v", kind, c.kind, err)
			}
			if diff := cmp.Diff(c.calls, doer.calls); diff != "" {
				t.Errorf("calls differ (-want +got):\n%s", diff)
			}
			var fields map[string]any
			if result.Output != nil {
				fields = result.Output.Records[0].Fields
			}
			if diff := cmp.Diff(c.fields, fields); diff != "" {
				t.Errorf("record differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.partial, result.Partial); diff != "" {
				t.Errorf("partial differs (-want +got):\n%s", diff)
			}
			if len(result.Steps) != len(doer.calls) {
				t.Errorf("%d steps reported, %d calls made", len(result.Steps), len(doer.calls))
			}
		})
	}
}

// A plan calls nobody, marks what depends on an answer, and takes sample answers.
func TestPlan(t *testing.T) {
	doer := &scripted{}
	req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "k1"}}
	planned := func(samples map[string]any) (lines []string) {
		t.Helper()
		result, err := engine.New(doer, time.Now).Plan(t.Context(), stepsPlan(t), req, samples)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range result.Steps {
			target := "-"
			if s.Call != nil {
				target = s.Call.Method + " " + s.Call.URL
			}
			lines = append(lines, fmt.Sprint(s.Name, " ", target, " ", s.Depends))
		}
		return lines
	}
	want := []string{"find GET https://site.example.com/v1/find []", "main - [find]", "note - [main]", "read - [main]"}
	if diff := cmp.Diff(want, planned(nil)); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	want[1] = "main PUT https://site.example.com/v1/people/42 []"
	if diff := cmp.Diff(want, planned(map[string]any{"find": map[string]any{"number": "42"}})); diff != "" {
		t.Errorf("with a sample answer differs (-want +got):\n%s", diff)
	}
	if len(doer.calls) != 0 {
		t.Errorf("called %v", doer.calls)
	}
	req.Body = map[string]any{"last_name": "Quill"}
	_, err := engine.New(doer, time.Now).Plan(t.Context(), stepsPlan(t), req, map[string]any{"find": map[string]any{"number": "42"}})
	if failed, ok := errors.AsType[*engine.Error](err); !ok || failed.Kind != engine.KindInvalid {
		t.Errorf("nothing to send: got %v", err)
	}
}

// Every call of a method, those of its steps too, names the account that it is made for.
func TestCallsNameTheirAccount(t *testing.T) {
	doer := &scripted{answers: map[string]*engine.Reply{
		"GET /find": reply(200, `{"number":42}`), "PUT /people/42": reply(200, `{}`),
		"POST /people/u1/notes": reply(201, ``), "GET /people/u1": reply(200, `{"id":1}`),
	}}
	req := &engine.Request{
		ID: "u1", Body: map[string]any{"first_name": "Ada", "last_name": "Quill"}, Context: engine.Context{"site": "site", "key": "k1"},
		Environment: "staging", Account: "a1",
	}
	plan := stepsPlan(t)
	result, err := engine.New(doer, time.Now).Do(t.Context(), plan, req, engine.Full)
	if err != nil || len(result.Steps) != 4 {
		t.Fatalf("%d steps, %v", len(result.Steps), err)
	}
	want := engine.Call{Integration: "acme", Environment: "staging", Account: "a1", Operation: plan.Operation()}
	for _, s := range result.Steps {
		got := engine.Call{Integration: s.Call.Integration, Environment: s.Call.Environment, Account: s.Call.Account, Operation: s.Call.Operation}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", s.Name, diff)
		}
	}
}

func TestAccountSettingsAreChecked(t *testing.T) {
	for name, context := range map[string]engine.Context{
		"missing": {"site": "site"}, "bad site": {"site": "evil.com/", "key": "k1"}, "no text": {"site": "site", "key": 7.0},
	} {
		req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: context}
		_, err := stepsPlan(t).Build(t.Context(), req, map[string]any{"find": map[string]any{"number": "42"}})
		failed, ok := errors.AsType[*engine.Error](err)
		if !ok || failed.Kind != engine.KindAccount || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: got %v, want an account error without the value", name, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "canary-key"}}
	call, err := stepsPlan(t).Build(t.Context(), req, map[string]any{"find": map[string]any{"number": "42"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v", req.Context, req.Context, req.Context), fmt.Sprintf("%v %+v %#v", call.Header, *call, call.Header), call.ShownTarget(),
	} {
		if strings.Contains(text, "canary-key") {
			t.Errorf("printed: %s", text)
		}
	}
}

func Example() {
	files := fstest.MapFS{
		"acme/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: acme\nbase_url: https://api.example.com\n" +
			"resources: {people: {update: {method: PUT, path: \"/people/{id}\"}}}\n")},
		"acme/ticketing.yaml": {Data: []byte("format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n" +
			"      call: people.update\n      request_body_schema: {properties: {first_name: {}}}\n" +
			"      request_body_mapping: '{ \"first\": body.first_name }'\n")},
	}
	name := map[string]any{"type": "string"}
	users := engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}
	models := engine.Models{users: {Request: map[string]any{"properties": map[string]any{"first_name": name}}}}

	docs, found := engine.Load(testLanguage(), engine.Layer{FS: files})
	catalog, more := engine.Compile(docs, models, nil)
	fmt.Println("findings:", len(found)+len(more))

	call, err := catalog.Plan("acme", users).Build(context.Background(), &engine.Request{ID: "a/b", Body: map[string]any{"first_name": "Ada"}}, nil)
	fmt.Println(call.Method, call.Target(), string(call.Body), err)
	// Output:
	// findings: 0
	// PUT https://api.example.com/people/a%2Fb {"first":"Ada"} <nil>
}
