package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/server"
)

func TestAuthorization(t *testing.T) {
	tests := []struct {
		name   string
		values []string
	}{
		{"none", nil},
		{"empty", []string{""}},
		{"wrong", []string{"Bearer other"}},
		{"no token", []string{"Bearer "}},
		{"scheme", []string{"Basic " + token}},
		{"no scheme", []string{token}},
		{"two", []string{"Bearer " + token, "Bearer " + token}},
		{"one line, two tokens", []string{"Bearer " + token + ", Bearer " + token}},
	}
	s := newServer(t, answers(200, hiveUser))
	for _, tt := range tests {
		for _, method := range []string{"PATCH", "GET"} { // 401 comes before 405
			t.Run(tt.name+" "+method, func(t *testing.T) {
				r := httptest.NewRequest(method, hiveUser1, strings.NewReader("not read"))
				r.Header["Authorization"] = tt.values
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				envelopeOf(t, w, 401)
				if got := w.Header().Get("WWW-Authenticate"); got != "Bearer" {
					t.Errorf("WWW-Authenticate %q", got)
				}
			})
		}
	}
}

func TestMethodNotAllowed(t *testing.T) {
	bare := fstest.MapFS{"bare/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: bare\nlabel: Bare\nbase_url: https://bare.example.com\nauthorization: {headers: {X-Key: \"'none'\"}}\nresources: {users: {update: {method: PUT, path: \"/users/{id}\"}}}\n")}}
	const bareID = "00000000-0000-4000-8000-0000000000ba"
	s := serverOver(t, catalog(t, engine.Layer{FS: bare, Path: "bare"}), answers(200, hiveUser),
		store(t, append(demoAccounts(), accounts.Account{ID: bareID, Integration: "bare", Environment: "default"})))
	for _, verb := range []string{"GET", "PUT", "POST", "DELETE", "HEAD", "TRACE", "CONNECT"} {
		w := ask(s, verb, hiveUser1, name)
		envelopeOf(t, w, 405)
		if got := w.Header().Get("Allow"); got != "PATCH" {
			t.Errorf("%s: Allow %q", verb, got)
		}
	}
	w := ask(s, "PATCH", users+bareID, name)
	envelopeOf(t, w, 405)
	if allow, ok := w.Header()["Allow"]; !ok || allow[0] != "" {
		t.Errorf("a provider that maps nothing: Allow %q", allow)
	}
	w = ask(s, "POST", "/healthz", "")
	envelopeOf(t, w, 405)
	if got := w.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("/healthz: Allow %q", got)
	}
}

func TestHostileIDs(t *testing.T) {
	tests := map[string]string{ // the encoded id, and how it is sent
		"a%2Fb": "a%2Fb", "..%2Fx": "..%2Fx", "%252e%252e": "%252e%252e", "a%3Fb=1": "a%3Fb%3D1", "a%23b": "a%23b", "%E2%82%AC": "%E2%82%AC",
		"a%20b": "a%20b", "...": "...", "a;b": "a%3Bb", "a%25": "a%25", "{id}": "%7Bid%7D", "a%5Cb": "a%5Cb", "a@b:c": "a%40b%3Ac",
	}
	for id, want := range tests {
		var sent string
		s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
			sent = c.URL
			return answers(200, hiveUser)(c)
		}))
		w := ask(s, "PATCH", strings.Replace(hiveUser1, "u1", id, 1), name)
		if want = "https://app.hive.com/api/v1/users/" + want; w.Code != 200 || sent != want {
			t.Errorf("%s: %d, called %s, want %s", id, w.Code, sent, want)
		}
	}
}

