package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/server"
	"portolan/upstream"
)

// fails returns a doer that returns an error for each call.
func fails(err error) doer {
	return func(*engine.Call) (*engine.Reply, error) { return nil, err }
}

func TestProviderRefusals(t *testing.T) {
	tests := []struct {
		name, account string
		status        int
		header        http.Header
		body          string
		want          int
		message       string
		retry         string
		insights      string
	}{
		{"400", planhat, 400, nil, `{"message":"no good"}`, 400, "no good", "", "remote_error"},
		{"401", planhat, 401, nil, `{"message":"bad token"}`, 401, "bad token", "", "remote_error"},
		{"403", planhat, 403, nil, `{"message":"not yours"}`, 403, "not yours", "", "forbidden_error remote_error"},
		{"404", planhat, 404, nil, `"no such user"`, 404, "no such user", "", "remote_error"},
		{"405", planhat, 405, nil, `{}`, 405, "the provider answered with status 405", "", "remote_error"},
		{"409", planhat, 409, nil, `{"error":"taken"}`, 409, "taken", "", "remote_error"},
		{"422", planhat, 422, nil, `{"error":{"message":"odd"}}`, 422, "odd", "", "remote_error"},
		{"429", planhat, 429, nil, ``, 429, "the provider answered with status 429", "", "rate_limit_error remote_error"},
		{"429 with Retry-After", planhat, 429, http.Header{"Retry-After": {"7"}}, `{}`, 429, "", "7", "rate_limit_error remote_error"},
		{"429 with a reset", planhat, 429, http.Header{"X-Ratelimit-Reset": {"12"}}, `{}`, 429, "", "12", "rate_limit_error remote_error"},
		{"429 with an epoch", planhat, 429, http.Header{"X-Ratelimit-Reset": {fmt.Sprint(fixedClock().Unix() + 30)}}, `{}`, 429, "", "30", "rate_limit_error remote_error"},
		{"500", planhat, 500, nil, `{"message":"broke"}`, 500, "broke", "", "remote_error"},
		{"500 in HTML", planhat, 500, nil, `<html>oops</html>`, 500, "<html>oops</html>", "", "remote_error"},
		{"503", planhat, 503, http.Header{"Retry-After": {"9"}}, ``, 503, "the provider answered with status 503", "9", "remote_error"},
		{"unheard-of status", planhat, 599, nil, ``, 599, "the provider answered with status 599", "", "remote_error"},
		{"no status of HTTP", planhat, 999, nil, `{"message":"odd"}`, 502, "odd", "", "remote_error"},
		{"600", planhat, 600, nil, ``, 502, "the provider answered with status 600", "", "remote_error"},
		{"99", planhat, 99, nil, ``, 502, "the provider answered with status 99", "", "remote_error"},
		{"407", planhat, 407, nil, ``, 502, "the provider answered with status 407", "", "remote_error"},
		{"429 with a date", planhat, 429, http.Header{"Retry-After": {fixedClock().Add(90 * time.Second).UTC().Format(http.TimeFormat)}}, `{}`, 429, "", "90", "rate_limit_error remote_error"},
		{"429 with an unreadable Retry-After", planhat, 429, http.Header{"Retry-After": {"soon"}}, `{}`, 429, "", "", "rate_limit_error remote_error"},
		{"429 with an unreadable Retry-After and a reset", planhat, 429, http.Header{"Retry-After": {"-5"}, "X-Ratelimit-Reset": {"12"}}, `{}`, 429, "", "12", "rate_limit_error remote_error"},
		{"302", planhat, 302, nil, ``, 502, "the provider answered with status 302", "", "remote_error"},
		{"meaning 404", hiveID, 400, nil, `[{"message":"User not found"}]`, 404, "User not found", "", "remote_error"},
		{"meaning 401", hiveID, 400, nil, `{"message":"Invalid API Key."}`, 401, "Invalid API Key.", "", "remote_error"},
		{"meaning 401 too", pivotal, 403, nil, `{"code":"invalid_authentication","error":"Invalid"}`, 401, "Invalid", "", "remote_error"},
		{"meaning 429", team, 400, http.Header{"X-Ratelimit-Remaining": {"0"}}, `{"MESSAGE":"slow down"}`, 429, "slow down", "", "rate_limit_error remote_error"},
		{"a failure in a success", team, 200, nil, `{"STATUS":"Error","MESSAGE":"not done"}`, 502, "not done", "", "remote_error"},
		{"HTML in a success", planhat, 200, nil, `<html>hello</html>`, 502, "the provider's answer is not JSON", "", "remote_error"},
		{"truncated", planhat, 200, nil, `{"_id":"u1","firstName":"A`, 502, "the provider's answer is not JSON", "", "remote_error"},
	}
	var reply *engine.Reply
	s := newServer(t, doer(func(*engine.Call) (*engine.Reply, error) { return reply, nil }))
	for _, tt := range tests {
		for _, format := range []string{"unified", "raw", "debug"} {
			if format == "raw" && tt.status < 300 && tt.account != team { // raw passes on an invalid answer
				continue
			}
			t.Run(tt.name+" "+format, func(t *testing.T) {
				reply = &engine.Reply{Status: tt.status, Header: http.Header{}, Body: []byte(tt.body)}
				maps.Copy(reply.Header, tt.header)
				w := ask(s, "PATCH", users+tt.account+"&collections[]=7&truto_response_format="+format, `{"first_name":"A","roles":[{"id":"owner"}]}`)
				if tt.account == team {
					w = ask(s, "PATCH", users+tt.account+"&truto_response_format="+format, name)
				}
				e := envelopeOf(t, w, tt.want)
				if message, _ := e["message"].(string); !strings.HasPrefix(message, tt.message) {
					t.Errorf("message %q, want %q", message, tt.message)
				}
				if e["truto_is_remote_error"] != true {
					t.Errorf("not remote: %s", w.Body)
				}
				if diff := cmp.Diff(tt.insights, strings.Join(insights(e), " ")); diff != "" {
					t.Errorf("insights (-want +got)\n%s", diff)
				}
				if status, given := e["provider_status"]; given != (tt.status != tt.want) || given && status != float64(tt.status) {
					t.Errorf("provider_status %v", status)
				}
				if _, raw := e["raw_response"]; !raw {
					t.Errorf("no raw_response: %s", w.Body)
				}
				for header, want := range map[string]string{"Retry-After": tt.retry, "Allow": "", "WWW-Authenticate": "", "Server-Timing": "upstream;dur=0, gateway;dur=0"} {
					if got := w.Header().Get(header); got != want {
						t.Errorf("%s %q, want %q", header, got, want)
					}
				}
			})
		}
	}
}

