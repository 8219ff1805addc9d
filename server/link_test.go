package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/server"
)

func TestConnectByConsent(t *testing.T) {
	w := newFixture(t, true)
	path := w.link(`{"integration":"example","label":"Acme","tenant_id":"t-7","redirect_uri":"https://app.example.com/done?a=1","expires_in":600}`)
	b := newBrowser(w)
	page := b.send(http.MethodGet, path, nil)
	if page.Code != 200 || !strings.Contains(page.Body.String(), "Connect with Example &lt;i&gt;&amp;") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	if diff := cmp.Diff([]string{"region:="}, asks(page)); diff != "" {
		t.Errorf("asks for (-want +got)\n%s", diff)
	}
	callback := b.toCallback(path)
	if len(b.cookies) != 1 {
		t.Errorf("cookies %v", b.cookies)
	}
	for name, c := range b.cookies {
		if !strings.HasPrefix(name, "__Host-") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
			t.Errorf("cookie %v", c)
		}
	}
	if head := b.send(http.MethodHead, callback, nil); head.Code != http.StatusOK { // does not use up the state
		t.Errorf("HEAD of the callback: %d", head.Code)
	}
	done := b.send(http.MethodGet, callback, nil)
	list := w.all()
	if done.Code != http.StatusSeeOther || len(list) != 1 {
		t.Fatalf("%d %s, %d accounts", done.Code, done.Body, len(list))
	}
	if want := "https://app.example.com/done?a=1&integrated_account_id=" + list[0].ID; done.Header().Get("Location") != want {
		t.Errorf("Location %s, want %s", done.Header().Get("Location"), want)
	}
	got := w.info(list[0].ID)
	want := map[string]any{"site": "acme", "region": "eu", "access_token": "access-canary-1"}
	if diff := cmp.Diff(want, map[string]any(got.Context)); diff != "" {
		t.Errorf("context (-want +got)\n%s", diff)
	}
	if got.Label != "Acme" || got.TenantID != "t-7" || got.Integration != "example" || got.Status != accounts.StatusActive ||
		got.Grant == nil || got.Grant.RefreshToken.Reveal() != "refresh-canary-1" || !got.Grant.Expiry.Equal(w.clock.now().Add(time.Hour)) {
		t.Errorf("account %+v", got)
	}
	answer := w.update(got.ID, "&truto_response_format=debug")
	calls := w.takeCalls()
	if answer.Code != 200 || len(calls) != 2 || calls[0] != "PUT https://acme.example.com/api/users/u1 Bearer access-canary-1" {
		t.Errorf("%d %s after %v", answer.Code, answer.Body, calls)
	}
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.cookies)
	}
	for _, again := range []string{path, callback} { // neither can be used again
		if answer := b.send(http.MethodGet, again, nil); answer.Code < 400 || answer.Code > 499 || len(w.all()) != 1 {
			t.Errorf("%s again: %d", again, answer.Code)
		}
	}
	audit, err := w.db.Audit(t.Context(), accounts.AuditQuery{Environment: accounts.DefaultEnvironment, Subject: got.ID})
	if err != nil || len(audit.Items) != 1 || !strings.HasPrefix(audit.Items[0].Actor, "link ") {
		t.Errorf("audit %+v, %v", audit, err)
	}
	entries, err := json.Marshal(audit)
	if err != nil {
		t.Fatal(err)
	}
	w.checkNoSecrets(page.Body.String(), done.Body.String(), done.Header().Get("Location"), answer.Body.String(), string(entries))
}

