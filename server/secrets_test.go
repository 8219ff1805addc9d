package server_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/accounts/database"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
)

// canaries looks for marked secrets in all outputs of the server.
type canaries struct {
	t       *testing.T
	w       *fixture
	secrets []string
	looked  int
}

// hide adds secrets that no further output may show.
func (c *canaries) hide(secrets ...string) { c.secrets = append(c.secrets, secrets...) }

// look reports an error if text shows a secret: plain, URL-encoded or as JSON.
func (c *canaries) look(what, text string) {
	c.t.Helper()
	c.looked++
	for _, secret := range c.secrets {
		for _, form := range []string{secret, url.QueryEscape(secret), strings.ReplaceAll(secret, `"`, `\"`)} {
			if i := strings.Index(text, form); i >= 0 {
				c.t.Errorf("%s shows a secret: …%.160s", what, text[max(0, i-80):])
			}
		}
	}
}

// ask sends a request as an administrator and checks the whole answer.
func (c *canaries) ask(want int, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	c.t.Helper()
	answer := ask(c.w, method, target, body, append([]string{"Authorization", "Bearer " + adminToken}, headers...)...)
	if answer.Code != want {
		c.t.Errorf("%s %s: want %d, got %d %s", method, target, want, answer.Code, answer.Body)
	}
	c.look(method+" "+target, answer.Body.String())
	c.look(method+" "+target+", headers", fmt.Sprint(answer.Header()))
	return answer
}