func TestNoAnswer(t *testing.T) {
	huge := &engine.Reply{Status: 200, Header: http.Header{}, Body: []byte(`"` + strings.Repeat("a", 1<<20))}
	tests := []struct {
		name   string
		err    error
		want   int
		remote bool
	}{
		{"refused", &engine.Error{Kind: engine.KindUpstream, Op: "main", Err: errors.New("connection refused")}, 502, false},
		{"slow", &engine.Error{Kind: engine.KindTimeout, Op: "main", Err: context.DeadlineExceeded}, 504, false},
		{"too large", &engine.Error{Kind: engine.KindProvider, Op: "main", Err: errors.New("too large"), Reply: huge}, 502, true},
		{"account", &engine.Error{Kind: engine.KindAccount, Op: "main", Err: errors.New("api_key is missing")}, 422, false},
		{"some error", errors.New("canary-detail"), 500, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(newServer(t, fails(tt.err)), "PATCH", hiveUser1, name)
			e := envelopeOf(t, w, tt.want)
			if (e["truto_is_remote_error"] == true) != tt.remote || strings.Contains(w.Body.String(), "canary") {
				t.Errorf("%.300s", w.Body)
			}
			if raw, _ := e["raw_response"].(string); len(raw) > 64<<10 {
				t.Errorf("raw_response of %d bytes", len(raw))
			}
		})
	}
}