// Nothing is stored after an invalid callback.
func TestCallbackAbuse(t *testing.T) {
	tests := map[string]struct {
		abuse     func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder
		status    int
		exchanges int
		usable    bool // the link, afterwards
	}{
		"another's state": {func(_ *fixture, b *browser, _ string) *httptest.ResponseRecorder {
			return b.send("GET", "/link/callback?state=pts_00000000_"+strings.Repeat("A", 43)+"&code=code-canary-1", nil)
		}, 400, 0, true},
		"no state": {func(_ *fixture, b *browser, _ string) *httptest.ResponseRecorder {
			return b.send("GET", "/link/callback?code=code-canary-1", nil)
		}, 400, 0, true},
		"two states": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", callback+"&state=x", nil)
		}, 400, 0, true},
		"no code": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", strings.Replace(callback, "code=", "kode=", 1), nil)
		}, 400, 0, true},
		"broken escapes": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", callback+"&x=%zz", nil)
		}, 400, 0, true},
		"another browser": {func(w *fixture, _ *browser, callback string) *httptest.ResponseRecorder {
			return newBrowser(w).send("GET", callback, nil)
		}, 403, 0, true},
		"another browser with its own cookie": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			other := newBrowser(w)
			for name, c := range b.cookies {
				other.cookies[name] = &http.Cookie{Name: name, Value: "ptb_x" + c.Value}
			}
			return other.send("GET", callback, nil)
		}, 403, 0, true},
		"another code": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", strings.Replace(callback, "code=code", "code=other-code", 1), nil)
		}, 502, 1, true},
		"expired link": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			w.clock.advance(2 * time.Hour)
			return b.send("GET", callback, nil)
		}, 400, 0, false},
		"a second consent has taken its place": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			for _, c := range b.cookies {
				_, token, _ := strings.Cut(c.Value, ".")
				b.toCallback("/link/" + token)
			}
			return b.send("GET", callback, nil)
		}, 400, 0, true},
		"code of another consent": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder { // PKCE
			other := newBrowser(w)
			stolen, err := url.ParseQuery(strings.TrimPrefix(other.toCallback(w.link(`{"integration":"example"}`)), "/link/callback?"))
			if err != nil {
				w.t.Fatal(err)
			}
			return b.send("GET", regexp.MustCompile(`code=[^&]*`).ReplaceAllString(callback, "code="+stolen.Get("code")), nil)
		}, 502, 1, true},
		"site outside the pattern": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			w.authority.site = "evil.com/"
			return b.send("GET", callback, nil)
		}, 502, 1, true},
		"unusable answer": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			w.authority.answer = func(w http.ResponseWriter) bool { _, _ = w.Write([]byte("<script>canary</script>")); return true }
			return b.send("GET", callback, nil)
		}, 502, 1, true},
		"authorization server is down": {func(w *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			w.authority.answer = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
			return b.send("GET", callback, nil)
		}, 502, 1, true},
		"consent refused": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", strings.Replace(callback, "code=", "error=access_denied&kode=", 1), nil)
		}, 200, 0, true},
		"another refusal": {func(_ *fixture, b *browser, callback string) *httptest.ResponseRecorder {
			return b.send("GET", strings.Replace(callback, "code=", "error=server_error&error_description=%3Cscript%3Ealert(1)%3C/script%3E&kode=", 1), nil)
		}, 502, 0, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t, true)
			path := w.link(`{"integration":"example"}`)
			b := newBrowser(w)
			callback := b.toCallback(path)
			answer := tt.abuse(w, b, callback)
			if answer.Code != tt.status || w.authority.exchanges != tt.exchanges || len(w.all()) != 0 || len(w.takeCalls()) != 0 {
				t.Errorf("%d, %d exchanges, %d accounts: %s", answer.Code, w.authority.exchanges, len(w.all()), answer.Body)
			}
			w.checkNoSecrets(answer.Body.String(), answer.Header().Get("Location"))
			want := http.StatusNotFound
			if tt.usable {
				want = http.StatusOK
			}
			if again := b.send("GET", path, nil); again.Code != want {
				t.Errorf("the link afterwards: %d", again.Code)
			}
			if !tt.usable {
				return
			}
			if strings.Contains(answer.Body.String(), "<form") && !strings.Contains(answer.Body.String(), `action="`+path+`?integration=example"`) {
				t.Errorf("the form leads elsewhere: %s", answer.Body)
			}
			w.authority.site, w.authority.answer = "acme", nil
			if done := b.send("GET", b.toCallback(path), nil); done.Code != 200 || len(w.all()) != 1 {
				t.Errorf("the next try: %d %s", done.Code, done.Body)
			}
		})
	}
}

