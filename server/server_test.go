package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/schemas"
	"portolan/server"
	"portolan/source"
)

const (
	token   = "token-of-tests"
	hiveID  = "00000000-0000-4000-8000-000000000001"
	pivotal = "00000000-0000-4000-8000-000000000002"
	planhat = "00000000-0000-4000-8000-000000000003"
	team    = "00000000-0000-4000-8000-000000000004"
)

// doer is a function that is an engine.Doer.
type doer func(*engine.Call) (*engine.Reply, error)

func (d doer) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) { return d(c) }

// answers returns a doer with the same answer for each call.
func answers(status int, body string) doer {
	return func(*engine.Call) (*engine.Reply, error) {
		h := http.Header{"Content-Type": {"application/json"}}
		return &engine.Reply{Status: status, Header: h, Body: []byte(body)}, nil
	}
}

func fixedClock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func models(tb testing.TB) (schemas.Models, engine.Models) {
	tb.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		tb.Fatal(err)
	}
	return unified, gateway.Models(unified)
}

// builtin compiles the built-in mappings once for all tests, because plans are immutable. Their
// expressions have a long timeout, for busy machines.
var builtin = sync.OnceValues(func() (*engine.Catalog, []source.Diagnostic) { return compiled(time.Minute) })

func compiled(evalTimeout time.Duration, layers ...engine.Layer) (*engine.Catalog, []source.Diagnostic) {
	unified, err := schemas.Unified()
	if err != nil {
		panic(err)
	}
	lang := jsonata.NewLanguage(fixedClock, rand.Reader, jsonata.Limits{EvalTimeout: evalTimeout})
	docs, found := engine.Load(lang, append([]engine.Layer{{FS: mappings.FS, Path: "mappings"}}, layers...)...)
	c, more := engine.Compile(docs, gateway.Models(unified), nil)
	return c, append(found, more...)
}

func catalog(tb testing.TB, layers ...engine.Layer) *engine.Catalog {
	tb.Helper()
	c, problems := builtin()
	if len(layers) > 0 {
		c, problems = compiled(0, layers...) // the default
	}
	for _, d := range problems {
		tb.Error(d)
	}
	return c
}

func demoAccounts() []accounts.Account {
	return []accounts.Account{
		{ID: hiveID, Integration: "hive", Environment: "default", Context: accounts.Context{"api_key": "hive-secret-key", "user_id": "caller17", "workspace_id": "w1"}},
		{ID: pivotal, Integration: "pivotal_tracker", Environment: "default", Context: accounts.Context{"api_token": "pivotal-secret-token"}},
		{ID: planhat, Integration: "planhat", Environment: "default", Context: accounts.Context{"api_token": "planhat-secret-token"}},
		{ID: team, Integration: "teamwork", Environment: "default", Context: accounts.Context{"site": "acme", "api_key": "teamwork-secret-key"}},
		{ID: "00000000-0000-4000-8000-0000000000ff", Integration: "hive", Environment: "other", Context: accounts.Context{"api_key": "k", "user_id": "u"}},
	}
}