// An answer says if it shows only a part of the provider's answer. JSON is shown completely.
func TestRawResponseTruncated(t *testing.T) {
	text := func(bytes int) string { return strings.Repeat("x", bytes) }
	for what, tt := range map[string]struct {
		reply      engine.Reply
		incomplete bool // the doer reports an incomplete answer
		length     int  // of raw_response, if it is text
		truncated  any
	}{
		"text that fits":             {engine.Reply{Status: 500, Body: []byte(text(64 << 10))}, false, 64 << 10, nil},
		"text that does not":         {engine.Reply{Status: 500, Body: []byte(text(64<<10 + 1))}, false, 64 << 10, true},
		"no JSON in a success":       {engine.Reply{Status: 200, Body: []byte(text(64<<10 + 1))}, false, 64 << 10, true},
		"JSON":                       {engine.Reply{Status: 500, Body: []byte(`["` + text(1<<20) + `"]`)}, false, 0, nil},
		"nothing":                    {engine.Reply{Status: 500}, false, 0, nil},
		"a success that is cut off":  {engine.Reply{Status: 200, Body: []byte("short"), Truncated: true}, true, 5, true},
		"a failure that is cut off":  {engine.Reply{Status: 500, Body: []byte("short"), Truncated: true}, true, 5, true},
		"nothing of it came":         {engine.Reply{Status: 500, Truncated: true}, true, 0, true},
		"what was cut is still JSON": {engine.Reply{Status: 500, Body: []byte("12"), Truncated: true}, true, 0, true},
	} {
		t.Run(what, func(t *testing.T) {
			s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
				if tt.incomplete {
					return nil, &engine.Error{Kind: engine.KindProvider, Op: c.Name, Reply: &tt.reply, Err: errors.New("answer is cut off")}
				}
				return &tt.reply, nil
			}))
			w := ask(s, "PATCH", hiveUser1, name)
			e := decode(t, w)
			if raw, _ := e["raw_response"].(string); len(raw) != tt.length || e["raw_response"] == nil {
				t.Errorf("raw_response of %d bytes, want %d", len(raw), tt.length)
			}
			if e["raw_response_truncated"] != tt.truncated {
				t.Errorf("raw_response_truncated: %v, want %v", e["raw_response_truncated"], tt.truncated)
			}
		})
	}
}

// lines returns the lines of a log with this message.
func lines(t *testing.T, log, message string) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == message {
			out = append(out, fields)
		}
	}
	return out
}