func TestConnectByFields(t *testing.T) {
	w := newFixture(t, false)
	path := w.link(`{"integration":"example"}`)
	b := newBrowser(w)
	page := b.send("GET", path, nil)
	if diff := cmp.Diff([]string{"site:text=", "api_key:password=", "region:="}, asks(page)); diff != "" {
		t.Errorf("asks for (-want +got)\n%s", diff)
	}
	if strings.Contains(page.Body.String(), "[a-z0-9-]") || !strings.Contains(page.Body.String(), `<option value="us" selected>`) {
		t.Errorf("%s", page.Body)
	}
	good := url.Values{"site": {"acme"}, "api_key": {" key-canary "}, "region": {"eu"}}
	for name, tt := range map[string]struct {
		change url.Values
		status int
		text   string
	}{
		"site outside the pattern": {url.Values{"site": {"evil.com/"}}, 422, "Site does not have the expected form"},
		"markup":                   {url.Values{"site": {`"><script>`}}, 422, `value="&#34;&gt;&lt;script&gt;"`},
		"missing":                  {url.Values{"api_key": {" "}}, 422, "API key is missing"},
		"line break":               {url.Values{"api_key": {"key\r\nX-canary: 1"}}, 422, "API key contains a control character"},
		"NUL":                      {url.Values{"api_key": {"key\x00canary"}}, 422, "API key contains a control character"},
		"none of the enum":         {url.Values{"region": {"mars"}}, 422, "Region must be one of eu, us"},
		"unknown field":            {url.Values{"access_token": {"canary"}}, 400, "cannot be read"},
		"given twice":              {url.Values{"site": {"acme", "other"}}, 400, "cannot be read"},
		"too large":                {url.Values{"api_key": {strings.Repeat("canary", 20_000)}}, 413, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			form := maps.Clone(good)
			maps.Copy(form, tt.change)
			answer := b.send("POST", path, form)
			if answer.Code != tt.status || !strings.Contains(answer.Body.String(), tt.text) || len(w.all()) != 0 || len(w.takeCalls()) != 0 {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
			w.checkNoSecrets(answer.Body.String())
		})
	}
	for name, headers := range map[string][]string{
		"another site":         {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"a sibling":            {"Sec-Fetch-Site", "same-site"},
		"another origin":       {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"an origin it hides":   {"Sec-Fetch-Site", "", "Origin", "null"},
		"no word of an origin": {"Sec-Fetch-Site", "", "Origin", ""},
	} {
		if answer := b.send("POST", path, good, headers...); answer.Code != 403 || len(w.all()) != 0 {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	if answer := b.send("POST", path, good, "Content-Type", "text/plain"); answer.Code != 415 {
		t.Errorf("text/plain: %d", answer.Code)
	}

	w.provider = answers(401, `{"message":"<script>no</script> Key key-canary"}`)
	answer := b.send("POST", path, good)
	if answer.Code != 422 || !strings.Contains(answer.Body.String(), "&lt;script&gt;no&lt;/script&gt; ***") || len(w.all()) != 0 {
		t.Errorf("refused: %d %s", answer.Code, answer.Body)
	}
	w.checkNoSecrets(answer.Body.String())
	if diff := cmp.Diff([]string{"GET https://acme.example.com/api/me Key key-canary"}, w.takeCalls()); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
	w.provider = fails(&engine.Error{Kind: engine.KindUpstream, Op: "main", Err: http.ErrServerClosed})
	if answer := b.send("POST", path, good); answer.Code != 502 || !strings.Contains(answer.Body.String(), "<form") || len(w.all()) != 0 {
		t.Errorf("no answer: %d %s", answer.Code, answer.Body)
	}
	w.provider = nil
	done := b.send("POST", path, good, "Sec-Fetch-Site", "")
	if done.Code != 200 || !strings.Contains(done.Body.String(), "is connected") || len(w.all()) != 1 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	if got := w.info(w.all()[0].ID); got.Context["api_key"] != "key-canary" || got.Context["region"] != "eu" || got.Grant != nil {
		t.Errorf("the account holds %d fields", len(got.Context))
	}
	for _, method := range []string{"GET", "POST"} {
		if answer := b.send(method, path, good); answer.Code != 404 || len(w.all()) != 1 {
			t.Errorf("%s of a used link: %d", method, answer.Code)
		}
	}
	w.checkNoSecrets(done.Body.String())
}

func TestConnectAgain(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	reason := "<script>alert(1)</script>"
	if err := w.db.NeedsReauth(t.Context(), accounts.Actor{Name: "portolan"}, "default", account.ID, "access-canary-1", reason); err != nil {
		t.Fatal(err)
	}
	path := w.link(`{"integration":"example","integrated_account_id":"` + strings.ToUpper(account.ID) + `"}`)
	b := newBrowser(w)
	page := b.send("GET", path, nil)
	if page.Code != 200 || !strings.Contains(page.Body.String(), "must be connected again.") || strings.Contains(page.Body.String(), "script") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	if done := b.send("GET", b.toCallback(path), nil); done.Code != 200 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	got := w.info(account.ID)
	if len(w.all()) != 1 || got.Status != accounts.StatusActive || got.LastError != "" || got.Grant.AccessToken.Reveal() != "access-canary-2" || got.Label != "Acme" {
		t.Errorf("%+v", got)
	}
	if answer := w.update(account.ID, ""); answer.Code != 200 {
		t.Errorf("afterwards: %d %s", answer.Code, answer.Body)
	}

	disabled := accounts.StatusDisabled
	path = w.link(`{"integration":"example","integrated_account_id":"` + account.ID + `"}`)
	callback := b.toCallback(path)
	if _, err := w.db.UpdateAccount(t.Context(), accounts.Actor{Name: "test"}, "default", account.ID, accounts.AccountChange{Status: &disabled}); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{path, callback} {
		if answer := b.send("GET", target, nil); answer.Code != 403 || w.info(account.ID).Status != disabled {
			t.Errorf("%s of a disabled account: %d", target, answer.Code)
		}
	}
}

// An account that was connected by consent can be connected again by its fields, which are then used.
func TestConnectAgainByFields(t *testing.T) {
	w := newFixture(t, false)
	account := w.account(nil)
	path := w.link(`{"integration":"example","integrated_account_id":"` + account.ID + `"}`)
	b := newBrowser(w)
	if done := b.send("POST", path, url.Values{"site": {"acme"}, "api_key": {"key-canary"}}); done.Code != 200 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	w.takeCalls()
	if answer := w.update(account.ID, ""); answer.Code != 200 || !strings.HasSuffix(w.takeCalls()[0], " Key key-canary") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

// What the form asks for and does not get is taken away, so that an old key never goes to a new site.
func TestConnectAgainKeepsNothingBlank(t *testing.T) {
	w := newFixture(t, false)
	account := w.account(func(a *accounts.Account) {
		a.Integration, a.Grant = "loose", nil
		a.Context = accounts.Context{"site": "acme", "api_key": "key-canary", "region": "eu"}
	})
	path := w.link(`{"integration":"loose","integrated_account_id":"` + account.ID + `"}`)
	if done := newBrowser(w).send("POST", path, url.Values{"site": {"evil"}}); done.Code != 200 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	if got := w.info(account.ID).Context; got["site"] != "evil" || got["api_key"] != nil || got["region"] != nil {
		t.Errorf("kept api_key: %v, region: %v", got["api_key"] != nil, got["region"])
	}

	// A consent names the site itself, and asks for no key.
	w = newFixture(t, true)
	w.authority.site = "other"
	account = w.account(func(a *accounts.Account) {
		a.Context = accounts.Context{"site": "acme", "api_key": "key-canary", "region": "eu"}
	})
	b := newBrowser(w)
	path = w.link(`{"integration":"example","integrated_account_id":"` + account.ID + `"}`)
	if done := b.send("GET", b.toCallback(path), nil); done.Code != 200 {
		t.Fatalf("%d %s", done.Code, done.Body)
	}
	if got := w.info(account.ID); got.Context["site"] != "other" || got.Context["api_key"] != nil || got.Grant == nil || got.Grant.AccessToken != "access-canary-2" {
		t.Errorf("kept api_key: %v", got.Context["api_key"] != nil)
	}
}

// The log warns of a secret that is too short to be masked everywhere.
func TestConnectShortSecret(t *testing.T) {
	w := newFixture(t, false)
	const warning = "context/api_key is shorter than 8 characters"
	for _, key := range []string{"key-canary", "canary"} {
		if done := newBrowser(w).send("POST", w.link(`{"integration":"example"}`), url.Values{"site": {"acme"}, "api_key": {key}}); done.Code != 200 {
			t.Fatalf("%d %s", done.Code, done.Body)
		}
		if warned := strings.Contains(w.logs.String(), warning); warned != (key == "canary") {
			t.Errorf("%s: warned %v", key, warned)
		}
	}
}

// Over plain HTTP, for local use, the cookie is not Secure.
func TestPlainPublicURL(t *testing.T) {
	w := newFixture(t, true, server.WithPublicURL("http://127.0.0.1:8080"))
	answer := ask(w, "POST", "/link-token", `{"integration":"example"}`, "Authorization", "Bearer "+adminToken)
	address, _ := decode(t, answer)["link_url"].(string)
	b := newBrowser(w)
	sent := b.send("POST", strings.TrimPrefix(address, "http://127.0.0.1:8080"), url.Values{}, "Sec-Fetch-Site", "", "Origin", "http://127.0.0.1:8080")
	if sent.Code != 303 || !strings.Contains(sent.Header().Get("Location"), url.QueryEscape("http://127.0.0.1:8080/link/callback")) {
		t.Fatalf("%d %s", sent.Code, sent.Header().Get("Location"))
	}
	for name, c := range b.cookies {
		if strings.HasPrefix(name, "__Host-") || c.Secure || !c.HttpOnly {
			t.Errorf("cookie %v", c)
		}
	}
}

// Guessing of links and states is throttled. It keeps nobody from using a link or token that is good,
// and wrong tokens are counted apart.
func TestGuessing(t *testing.T) {
	for _, target := range []string{"/link/guess-%d", "/link/callback?state=guess-%d&code=x"} {
		w := newFixture(t, true)
		path := w.link(`{"integration":"example"}`)
		b := newBrowser(w)
		for i := range 20 {
			if answer := b.send("GET", fmt.Sprintf(target, i), nil); answer.Code == 429 {
				t.Fatalf("%s: 429 after %d", target, i)
			}
		}
		if answer := b.send("GET", fmt.Sprintf(target, 99), nil); answer.Code != 429 || answer.Header().Get("Retry-After") != "3" {
			t.Errorf("%s: %d %v", target, answer.Code, answer.Header())
		}
		if done := b.send("GET", b.toCallback(path), nil); done.Code != 200 {
			t.Errorf("a good link: %d %s", done.Code, done.Body)
		}
		for token, want := range map[string]int{"ptl_wrong": 401, adminToken: 200} {
			if answer := ask(w, "GET", "/audit", "", "Authorization", "Bearer "+token); answer.Code != want {
				t.Errorf("%s: %d", token, answer.Code)
			}
		}
		w.clock.advance(3 * time.Second)
		if answer := b.send("GET", fmt.Sprintf(target, 99), nil); answer.Code == 429 {
			t.Errorf("%s: 429 after three seconds", target)
		}
	}
}

func TestUnknownLinks(t *testing.T) {
	w := newFixture(t, true)
	b := newBrowser(w)
	path := w.link(`{"integration":"example","expires_in":60}`)
	for _, target := range []string{"/link/x", "/link/" + strings.Repeat("a", 300), "/link/%00", path + "x", path + "/more"} {
		if answer := b.send("GET", target, nil); answer.Code != 404 {
			t.Errorf("%s: %d", target, answer.Code)
		}
	}
	w.clock.advance(time.Minute)
	if answer := b.send("GET", path, nil); answer.Code != 404 {
		t.Errorf("expired: %d", answer.Code)
	}
	if secret := strings.TrimPrefix(path, "/link/"); strings.Contains(w.logs.String(), secret) {
		t.Error("the log holds the link's secret")
	}
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	answer := b.send("GET", path, nil)
	if answer.Code != 503 || answer.Header().Get("Retry-After") == "" {
		t.Errorf("without a store: %d %s", answer.Code, fmt.Sprint(answer.Header()))
	}
}
