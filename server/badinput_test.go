package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/server"
)

const (
	users     = "/unified/ticketing/users/u1?integrated_account_id="
	hiveUser1 = users + hiveID
	name      = `{"first_name":"Ada"}`
)

// told lists the failures of an error envelope as "pointer code".
func told(tb testing.TB, w *httptest.ResponseRecorder) []string {
	tb.Helper()
	out := []string{}
	details, _ := decode(tb, w)["details"].(map[string]any)
	list, _ := details["failures"].([]any)
	for _, f := range list {
		f := f.(map[string]any)
		out = append(out, fmt.Sprintf("%s %s", f["pointer"], f["code"]))
	}
	return out
}

// envelopeOf checks what every error answer has.
func envelopeOf(tb testing.TB, w *httptest.ResponseRecorder, status int) map[string]any {
	tb.Helper()
	if w.Code != status {
		tb.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	e := decode(tb, w)
	if e["statusCode"] != float64(status) || e["error"] == "" || e["message"] == "" || e["message"] == nil {
		tb.Errorf("envelope: %s", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		tb.Errorf("content type %q", got)
	}
	if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Server-Timing") == "" {
		tb.Errorf("headers: %v", w.Header())
	}
	if strings.Contains(w.Body.String(), "goroutine ") || strings.Contains(w.Body.String(), ".go:") {
		tb.Errorf("the answer holds a stack: %s", w.Body)
	}
	return e
}

// insights are the names in truto_error_insight.
func insights(e map[string]any) []string {
	m, _ := e["truto_error_insight"].(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// counted is a doer that answers well and counts.
func counted(calls *atomic.Int64) doer {
	return func(c *engine.Call) (*engine.Reply, error) {
		calls.Add(1)
		return answers(200, hiveUser)(c)
	}
}

func TestBadRequests(t *testing.T) {
	patch := http.MethodPatch
	deep := strings.Repeat(`{"custom_fields":`, 65) + "1" + strings.Repeat("}", 65)
	hive, tracker := hiveUser1, users+pivotal
	role := `{"roles":[{"id":"owner"}]}`
	container := "&collections[0][id]=7"
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		failures                   string // joined by ", "
		message                    string // part of it
	}{
		{"account missing", patch, "/unified/ticketing/users/u1", name, nil, 400, "?integrated_account_id required", "integrated_account_id is required"},
		{"account unknown", patch, users + "00000000-0000-4000-8000-00000000abcd", name, nil, 404, "", "there is no integrated account"},
		{"account of another environment", patch, users + "00000000-0000-4000-8000-0000000000ff", name, nil, 404, "", "there is no integrated account"},
		{"account no uuid", patch, users + "7", name, nil, 400, "?integrated_account_id format", "must be a UUID"},
		{"account twice", patch, hive + "&integrated_account_id=" + hiveID, name, nil, 400, "?integrated_account_id type", "given once"},
		{"account empty", patch, users, name, nil, 400, "?integrated_account_id empty", "must not be empty"},

		{"query escape", patch, hive + "&a=%zz", name, nil, 400, "?a syntax", ""},
		{"query value and object", patch, hive + "&a=1&a[b]=2", name, nil, 400, "?a[b] type", "used as a value and as an object"},
		{"query depth", patch, hive + "&a[b][c][d][e][f][g]=1", name, nil, 400, "?a[b][c][d][e][f][g] limit", ""},
		{"query index", patch, hive + "&a[21]=1", name, nil, 400, "?a[21] limit", ""},
		{"query pairs", patch, hive + strings.Repeat("&a[]=1", 1000), name, nil, 400, "? limit", "more than 1000 parameters"},
		{"query prototype", patch, hive + "&__proto__[a]=1", name, nil, 400, "?__proto__[a] syntax", ""},
		{"format unknown", patch, hive + "&truto_response_format=xml", name, nil, 400, "?truto_response_format enum", "unified, raw, normalized, debug"},
		{"format empty", patch, hive + "&truto_response_format=", name, nil, 400, "?truto_response_format empty", ""},
		{"boolean", patch, hive + "&truto_ignore_remote_data=yes", name, nil, 400, "?truto_ignore_remote_data enum", ""},
		{"truto parameter", patch, hive + "&truto_ignore_remote_dat=1", name, nil, 400, "?truto_ignore_remote_dat additional", `did you mean "truto_ignore_remote_data"?`},
		{"excluded field", patch, hive + "&truto_exclude_fields=emial", name, nil, 400, "?truto_exclude_fields enum", `there is no field "emial" to exclude`},
		{"remote_query authorizes", patch, hive + "&remote_query[user_id]=x", name, nil, 400, "?remote_query[user_id] unsupported", "would replace what authenticates"},
		{"unknown parameter, strict", patch, hive + "&colour=red", name, []string{"Prefer", "handling=strict"}, 400, "?colour unsupported", "colour is not supported"},
		{"unsupported field, strict", patch, hive, `{"first_name":"A","roles":[{"id":"x"}]}`, []string{"Prefer", "handling=strict"}, 400, "/roles unsupported", "roles is not supported"},

		{"wrong type", patch, hive, `{"first_name":7}`, nil, 400, "/first_name type", "first_name must be"},
		{"wrong type inside", patch, users + planhat, `{"emails":["a@example.com"]}`, nil, 400, "/emails/0 type", ""},
		{"object for array", patch, users + planhat, `{"roles":{"id":"x"}}`, nil, 400, "/roles type", ""},
		{"null", patch, hive, `{"first_name":null}`, nil, 400, "/first_name null", "cannot clear it"},
		{"null entry", patch, users + planhat, `{"roles":[null]}`, nil, 400, "/roles/0 type", ""},
		{"null inside", patch, users + planhat, `{"emails":[{"email":null}]}`, nil, 400, "/emails/0/email null", ""},
		{"unknown field", patch, hive, `{"frist_name":"A"}`, nil, 400, "/frist_name additional", `did you mean "first_name"?`},
		{"email missing", patch, users + planhat, `{"emails":[{"type":"work"}]}`, nil, 400, "/emails/0/email required", ""},
		{"second email", patch, users + planhat, `{"emails":[{"email":"a@example.com"},{"email":"b@example.com"}]}`, nil, 400, "/emails length", ""},
		{"no role", patch, tracker + container, `{"roles":[]}`, nil, 400, "/roles length", ""},
		{"duplicate keys", patch, hive, `{"first_name":"A","first_name":"B"}`, nil, 400, "/first_name syntax", "given more than once"},
		{"depth", patch, hive, deep, nil, 400, " limit", "nested more than 64 deep"},
		{"array", patch, hive, `[]`, nil, 400, " type", "the body must be an object"},
		{"trailing data", patch, hive, name + "{}", nil, 400, " syntax", "line 1, column 21"},
		{"empty body", patch, hive, "", nil, 400, " empty", "the body is empty"},
		{"empty object", patch, hive, "{}", nil, 400, " empty", ""},
		{"nothing reaches the provider", patch, hive, role, nil, 400, " empty", "does not support roles"},
		{"remote_query alone", patch, hive + "&remote_query[a]=1", "{}", nil, 400, " empty", ""},
		{"empty remote_data alone", patch, hive, `{"remote_data":{}}`, nil, 400, " empty", ""},
		{"2 MiB", patch, hive, `{"first_name":"` + strings.Repeat("a", 2<<20) + `"}`, nil, 413, "", "larger than 1048576 bytes"},
		{"content type", patch, hive, name, []string{"Content-Type", "text/plain"}, 415, "", `"text/plain" is not supported`},
		{"no content type", patch, hive, name, []string{"Content-Type", ""}, 415, "", "content-type is missing"},
		{"content encoding", patch, hive, name, []string{"Content-Encoding", "gzip"}, 415, "", `content-encoding "gzip" is not supported`},

		{"collection missing", patch, tracker, role, nil, 400, "?collections required", "collections"},
		{"collection empty", patch, tracker + "&collections[]=", role, nil, 400, "?collections required", "collections"},
		{"two collections", patch, tracker + "&collections[]=7&collections[]=8", role, nil, 400, "?collections length", "collections"},
		{"collection of another type", patch, tracker + container + "&collections[0][type]=board", role, nil, 400, "?collections[0][type] enum", "project"},
		{"collection key", patch, tracker + container + "&collections[0][typ]=project", role, nil, 400, "?collections[0][typ] additional", `did you mean "type"?`},
		{"role outside the enum", patch, tracker + container, `{"roles":[{"id":"boss"}]}`, nil, 400, "/roles/0/id enum", "owner, member, viewer"},
		{"role without id", patch, tracker + container, `{"roles":[{"name":"owner"}]}`, nil, 400, "/roles/0/id required", ""},

		{"id empty", patch, "/unified/ticketing/users/?integrated_account_id=" + hiveID, name, nil, 400, "{id} format", "is empty"},
		{"id dot", patch, strings.Replace(hive, "u1", ".", 1), name, nil, 400, "{id} format", `must not be "."`},
		{"id dots", patch, strings.Replace(hive, "u1", "%2e%2E", 1), name, nil, 400, "{id} format", `must not be "."`},
		{"id control character", patch, strings.Replace(hive, "u1", "a%00", 1), name, nil, 400, "{id} format", "control character"},
		{"id line break", patch, strings.Replace(hive, "u1", "a%0d%0aX:%201", 1), name, nil, 400, "{id} format", "control character"},
		{"id no UTF-8", patch, strings.Replace(hive, "u1", "%ff", 1), name, nil, 400, "{id} format", "UTF-8"},
		{"id of two segments", patch, strings.Replace(hive, "u1", "a/b", 1), name, nil, 404, "", "there is no route"},

		{"slash after the id", patch, strings.Replace(hive, "u1", "u1/", 1), name, nil, 404, "", "there is no route"},
		{"model", patch, "/unified/crm/users/u1?integrated_account_id=" + hiveID, name, nil, 404, "", "there is no route /unified/crm/users/u1"},
		{"resource", patch, "/unified/ticketing/people/u1", name, nil, 404, "", "there is no route"},
		{"route", "GET", "/nowhere", "", nil, 404, "", "there is no route /nowhere"},
		{"route before token", "GET", "/nowhere", "", []string{"Authorization", ""}, 404, "", "there is no route"},
		{"resource before token", patch, "/unified/crm/users/u1", name, []string{"Authorization", ""}, 404, "", "there is no route"},
		{"target", patch, hive + "&a=" + strings.Repeat("a", 16<<10), name, nil, 414, "", "over 16384 bytes"},
		{"headers", patch, hive, name, []string{"X-Much", strings.Repeat("a", 64<<10)}, 431, "", "over 65536 bytes"},

		{
			"everything at once", patch, strings.Replace(tracker, "u1", "..", 1) + "&truto_formt=raw&truto_exclude_fields=nme&truto_skip_api_call=perhaps",
			`{"frist_name":"A","last_name":null,"emails":[{}],"roles":[{"id":"boss"}]}`, nil, 400,
			"/emails/0/email required, /frist_name additional, /last_name null, /roles/0/id enum, ?collections required, " +
				"?truto_exclude_fields enum, ?truto_formt additional, ?truto_skip_api_call enum, {id} format", "and 6 more",
		},
	}
	var calls atomic.Int64
	s := newServer(t, counted(&calls))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls.Store(0)
			w := ask(s, tt.method, tt.target, tt.body, tt.headers...)
			e := envelopeOf(t, w, tt.status)
			got := told(t, w)
			slices.Sort(got)
			if diff := cmp.Diff(tt.failures, strings.Join(got, ", ")); diff != "" {
				t.Errorf("failures (-want +got)\n%s%s", diff, w.Body)
			}
			if message, _ := e["message"].(string); !strings.Contains(message, tt.message) {
				t.Errorf("message %q lacks %q", message, tt.message)
			}
			if strings.Contains(w.Header().Get("Server-Timing"), "upstream") || calls.Load() != 0 {
				t.Errorf("the provider was called: %d, %s", calls.Load(), w.Header().Get("Server-Timing"))
			}
			if tt.status == 400 != (len(got) > 0) {
				t.Errorf("%d with failures %v", tt.status, got)
			}
			required := strings.Contains(tt.failures, "?integrated_account_id required") || strings.Contains(tt.failures, "?collections required")
			if slices.Contains(insights(e), "missing_required_query_parameters") != required {
				t.Errorf("insight: %v", e["truto_error_insight"])
			}
			if w := ask(s, patch, hive, name); w.Code != 200 {
				t.Errorf("afterwards a good request gets %d", w.Code)
			}
		})
	}
}