// TestFaultsOverSockets uses real connections to a faulty provider. The log has the cause of each
// failure.
func TestFaultsOverSockets(t *testing.T) {
	faults := map[string]struct {
		serve   func(http.ResponseWriter, *http.Request) // nil: the port is closed
		status  int
		remote  bool
		message string
		cause   engine.Cause
		said    int // the status of the provider
	}{
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice a closed connection
			<-r.Context().Done()
		}, 504, false, "did not answer in time", engine.CauseDeadline, 0},
		"reset": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 502, false, "no answer from the provider", engine.CauseReset, 0},
		"truncated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"id":`)
		}, 502, true, "", engine.CauseCutOff, 200},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 20 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, 502, true, "", engine.CauseTooLarge, 200},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/", http.StatusTemporaryRedirect)
		}, 502, false, "no answer from the provider", engine.CauseRedirect, 0},
		"html":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 502, true, "not JSON", engine.CauseNotJSON, 200},
		"surplus": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":"u1"}} GARBAGE`) }, 502, true, "not JSON", engine.CauseNotJSON, 200},
		"array":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[{"id":"u1"}]`) }, 502, true, "does not contain the record", engine.CauseNoRecord, 200},
		"scalar":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `5`) }, 502, true, "does not contain the record", engine.CauseNoRecord, 200},
		"deep": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("[", 600)+strings.Repeat("]", 600))
		}, 502, true, "nested too deep", engine.CauseTooDeep, 200},
		"deep refusal": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, strings.Repeat("[", 1000)+"1"+strings.Repeat("]", 1000))
		}, 400, true, "status 400", "", 400},
		"nowhere": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, 502, true, "status 304", engine.CauseRedirect, 304},
		"no":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, 403, true, "", "", 403},
		"refused": {nil, 502, false, "no answer from the provider", engine.CauseRefused, 0},
		"tls":     {func(http.ResponseWriter, *http.Request) {}, 502, false, "no answer from the provider", engine.CauseTLS, 0},
	}
	for fault, tt := range faults {
		t.Run(fault, func(t *testing.T) {
			far := httptest.NewUnstartedServer(http.HandlerFunc(tt.serve))
			far.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs refused connections and panics
			next := http.RoundTripper(&http.Transport{})
			switch fault {
			case "tls":
				far.StartTLS()
			case "refused":
				far.Start()
				far.Close()
			default:
				far.Start()
				next = far.Client().Transport
			}
			defer far.Close()
			defer far.CloseClientConnections()
			to, err := url.Parse(far.URL)
			if err != nil {
				t.Fatal(err)
			}
			timeout := 20 * time.Second
			if fault == "slow" {
				timeout = 20 * time.Millisecond
			}
			var logs bytes.Buffer
			s := newServer(t, upstream.New(upstream.WithRoundTripper(redirected{to, next})), engine.WithTimeout(timeout),
				server.WithLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
			w := ask(s, "PATCH", hiveUser1, name)
			e := envelopeOf(t, w, tt.status)
			if (e["truto_is_remote_error"] == true) != tt.remote || !strings.Contains(fmt.Sprint(e["message"]), tt.message) {
				t.Errorf("%.300s", w.Body)
			}
			if cut := tt.cause == engine.CauseCutOff || tt.cause == engine.CauseTooLarge; (e["raw_response_truncated"] == true) != cut {
				t.Errorf("raw_response_truncated: %v", e["raw_response_truncated"])
			}
			if w.Body.Len() > 70<<10 {
				t.Errorf("an answer of %d bytes", w.Body.Len())
			}
			want := map[string]any{"step": "main", "provider_host": "app.hive.com", "status": float64(tt.status)}
			if tt.said != 0 {
				want["provider_status"] = float64(tt.said)
			}
			if tt.cause != "" {
				want["cause"] = string(tt.cause)
			}
			logged := lines(t, logs.String(), "request")
			if len(logged) != 1 {
				t.Fatalf("log: %s", &logs)
			}
			maps.DeleteFunc(logged[0], func(name string, _ any) bool {
				return !slices.Contains([]string{"step", "provider_host", "provider_status", "cause", "status"}, name)
			})
			if diff := cmp.Diff(want, logged[0]); diff != "" {
				t.Errorf("log (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAccountUnusable(t *testing.T) {
	const id = "00000000-0000-4000-8000-0000000000aa"
	s := serverOver(t, catalog(t), answers(200, hiveUser), store(t, []accounts.Account{
		{ID: id, Integration: "hive", Environment: "default", Context: accounts.Context{"user_id": "u"}},
	}))
	w := ask(s, "PATCH", users+id, name)
	if e := envelopeOf(t, w, 422); !strings.Contains(fmt.Sprint(e["message"]), "api_key") || e["truto_is_remote_error"] != nil {
		t.Errorf("%s", w.Body)
	}
}

func TestResponsePolicy(t *testing.T) {
	odd := answers(200, `{"id":"u1","fullName":7,"email":["x"]}`)
	tests := []struct {
		policy   gateway.Policy
		status   int
		warnings string
	}{{gateway.PolicyOff, 200, ""}, {gateway.PolicyWarn, 200, "2"}, {gateway.PolicyFail, 502, ""}}
	for _, tt := range tests {
		s := newServer(t, odd, gateway.WithPolicy(tt.policy))
		w := ask(s, "PATCH", hiveUser1+"&truto_response_format=debug", name)
		if w.Code != tt.status || w.Header().Get("Portolan-Response-Warnings") != tt.warnings {
			t.Errorf("%s: %d, warnings %q: %s", tt.policy, w.Code, w.Header().Get("Portolan-Response-Warnings"), w.Body)
		}
		if tt.status == 502 {
			got := failureList(t, w)
			slices.Sort(got)
			if diff := cmp.Diff([]string{"/emails/0/email type", "/name type"}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			envelopeOf(t, w, 502)
			continue
		}
		warnings, _ := decode(t, w)["debug"].(map[string]any)["warnings"].([]any)
		if fmt.Sprint(len(warnings)) != strings.Replace("0"+tt.warnings, "02", "2", 1) {
			t.Errorf("%s: debug.warnings %v", tt.policy, warnings)
		}
		if w := ask(s, "PATCH", hiveUser1+"&truto_response_format=raw", name); w.Header().Get("Portolan-Response-Warnings") != "" {
			t.Errorf("%s: raw has no record to check", tt.policy)
		}
	}
}

func TestRaw(t *testing.T) {
	const body = "{\"STATUS\" : \"OK\", \"big\":12345678901234567890,\n \"x\":\"\\u00e9<\"} \n"
	calls := 0
	s := newServer(t, doer(func(*engine.Call) (*engine.Reply, error) {
		calls++
		h := http.Header{
			"Content-Type": {"application/vnd.person+json; charset=utf-8"}, "Etag": {`W/"7"`}, "Set-Cookie": {"a=b"},
			"X-Ratelimit-Limit": {"150"}, "X-Ratelimit-Remaining": {"149"}, "Retry-After": {"1"},
		}
		return &engine.Reply{Status: 201, Header: h, Body: []byte(body)}, nil
	}))
	w := ask(s, "PATCH", users+team+"&truto_response_format=raw", name)
	if w.Code != 201 || w.Body.String() != body || calls != 1 {
		t.Errorf("%d after %d calls: %q", w.Code, calls, w.Body)
	}
	for header, want := range map[string]string{
		"Content-Type": "application/vnd.person+json; charset=utf-8", "Etag": `W/"7"`, "Set-Cookie": "", "Retry-After": "1",
		"Ratelimit-Limit": "150", "Ratelimit-Remaining": "149", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(header); got != want {
			t.Errorf("%s %q, want %q", header, got, want)
		}
	}
}

// Answers are valid UTF-8 and JSON whatever the provider sends. Only raw is byte for byte.
func TestAnswersAreUTF8(t *testing.T) {
	for _, tt := range []struct {
		what   string
		status int
		body   string
		want   int
		shown  string // remote_data or raw_response
	}{
		{"a success", 200, "{\"id\":\"x\", \"fullName\":\"A\xff\xfe\"}", 200, `{"id":"x", "fullName":"A` + "\uFFFD\uFFFD" + `"}`},
		{"a failure", 400, "{\"message\":\"A\xff\xfe\"}", 400, `{"message":"A` + "\uFFFD\uFFFD" + `"}`},
		{"a text", 400, "A\xff\xfe", 400, `"A` + "\uFFFD\uFFFD" + `"`},
		{"a byte order mark", 200, "\uFEFF{}", 502, `"` + "\uFEFF" + `{}"`},
		{"NUL", 400, "{\"message\":\"A\x00\"}", 400, `"{\"message\":\"A\u0000\"}"`},
		{"valid", 200, "{\"id\":\"x\",\"fullName\":\"é\\u00ff\\/\" }", 200, "{\"id\":\"x\",\"fullName\":\"é\\u00ff\\/\" }"},
	} {
		s := newServer(t, answers(tt.status, tt.body))
		for _, format := range []string{"unified", "normalized", "debug"} {
			w := ask(s, "PATCH", hiveUser1+"&truto_response_format="+format, name)
			body := w.Body.Bytes()
			if w.Code != tt.want || !utf8.Valid(body) || !json.Valid(body) {
				t.Errorf("%s as %s: %d %q", tt.what, format, w.Code, body)
			}
			if format != "debug" && !strings.Contains(string(body), tt.shown) {
				t.Errorf("%s as %s: %q is not in %q", tt.what, format, tt.shown, body)
			}
		}
		if tt.want == 200 {
			if w := ask(s, "PATCH", hiveUser1+"&truto_response_format=raw", name); w.Body.String() != tt.body {
				t.Errorf("%s as raw: %q", tt.what, w.Body)
			}
		}
	}
}

// The log has the place of an expression that failed, and none of its values.
func TestMappingFailuresAreLogged(t *testing.T) {
	const mapping = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: users.update
      request_body_schema: {properties: {first_name: {}}}
      request_body_mapping: '{ "first": body.first_name = "canary" ? $number(body.first_name) : body.first_name }'
      response_mapping: '{ "id": response.id }'
`
	language := newLanguage()
	_, known := models(t)
	docs, found := engine.Load(language, engine.Layer{Path: "test", FS: fstest.MapFS{
		"hive/integration.yaml": {Data: []byte(strings.Replace(bareYAML, "name: bare", "name: hive", 1))}, "hive/ticketing.yaml": {Data: []byte(mapping)},
	}})
	catalog, more := engine.Compile(docs, known, nil)
	if found = append(found, more...); found.Failed() {
		t.Fatal(found)
	}
	var logs bytes.Buffer
	unified, _ := models(t)
	s, err := build(catalog, engine.New(answers(200, `{"id":"u1"}`), fixedClock), unified,
		store(t, []accounts.Account{{ID: hiveID, Integration: "hive", Environment: "default"}}), server.WithLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
	if err != nil {
		t.Fatal(err)
	}
	e := envelopeOf(t, ask(s, "PATCH", hiveUser1, `{"first_name":"canary"}`), 500)
	place, _ := e["details"].(map[string]any)["mapping"].(map[string]any)
	for _, line := range lines(t, logs.String(), "request") {
		want := fmt.Sprintf("%v:%v:%v", place["file"], place["line"], place["col"])
		if line["mapping_place"] != want || line["expression"] != place["at"] || !strings.HasSuffix(want, "hive/ticketing.yaml:8:30") {
			t.Errorf("want %s: %v", want, line)
		}
	}
	if logs.Len() == 0 || strings.Contains(logs.String(), "canary") {
		t.Errorf("log: %s", &logs)
	}
}

