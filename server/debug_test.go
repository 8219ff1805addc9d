package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
)

// The answer to a failed call has a debug part with what is known of the call. Before the main call,
// no field is applied.
func TestDebugOfFailures(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(func(a *accounts.Account) { a.Integration = "reads" }).ID
	refuses := func(path string, status int) func(*engine.Call) (*engine.Reply, error) {
		return func(c *engine.Call) (*engine.Reply, error) {
			if c.URL == "https://acme.example.com/api"+path {
				return answers(status, `{"message":"no"}`)(c)
			}
			return answers(200, `{"id":"u1"}`)(c)
		}
	}
	const prepared, main = "GET https://acme.example.com/api/me", "PUT https://acme.example.com/api/users/u1"
	silent := func(*engine.Call) (*engine.Reply, error) {
		return nil, &engine.Error{Kind: engine.KindUpstream, Op: "call", Err: errors.New("connection refused")}
	}
	bare := w.account(func(a *accounts.Account) { a.Integration, a.Context, a.Grant = "bare", nil, nil }).ID
	first, none := []any{map[string]any{"pointer": "/first_name", "outcome": "applied"}}, []any{}
	type shown struct {
		URL, Data any
		Steps     []string
		Fields    any
	}
	for name, tt := range map[string]struct {
		provider func(*engine.Call) (*engine.Reply, error)
		account  string // "": the default account
		query    string
		body     string
		status   int
		want     shown
	}{
		"a step before": {refuses("/me", 403), "", "", `{"first_name":"Ada"}`, 403, shown{"", nil, []string{prepared}, none}},
		"the main call": {
			refuses("/users/u1", 422), "", "", `{"first_name":"Ada"}`, 422,
			shown{"https://acme.example.com/api/users/u1", map[string]any{"message": "no"}, []string{prepared, main}, first},
		},
		"no answer": {silent, "", "", `{"first_name":"Ada"}`, 502, shown{"", nil, []string{prepared}, none}},
		"refused here": {
			nil, "", "", `{"first_name":7,"last_name":"Quill"}`, 400,
			shown{"", nil, nil, []any{map[string]any{"pointer": "/last_name", "outcome": "unsupported"}}},
		},
		"refused as a plan": {nil, "", "&truto_skip_api_call=true", `{}`, 400, shown{"", nil, nil, none}},
		"not mapped":        {nil, bare, "", `{}`, 405, shown{"", nil, nil, none}},
	} {
		t.Run(name, func(t *testing.T) {
			w.provider = tt.provider
			format := "&truto_response_format=debug"
			if tt.query != "" {
				format = ""
			}
			target := "/unified/ticketing/users/u1?integrated_account_id="
			if tt.account == "" {
				target += account
			} else {
				target += tt.account
			}
			answer := ask(w, "PATCH", target+format+tt.query, tt.body, "Authorization", "Bearer "+callToken)
			debug, ok := envelopeOf(t, answer, tt.status)["debug"].(map[string]any)
			if !ok {
				t.Fatalf("no debug: %s", answer.Body)
			}
			got := shown{URL: debug["requestUrl"], Data: debug["data"], Fields: debug["fields"]}
			for _, step := range debug["steps"].([]any) {
				s := step.(map[string]any)
				got.Steps = append(got.Steps, s["method"].(string)+" "+s["requestUrl"].(string))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if answer := ask(w, "PATCH", target, tt.body, "Authorization", "Bearer "+callToken); decode(t, answer)["debug"] != nil {
				t.Errorf("debug without being asked for: %s", answer.Body)
			}
			w.checkNoSecrets(answer.Body.String())
		})
	}
}

// What is long is cut, and the answer reports it.
func TestDebugIsBounded(t *testing.T) {
	text := func(n int) string { return strings.Repeat("a", n) }
	var reply engine.Reply
	s := newServer(t, doer(func(*engine.Call) (*engine.Reply, error) { return &reply, nil }))
	debugOf := func(status int, target, body string) map[string]any {
		t.Helper()
		w := ask(s, "PATCH", target+"&truto_response_format=debug", body)
		debug, ok := decode(t, w)["debug"].(map[string]any)
		if w.Code != status || !ok {
			t.Fatalf("%d %.300s", w.Code, w.Body)
		}
		return debug
	}
	for _, tt := range []struct {
		what   string
		status int
		reply  engine.Reply
		length int
		cut    any
	}{
		{"a long text", 500, engine.Reply{Status: 500, Body: []byte(text(100_000))}, 64 << 10, true},
		{"a text", 500, engine.Reply{Status: 500, Body: []byte(text(1000))}, 1000, nil},
		{"a cut text", 500, engine.Reply{Status: 500, Body: []byte(text(1000)), Truncated: true}, 1000, true},
		{"long JSON", 502, engine.Reply{Status: 200, Body: []byte(`"` + text(100_000) + `"`)}, 100_000, nil},
	} {
		reply = tt.reply
		debug := debugOf(tt.status, hiveUser1, name)
		if data, _ := debug["data"].(string); len(data) != tt.length || debug["dataTruncated"] != tt.cut {
			t.Errorf("%s: data of %d bytes, dataTruncated %v", tt.what, len(data), debug["dataTruncated"])
		}
	}
}