// TestCanary checks that marked secrets do not appear in any answer, error, panic, page, audit
// entry, metric, printed value or debug log.
func TestCanary(t *testing.T) {
	w := newFixture(t, true)
	c := &canaries{t: t, w: w}
	const key, site = `canary-key "quoted" & é`, "acme"
	c.hide(adminToken, callToken, "client-secret-canary", "access-canary", "refresh-canary", "code-canary")

	// Connect an account with a marked credential, and call it in all ways.
	made := c.ask(201, "POST", "/integrated-account?verify=true",
		`{"integration":"example","label":"Acme","context":{"site":"acme","api_key":"canary-key \"quoted\" & é"}}`)
	c.hide(key)
	c.look("the answer that stored it", made.Body.String())
	id, _ := decode(t, made)["id"].(string)
	echo := func(status int) func(*engine.Call) (*engine.Reply, error) {
		return func(call *engine.Call) (*engine.Reply, error) {
			sent := bearer(call)
			return answers(status, `{"message":`+quoted("you sent "+sent+" for "+call.Target())+`,"seen":`+quoted(sent)+`}`)(call)
		}
	}
	fails := func(kind engine.Kind) func(*engine.Call) (*engine.Reply, error) {
		return func(*engine.Call) (*engine.Reply, error) {
			return nil, &engine.Error{Kind: kind, Op: "call", Err: errors.New("no answer")}
		}
	}
	panics := func(call *engine.Call) (*engine.Reply, error) { panic(fmt.Sprintf("%+v %s", call, bearer(call))) }
	target := "/unified/ticketing/users/u1?integrated_account_id=" + id
	for _, format := range []string{"unified", "normalized", "debug", "raw"} {
		for _, way := range []struct {
			status   int
			provider func(*engine.Call) (*engine.Reply, error)
			panics   bool // ends the call without a report
		}{
			{200, nil, false},
			{400, echo(400), false},
			{401, echo(401), false},
			{403, echo(403), false},
			{429, echo(429), false},
			{500, echo(500), false},
			{502, fails(engine.KindUpstream), false},
			{504, fails(engine.KindTimeout), false},
			{500, fails(engine.KindMapping), false},
			{422, fails(engine.KindAccount), false},
			{499, fails(engine.KindCanceled), false},
			{500, panics, true},
		} {
			w.provider = way.provider
			answer := c.ask(way.status, "PATCH", target+"&truto_response_format="+format, `{"first_name":"Ada"}`)
			shown := strings.Contains(answer.Body.String(), `"debug":{"requestUrl":"https://acme.example.com/api/users/u1"`)
			if want := format == "debug" && !way.panics; shown != want {
				t.Errorf("%d as %s: debug %t, want %t: %s", way.status, format, shown, want, answer.Body)
			}
		}
	}
	w.provider = nil
	c.ask(200, "PATCH", target+"&truto_skip_api_call=true", `{"first_name":"Ada"}`)
	c.ask(400, "PATCH", target, `{"first_name":null,"canary":1}`)
	c.ask(401, "PATCH", target, `{}`, "Authorization", "Bearer "+callToken+"x")
	for _, integration := range []string{"reads", "writes"} { // the provider refuses a before step
		stepped := c.ask(201, "POST", "/integrated-account", `{"integration":"`+integration+`","context":{"site":"acme","api_key":"canary-key \"quoted\" & é"}}`)
		made, _ := decode(t, stepped)["id"].(string)
		w.provider = echo(403)
		failed := c.ask(403, "PATCH", "/unified/ticketing/users/u1?truto_response_format=debug&integrated_account_id="+made, `{"first_name":"Ada"}`)
		if !strings.Contains(failed.Body.String(), `"steps":[{"name":"prepared","requestUrl":"https://acme.example.com/api/me"`) {
			t.Errorf("%s: no steps in %s", integration, failed.Body)
		}
		w.provider = nil
	}

	// A grant that is renewed, one that is refused, and one with a faulty authorization server.
	granted := w.account(nil)
	target = "/unified/ticketing/users/u1?integrated_account_id=" + granted.ID
	w.clock.advance(2 * time.Hour)
	c.ask(200, "PATCH", target+"&truto_response_format=debug", `{"first_name":"Ada"}`)
	w.provider = echo(401)
	c.ask(401, "PATCH", target, `{"first_name":"Ada"}`)
	w.provider = nil
	w.authority.refresh = ""
	w.clock.advance(2 * time.Hour)
	c.ask(401, "PATCH", target, `{"first_name":"Ada"}`)
	c.ask(200, "GET", "/integrated-account/"+granted.ID, "") // with its last_error
	broken := w.account(nil)
	w.clock.advance(2 * time.Hour)
	w.authority.answer = func(rw http.ResponseWriter) bool {
		rw.WriteHeader(500)
		_, _ = rw.Write([]byte("<html>refresh-canary access-canary client-secret-canary"))
		return true
	}
	c.ask(502, "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+broken.ID, `{"first_name":"Ada"}`)
	w.authority.answer = nil

	// All routes of the admin API, and their errors.
	c.ask(200, "GET", "/integrated-account", "")
	c.ask(200, "GET", "/integrated-account/"+id, "")
	c.ask(200, "PATCH", "/integrated-account/"+id, `{"context":{"api_key":"canary-key \"quoted\" & é"},"label":"new"}`)
	w.provider = echo(401)
	c.ask(401, "PATCH", "/integrated-account/"+id+"?verify=true", `{"context":{"api_key":"canary-key \"quoted\" & é"}}`)
	w.provider = nil
	c.hide("canary-bad")
	c.ask(400, "PATCH", "/integrated-account/"+id, `{"context":{"api_key":"canary-bad\u0000","site":"canary-bad/","region":"canary-bad"}}`)
	c.ask(400, "POST", "/integrated-account", `{"integration":"example","context":{"api_key":["canary-bad"],"site":{"a":"canary-bad"}}}`)
	c.ask(400, "POST", "/integrated-account", `{"integration":"example","context":{"api_key":"canary-bad"`)
	c.ask(400, "PATCH", "/integrated-account/"+id,
		`{"overrides":{"ticketing.users.update":{"response_mapping":"{ \"x\": context.api_key }"}}}`)
	for _, path := range []string{"/api-token", "/integrated-account/" + id + "/token"} {
		fresh := ask(w, "POST", path, map[bool]string{true: `{"name":"ci","role":"call"}`}[path == "/api-token"], "Authorization", "Bearer "+adminToken)
		secret, _ := decode(t, fresh)["token"].(string)
		if fresh.Code != 201 || len(secret) < 40 {
			t.Fatalf("%s: %d %s", path, fresh.Code, fresh.Body)
		}
		c.hide(secret)
		ask(w, "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+id, `{"first_name":"Ada"}`, "Authorization", "Bearer "+secret)
		ask(w, "GET", "/environment", "", "Authorization", "Bearer "+secret)
	}
	c.ask(200, "GET", "/api-token", "")
	c.ask(200, "GET", "/environment", "")

	// Pages: one account is connected by its fields, one by consent.
	link := ask(w, "POST", "/link-token", `{"integration":"example","label":"by page"}`, "Authorization", "Bearer "+adminToken)
	secret, _ := decode(t, link)["link_token"].(string)
	if link.Code != 201 || secret == "" {
		t.Fatalf("%d %s", link.Code, link.Body)
	}
	w.provider = echo(401)
	form := url.Values{"site": {site}, "api_key": {key}}
	page := ask(w, "POST", "/link/"+secret, form.Encode(), "Authorization", "", "Content-Type", "application/x-www-form-urlencoded", "Origin", publicURL)
	c.look("the page that refuses a key", strings.ReplaceAll(page.Body.String(), secret, ""))
	w.provider = nil
	c.hide(secret)
	c.look("the page of a wrong link", ask(w, "GET", "/link/"+secret+"x", "", "Authorization", "").Body.String())

	// Audit log, metrics, and a store that is unavailable.
	c.ask(200, "GET", "/audit?limit=500", "")
	c.look("the metrics", ask(w.Operations(), "GET", "/metrics", "").Body.String())
	c.ask(200, "GET", "/readyz", "")
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(time.Second)
	c.ask(503, "GET", "/readyz", "")
	c.ask(503, "PATCH", target, `{"first_name":"Ada"}`)
	c.ask(503, "GET", "/integrated-account", "")

	c.prints(key)
	c.look("the log", w.logs.String())
	if c.looked < 150 || w.logs.Len() < 10_000 {
		t.Errorf("only %d texts and %d bytes of log were looked at", c.looked, w.logs.Len())
	}
}

// TestEchoes checks that a secret is masked in whatever encoding a provider sends it back, in
// raw_response and in debug.data, and that JSON stays JSON.
func TestEchoes(t *testing.T) {
	for _, key := range []string{"aZ3/kk+Qw9/LmN0==", `quote"d"key`, "<key>&more"} {
		w := newFixture(t, true)
		body, _ := json.Marshal(map[string]any{"integration": "example", "context": map[string]any{"site": "acme", "api_key": key}})
		made := ask(w, "POST", "/integrated-account", string(body), "Authorization", "Bearer "+adminToken)
		id, _ := decode(t, made)["id"].(string)
		var escaped strings.Builder
		for _, r := range key {
			fmt.Fprintf(&escaped, `\u%04X`, r)
		}
		php := strings.ReplaceAll(quoted(key), "/", `\/`)
		bare := php[1 : len(php)-1]
		for _, tt := range []struct{ answer, want string }{
			{`{"message":"bad key ` + bare + `"}`, `{"message":"bad key ***"}`},
			{`{"message":"bad key ` + escaped.String() + `"}`, `{"message":"bad key ***"}`},
			{`{ "a" : 1.0, "` + escaped.String() + `": [1e2], "a": "x\/y" }`, `{"a":1.0,"***":[1e2],"a":"x\/y"}`},
			{`{"a":"` + escaped.String() + `","a":1}`, `{"a":"***","a":1}`},
			{`{"message":` + quoted(html.EscapeString(key)) + `}`, `{"message":"***"}`},
			{`{"message":` + quoted(quoted(key)) + `}`, `{"message":"\"***\""}`},
			{`{"message":"` + base64.StdEncoding.EncodeToString([]byte("Key "+key)) + `"}`, ``},
			{`bad key ` + html.EscapeString(key), `"bad key ***"`},
			{`bad key ` + url.PathEscape(key), `"bad key ***"`},
			{"\uFEFF" + `{"message":"bad key ` + escaped.String() + `"}`, `"` + "\uFEFF" + `{\"message\":\"bad key ***\"}"`},
			{`{"message":"bad key ` + escaped.String(), `"{\"message\":\"bad key ***"`},
		} {
			w.provider = answers(400, tt.answer)
			answer := ask(w, "PATCH", "/unified/ticketing/users/u1?truto_response_format=debug&integrated_account_id="+id, `{"first_name":"Ada"}`,
				"Authorization", "Bearer "+callToken)
			var shown struct {
				Raw   json.RawMessage `json:"raw_response"`
				Debug struct{ Data json.RawMessage }
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &shown); err != nil {
				t.Fatalf("%v: %s", err, answer.Body)
			}
			if tt.want == "" {
				tt.want = string(shown.Raw)
				if !strings.Contains(tt.want, "***") {
					t.Errorf("%s: %s", tt.answer, tt.want)
				}
			}
			if diff := cmp.Diff([]string{tt.want, tt.want}, []string{string(shown.Raw), string(shown.Debug.Data)}); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.answer, diff)
			}
		}
	}
}