func TestUnknownParameterIsNamed(t *testing.T) {
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", hiveUser1+"&colour=red&truto_response_format=debug", name)
	if got := w.Header().Get("Portolan-Unsupported"); w.Code != 200 || got != "?colour" {
		t.Fatalf("%d, Portolan-Unsupported %q", w.Code, got)
	}
	fields := decode(t, w)["debug"].(map[string]any)["fields"]
	want := []any{
		map[string]any{"pointer": "/first_name", "outcome": "applied"},
		map[string]any{"pointer": "?colour", "outcome": "unsupported"},
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestManyFailuresAreCounted(t *testing.T) {
	body := `{"a0":0`
	for i := 1; i < 170; i++ {
		body += fmt.Sprintf(`,"a%d":0`, i)
	}
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", hiveUser1, body+"}")
	details, _ := envelopeOf(t, w, 400)["details"].(map[string]any)
	if got := len(told(t, w)); got != 100 || details["truncated"] != float64(70) {
		t.Errorf("%d failures, truncated %v", got, details["truncated"])
	}
}

func TestUnsupportedHeaderIsBounded(t *testing.T) {
	target := hiveUser1
	for i := range 400 {
		target += fmt.Sprintf("&parameter_%05d=1", i)
	}
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", target, name)
	got := w.Header().Get("Portolan-Unsupported")
	if w.Code != 200 || len(got) > 4<<10 || len(got) < 3<<10 {
		t.Errorf("%d, header of %d bytes", w.Code, len(got))
	}
	var more int
	if _, err := fmt.Sscanf(got[strings.LastIndex(got, ", ")+2:], "+%d more", &more); err != nil || more+strings.Count(got, "?") != 400 {
		t.Errorf("%d named, end %q", strings.Count(got, "?"), got[len(got)-30:])
	}
}

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
	for _, verb := range []string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "PROPFIND"} {
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
	if got := w.Header().Get("Allow"); !strings.Contains(got, "GET") {
		t.Errorf("/healthz: Allow %q", got)
	}
}