func TestServerTiming(t *testing.T) {
	clock := &clock{at: fixedClock()}
	unified, _ := models(t)
	s, err := build(catalog(t), engine.New(doer(func(c *engine.Call) (*engine.Reply, error) {
		clock.advance(1500 * time.Microsecond)
		return answers(200, hiveUser)(c)
	}), clock.now), unified, store(t, demoAccounts()), server.WithClock(clock.now))
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"": "upstream;dur=1.5, gateway;dur=0", "&truto_skip_api_call=1": "gateway;dur=0", "&truto_x=1": "gateway;dur=0",
	} {
		w := ask(s, "PATCH", hiveUser1+query, name)
		if got := w.Header().Get("Server-Timing"); got != want {
			t.Errorf("%q: %d Server-Timing %q, want %q", query, w.Code, got, want)
		}
	}
}

// If an after step fails, the write counts as done, and the record is incomplete.
func TestFailedAfterStep(t *testing.T) {
	var logs bytes.Buffer
	s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
		if c.Method == http.MethodGet {
			return answers(500, `{}`)(c)
		}
		return answers(200, `{"STATUS":"OK"}`)(c)
	}), server.WithLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
	w := ask(s, "PATCH", users+team, name)
	if got := w.Header().Get("Portolan-Partial"); w.Code != 200 || got != "read" || decode(t, w)["id"] != "u1" {
		t.Errorf("%d, Portolan-Partial %q: %s", w.Code, got, w.Body)
	}
	for _, line := range lines(t, logs.String(), "request") {
		if line["partial"] != "read" || line["step"] != "read" || line["provider_status"] != 500.0 || line["provider_host"] != "acme.teamwork.com" {
			t.Errorf("log: %v", line)
		}
	}
}