// A stored value that cannot be opened, because its master key was not given to this server, is a
// failure that does not go away. The log states which value.
func TestMissingMasterKey(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	target := "/unified/ticketing/users/u1?integrated_account_id=" + account.ID
	b := newBrowser(w)
	callback := b.toCallback(w.link(`{"integration":"example"}`))
	newKey, err := accounts.NewKey("k2")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := accounts.ParseKeyring(newKey + "," + w.key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := database.OpenSQLite(t.Context(), w.file, database.Options{Keys: keys, Now: w.clock.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if n, err := other.Reseal(t.Context(), 100); err != nil || n < 3 {
		t.Fatal(n, err)
	}
	const reason = "a stored value cannot be read: it is damaged, or its master key is missing"
	for _, tt := range []struct{ method, target, body, want string }{
		{"PATCH", target, `{"first_name":"Ada"}`, reason},
		{"PATCH", "/integrated-account/" + account.ID, `{"label":"x","context":{"site":"acme"}}`, reason},
	} {
		w.logs.Reset()
		answer := ask(w, tt.method, tt.target, tt.body, "Authorization", "Bearer "+adminToken)
		if answer.Code != 500 || !strings.Contains(answer.Body.String(), tt.want) || answer.Header().Get("Retry-After") != "" {
			t.Errorf("%s %s: %d %s", tt.method, tt.target, answer.Code, answer.Body)
		}
		if !strings.Contains(w.logs.String(), "of "+account.ID+": encrypted with a master key that is missing") {
			t.Errorf("the log does not say which value: %s", w.logs)
		}
	}
	if page := b.send("GET", callback, nil); page.Code != 500 || !strings.Contains(page.Body.String(), "This service has a problem that does not go away by itself.") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
}

// prints checks all values with secrets, printed with fmt and as JSON.
func (c *canaries) prints(key string) {
	c.t.Helper()
	masterKey, err := accounts.NewKey("k1")
	if err != nil {
		c.t.Fatal(err)
	}
	_, raw, _ := strings.Cut(masterKey, ":")
	c.hide(raw, "verifier-canary")
	ring, err := accounts.ParseKeyring(masterKey)
	if err != nil {
		c.t.Fatal(err)
	}
	grant := &accounts.Grant{AccessToken: "access-canary", RefreshToken: "refresh-canary"}
	account := accounts.Account{ID: "a", Context: accounts.Context{"api_key": key}, Grant: grant}
	link := accounts.Link{Verifier: "verifier-canary", Context: accounts.Context{"api_key": key}, Browser: accounts.HashToken("x")}
	for what, v := range map[string]any{
		"account": account, "account's address": &account, "change": accounts.AccountChange{Context: account.Context, Grant: grant},
		"link": link, "grant": *grant, "keyring": ring, "stored token": accounts.StoredToken{Hash: accounts.HashToken(key)},
		"app": gateway.OAuthApp{ClientSecret: "client-secret-canary"}, "oauth app": oauth.App{ClientSecret: "client-secret-canary"},
		"request": &engine.Request{Context: engine.Context(account.Context)}, "param": engine.Param{Name: "k", Value: key, Secret: true},
		"database": c.w.db, "server": errors.Join(fmt.Errorf("%w: %v", errors.ErrUnsupported, account)),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			c.look(what+" as "+verb, fmt.Sprintf(verb, v))
		}
	}
}

// quoted returns s as JSON.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