// serverOver returns a server with these parts.
func serverOver(tb testing.TB, c *engine.Catalog, d engine.Doer, a accounts.Directory) *server.Server {
	tb.Helper()
	unified, _ := models(tb)
	s, err := build(c, engine.New(d, fixedClock), unified, a, server.WithClock(fixedClock))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// brokenStore is a store that fails for tokens, or for accounts only.
type brokenStore struct {
	accounts.Directory
	token, account error
}

func (b brokenStore) Authenticate(ctx context.Context, t string) (accounts.Token, error) {
	if b.token != nil {
		return accounts.Token{}, b.token
	}
	return b.Directory.Authenticate(ctx, t)
}

func (b brokenStore) Account(context.Context, string, string) (accounts.Account, error) {
	return accounts.Account{}, b.account
}

func (b brokenStore) Ready(context.Context) error { return b.account }

func TestStoreUnavailable(t *testing.T) {
	gone := errors.New("store-host.example.com: connection refused")
	for _, b := range []brokenStore{{token: gone, account: gone}, {account: gone}} {
		b.Directory = store(t, demoAccounts())
		s := serverOver(t, catalog(t), answers(200, hiveUser), b)
		w := ask(s, "PATCH", hiveUser1, name)
		envelopeOf(t, w, 503)
		if w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "store-host") {
			t.Errorf("Retry-After %q: %s", w.Header().Get("Retry-After"), w.Body)
		}
		if w := ask(s, "GET", "/readyz", "", "Authorization", ""); w.Code != 503 || w.Body.String() != `{"status":"unavailable"}`+"\n" {
			t.Errorf("/readyz: %d %s", w.Code, w.Body)
		}
		if w := ask(s.Operations(), "GET", "/readyz", "", "Authorization", ""); w.Code != 503 || !strings.Contains(w.Body.String(), "store-host.example.com: connection refused") {
			t.Errorf("/readyz for operators: %d %s", w.Code, w.Body)
		}
		if w := ask(s, "GET", "/healthz", "", "Authorization", ""); w.Code != 200 {
			t.Errorf("/healthz: %d", w.Code)
		}
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	for _, target := range []string{hiveUser1, users + planhat, users + "00000000-0000-4000-8000-00000000abcd", "/canary-route"} {
		ask(s, "PATCH", strings.Replace(target, "u1", "canary-id", 1), `{"first_name":"canary-value"}`)
	}
	for path, want := range map[string]string{
		"/healthz":      `{"status":"ok"}`,
		"/readyz":       `{"status":"ready","integrations":["hive","pivotal_tracker","planhat","teamwork"],"problems":[]}`,
		"/metrics":      `portolan_requests_total{integration="hive",operation="ticketing.users.update",remote="false",status="200"} 1`,
		"/debug/pprof/": "goroutine",
	} {
		w := ask(s.Operations(), "GET", path, "", "Authorization", "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		for _, secret := range []string{"canary", "0000-4000", token, "secret"} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
	}
}

// What operators see is not on the API's port, and asking often does not reach the store.
func TestPublicReadiness(t *testing.T) {
	o := newAdminFixture(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		if w := ask(o, "GET", path, "", "Authorization", ""); w.Code != 404 {
			t.Errorf("%s: %d %.100s", path, w.Code, w.Body)
		}
	}
	ready := func(want int) {
		t.Helper()
		w := ask(o, "GET", "/readyz", "", "Authorization", "")
		if body := map[int]string{200: `{"status":"ready"}`, 503: `{"status":"unavailable"}`}[want]; w.Code != want || w.Body.String() != body+"\n" {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	ready(200)
	if err := o.db.Close(); err != nil {
		t.Fatal(err)
	}
	o.clock.advance(999 * time.Millisecond)
	ready(200)
	o.clock.advance(time.Millisecond)
	ready(503)
}

func TestRequestID(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	fresh := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for id, kept := range map[string]bool{
		"abc-1_2.Z": true, strings.Repeat("a", 128): true,
		strings.Repeat("a", 129): false, "a b": false, "a\r\nX: 1": false, "é": false, "": false, `<script>`: false,
	} {
		for _, target := range []string{hiveUser1, "/nowhere", "/healthz"} {
			w := ask(s, "PATCH", target, name, "X-Request-Id", id)
			if got := w.Header().Get("X-Request-Id"); kept != (got == id) || !kept && !fresh.MatchString(got) {
				t.Errorf("%s: %q becomes %q", target, id, got)
			}
		}
	}
}

func TestPanicIsContained(t *testing.T) {
	var logs bytes.Buffer
	var calls atomic.Int64
	s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
		if calls.Add(1) == 1 {
			panic("canary-panic")
		}
		return answers(200, hiveUser)(c)
	}), server.WithLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
	w := ask(s, "PATCH", hiveUser1, name)
	if e := envelopeOf(t, w, 500); e["message"] != "internal error" || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("answer: %s", w.Body)
	}
	if !strings.Contains(logs.String(), `"stack":"goroutine`) {
		t.Errorf("the log holds no stack: %s", &logs)
	}
	if w := ask(s, "PATCH", hiveUser1, name); w.Code != 200 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// An expression that does not end or uses too much memory fails its own request only.
func TestExpressionThatOverruns(t *testing.T) {
	const head = "format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: users.update\n" +
		"      request_body_schema: {properties: {first_name: {}}}\n"
	const request = `      request_body_mapping: '{ "profile": { "firstName": body.first_name } }'` + "\n"
	const response = "      response_mapping: '{ \"id\": response.id }'\n"
	tests := map[string]struct {
		expression, file string
		status           int // 503: it took too long, and the call was not sent
	}{
		"recursion":      {`$f := function($n) { 1 + $f($n + 1) }; $f(0)`, "request_body_mapping", 500},
		"tail recursion": {`$f := function($n) { $f($n + 1) }; $f(0)`, "request_body_mapping", 503},
		"doubling":       {`$f := function($s) { $f($s & $s) }; $f("xxxxxxxx")`, "request_body_mapping", 503},
		"long string":    {`$join([1..9000000].("xxxxxxxxxxxxxxxx"), "")`, "request_body_mapping", 503},
		"padding":        {`$pad("x", 500000000)`, "request_body_mapping", 500},
		"many entries":   {`$count([1..9000000].[1..1000])`, "request_body_mapping", 503},
		"in the answer":  {`$f := function($s) { $f($s & $s) }; $f("xxxxxxxx")`, "response_mapping", 500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := head + request + "      response_mapping: |\n        {\n          \"id\": response.id,\n          \"name\": response.fullName = \"loop\" ? ( " + tt.expression + " )\n        }\n"
			line := 9
			if tt.file == "request_body_mapping" {
				line = 8
				text = head + "      request_body_mapping: |\n        { \"profile\": { \"firstName\": body.first_name = \"loop\" ? ( " + tt.expression + " ) : body.first_name } }\n" + response
			}
			layer := engine.Layer{FS: fstest.MapFS{"hive/ticketing.yaml": {Data: []byte(text)}}, Path: "over"}
			s := serverOver(t, catalog(t, layer), doer(func(c *engine.Call) (*engine.Reply, error) {
				return answers(200, strings.Replace(hiveUser, "Ada Quill", map[bool]string{true: "loop", false: "Ada"}[bytes.Contains(c.Body, []byte("again"))], 1))(c)
			}), store(t, demoAccounts()))
			w := ask(s, "PATCH", hiveUser1, map[bool]string{true: `{"first_name":"loop"}`, false: `{"first_name":"again"}`}[line == 8])
			details, _ := envelopeOf(t, w, tt.status)["details"].(map[string]any)
			if got := w.Header().Get("Retry-After"); (got == "1") != (tt.status == 503) {
				t.Errorf("Retry-After %q", got)
			}
			mapping, _ := details["mapping"].(map[string]any)
			at, _ := mapping["line"].(float64)
			if mapping["file"] != "over/hive/ticketing.yaml" || int(at) < line || int(at) > line+4 || !strings.Contains(fmt.Sprint(mapping["at"]), tt.file) {
				t.Errorf("details.mapping: %v", mapping)
			}
			if w := ask(s, "PATCH", hiveUser1, `{"first_name":"Ada"}`); w.Code != 200 {
				t.Errorf("afterwards: %d %s", w.Code, w.Body)
			}
		})
	}
}