func store(tb testing.TB, list []accounts.Account) accounts.Directory {
	tb.Helper()
	m, err := accounts.NewMemory([]accounts.StoredToken{{Token: accounts.Token{Name: "test", Environment: "default"}, Hash: accounts.HashToken(token)}}, list)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// build returns a server and its gateway; options are those of both.
func build(c *engine.Catalog, eng *engine.Engine, unified schemas.Models, directory accounts.Directory, options ...any) (*server.Server, error) {
	var inner []gateway.Option
	var outer []server.Option
	for _, o := range options {
		switch o := o.(type) {
		case gateway.Option:
			inner = append(inner, o)
		case server.Option:
			outer = append(outer, o)
		}
	}
	snapshot, _, err := gateway.NewSnapshot(c, unified)
	if err != nil {
		return nil, err
	}
	return server.New(gateway.New(snapshot, eng, directory, inner...), directory, outer...)
}

// newSnapshot returns a snapshot of catalog.
func newSnapshot(tb testing.TB) *gateway.Snapshot {
	tb.Helper()
	unified, _ := models(tb)
	snapshot, _, err := gateway.NewSnapshot(catalog(tb), unified)
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

func newServer(tb testing.TB, d engine.Doer, opts ...any) *server.Server {
	tb.Helper()
	var calls []engine.Option
	for _, o := range opts {
		if o, ok := o.(engine.Option); ok {
			calls = append(calls, o)
		}
	}
	unified, _ := models(tb)
	s, err := build(catalog(tb), engine.New(d, fixedClock, calls...), unified, store(tb, demoAccounts()),
		append([]any{server.WithClock(fixedClock)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// ask sends one request; headers are pairs.
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var r *http.Request
	if body == "" {
		r = httptest.NewRequest(method, target, http.NoBody)
	} else {
		r = httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode(tb testing.TB, w *httptest.ResponseRecorder) map[string]any {
	tb.Helper()
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		tb.Fatalf("answer %d is not a JSON object: %q", w.Code, w.Body)
	}
	return out
}

const hiveUser = `{"id":"u1","profile":{"firstName":"Ada","lastName":"Quill"},"fullName":"Ada Quill","email":"ada@example.com"}`

func TestUpdate(t *testing.T) {
	var sent *engine.Call
	s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
		sent = c
		return answers(200, hiveUser)(c)
	}))
	w := ask(s, "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+hiveID, `{"first_name":"Ada","roles":[{"id":"owner"}]}`)
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if got, want := sent.Method+" "+sent.Target(), "PUT https://app.hive.com/api/v1/users/u1?user_id=caller17"; got != want {
		t.Errorf("called %s, want %s", got, want)
	}
	if got, want := string(sent.Body), `{"profile":{"firstName":"Ada"}}`; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if sent.Environment != "default" || sent.Account != hiveID {
		t.Errorf("called for account %q of %q", sent.Account, sent.Environment)
	}
	want := `{"id":"u1","name":"Ada Quill","first_name":"Ada","last_name":"Quill","emails":[{"email":"ada@example.com"}],"remote_data":` + hiveUser + "}\n"
	if w.Body.String() != want {
		t.Errorf("answered %s, want %s", w.Body, want)
	}
	for name, value := range map[string]string{"Portolan-Unsupported": "/roles", "Server-Timing": "upstream;dur=0, gateway;dur=0"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if got := w.Header().Get("Portolan-Mapping"); !strings.HasPrefix(got, "hive/ticketing.users.update@") {
		t.Errorf("Portolan-Mapping: %q", got)
	}
}

func TestLogsAndAnswersHoldNoSecret(t *testing.T) {
	var logs bytes.Buffer
	secrets := []string{"hive-secret-key", "pivotal-secret-token", "planhat-secret-token", "teamwork-secret-key", "dGVhbXdvcmstc2VjcmV0LWtleTp4", token}
	echo := doer(func(c *engine.Call) (*engine.Reply, error) { // a provider that echoes requests
		text := c.Target()
		for _, h := range c.Header {
			text += " " + h.Name + ": " + h.Value
		}
		body, _ := json.Marshal(map[string]any{"message": text, "MESSAGE": text, "error": text, "general_problem": text})
		return &engine.Reply{Status: 400, Header: http.Header{"X-Echo": {text}}, Body: body}, nil
	})
	for _, d := range []engine.Doer{echo, answers(200, `{"id":1}`)} {
		s := newServer(t, d, server.WithLogger(slog.New(slog.NewJSONHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		for _, id := range []string{hiveID, pivotal, planhat, team} {
			for _, format := range []string{"unified", "normalized", "raw", "debug"} {
				w := ask(s, "PATCH", "/unified/ticketing/users/u1?collections[0][id]=7&truto_response_format="+format+"&integrated_account_id="+id,
					`{"first_name":"canary-in-body","roles":[{"id":"owner"}]}`)
				for _, secret := range secrets {
					if strings.Contains(w.Body.String(), secret) {
						t.Errorf("%s %s: answer holds %q: %s", id, format, secret, w.Body)
					}
				}
			}
		}
	}
	for _, secret := range append(secrets, "canary-in-body") {
		if strings.Contains(logs.String(), secret) {
			t.Errorf("log holds %q", secret)
		}
	}
	if logs.Len() == 0 {
		t.Error("nothing was logged")
	}
}