func TestHostileIDs(t *testing.T) {
	tests := map[string]string{ // in the path, on its way out
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

// serverOver is a server of other parts than newServer's.
func serverOver(tb testing.TB, c *engine.Catalog, d engine.Doer, a server.Accounts) *server.Server {
	tb.Helper()
	unified, _ := models(tb)
	s, err := server.New(c, engine.New(d, fixedClock), unified, a, server.WithClock(fixedClock))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// brokenStore is a store that cannot be reached, for tokens or for accounts only.
type brokenStore struct {
	server.Accounts
	token, account error
}

func (b brokenStore) Authenticate(ctx context.Context, t string) (accounts.Token, error) {
	if b.token != nil {
		return accounts.Token{}, b.token
	}
	return b.Accounts.Authenticate(ctx, t)
}

func (b brokenStore) Account(context.Context, string, string) (accounts.Account, error) {
	return accounts.Account{}, b.account
}

func (b brokenStore) Ready(context.Context) error { return b.account }

func TestStoreUnavailable(t *testing.T) {
	gone := errors.New("store-host.example.com: connection refused")
	for _, b := range []brokenStore{{token: gone, account: gone}, {account: gone}} {
		b.Accounts = store(t, demoAccounts())
		s := serverOver(t, catalog(t), answers(200, hiveUser), b)
		w := ask(s, "PATCH", hiveUser1, name)
		envelopeOf(t, w, 503)
		if w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "store-host") {
			t.Errorf("Retry-After %q: %s", w.Header().Get("Retry-After"), w.Body)
		}
		if w := ask(s, "GET", "/readyz", "", "Authorization", ""); w.Code != 503 || !strings.Contains(w.Body.String(), `"status":"unavailable"`) {
			t.Errorf("/readyz: %d %s", w.Code, w.Body)
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
		"/healthz": `{"status":"ok"}`,
		"/readyz":  `{"status":"ready","integrations":["hive","pivotal_tracker","planhat","teamwork"],"problems":[]}`,
		"/metrics": `portolan_requests_total{integration="hive",operation="ticketing.users.update",remote="false",status="200"} 1`,
	} {
		w := ask(s, "GET", path, "", "Authorization", "")
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

// A mapping's expression that never ends or grows without bound costs its own request only.
func TestExpressionThatOverruns(t *testing.T) {
	const head = "format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: users.update\n" +
		"      request_body_schema: {properties: {first_name: {}}}\n"
	const request = `      request_body_mapping: '{ "profile": { "firstName": body.first_name } }'` + "\n"
	const response = "      response_mapping: '{ \"id\": response.id }'\n"
	tests := map[string]struct{ expression, file string }{
		"recursion":      {`$f := function($n) { 1 + $f($n + 1) }; $f(0)`, "request_body_mapping"},
		"tail recursion": {`$f := function($n) { $f($n + 1) }; $f(0)`, "request_body_mapping"},
		"doubling":       {`$f := function($s) { $f($s & $s) }; $f("xxxxxxxx")`, "request_body_mapping"},
		"long string":    {`$join([1..9000000].("xxxxxxxxxxxxxxxx"))`, "request_body_mapping"},
		"padding":        {`$pad("x", 500000000)`, "request_body_mapping"},
		"many entries":   {`$count([1..9000000].[1..1000])`, "request_body_mapping"},
		"in the answer":  {`$f := function($s) { $f($s & $s) }; $f("xxxxxxxx")`, "response_mapping"},
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
			details, _ := envelopeOf(t, w, 500)["details"].(map[string]any)
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
