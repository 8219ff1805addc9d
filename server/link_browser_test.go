package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"portolan/accounts"
)

// link creates a link and returns its path.
func (w *fixture) link(body string) string {
	w.t.Helper()
	answer := ask(w, "POST", "/link-token", body, "Authorization", "Bearer "+adminToken)
	if answer.Code != http.StatusCreated {
		w.t.Fatalf("POST /link-token: %d %s", answer.Code, answer.Body)
	}
	made := decode(w.t, answer)
	address, _ := made["link_url"].(string)
	path, ok := strings.CutPrefix(address, publicURL)
	if token, _ := made["link_token"].(string); !ok || path != "/link/"+token || !strings.HasPrefix(token, "ptk_") {
		w.t.Fatalf("POST /link-token: %v", made)
	}
	return path
}

// browser is the browser of a customer, with cookies and the headers of browsers.
type browser struct {
	w       *fixture
	cookies map[string]*http.Cookie
	origins string // that may frame pages; "" for none
}

func newBrowser(w *fixture) *browser { return &browser{w: w, cookies: map[string]*http.Cookie{}} }

func (b *browser) send(method, target string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", publicURL)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	for _, c := range b.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	answer := httptest.NewRecorder()
	b.w.ServeHTTP(answer, r)
	for _, c := range answer.Result().Cookies() {
		if b.cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	frames, options := "'none'", "DENY"
	if b.origins != "" && answer.Code < 400 {
		frames, options = b.origins, ""
	}
	for name, want := range map[string]string{
		"X-Frame-Options": options, "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := answer.Header().Get(name); got != want {
			b.w.t.Errorf("%s %s: %d with %s %q", method, target, answer.Code, name, got)
		}
	}
	policy := answer.Header().Get("Content-Security-Policy")
	page := answer.Code != http.StatusSeeOther
	if page && (!strings.HasPrefix(policy, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors "+frames+"; form-action ") ||
		answer.Header().Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(answer.Body.String(), "<script") != strings.Contains(policy, "script-src 'nonce-")) {
		b.w.t.Errorf("%s %s: %d, policy %q: %s", method, target, answer.Code, policy, answer.Body)
	}
	return answer
}

var inputs = regexp.MustCompile(`<(?:input|select)[^>]* name="([^"]*)"(?: type="([^"]*)")?(?: value="([^"]*)")?`)

// asks returns the fields of a page as "name:type=value".
func asks(answer *httptest.ResponseRecorder) []string {
	out := []string{}
	for _, m := range inputs.FindAllStringSubmatch(answer.Body.String(), -1) {
		out = append(out, m[1]+":"+m[2]+"="+m[3])
	}
	return out
}

// toCallback submits the form, consents at the provider, and returns the target of the callback.
func (b *browser) toCallback(path string) string {
	b.w.t.Helper()
	answer := b.send(http.MethodPost, path, url.Values{"region": {"eu"}})
	if answer.Code != http.StatusSeeOther {
		b.w.t.Fatalf("POST %s: %d %s", path, answer.Code, answer.Body)
	}
	return "/link/callback?" + b.w.authority.consent(b.w.t, answer.Header().Get("Location")).Encode()
}

func (w *fixture) all() []accounts.Account {
	w.t.Helper()
	page, err := w.db.Accounts(w.t.Context(), accounts.DefaultEnvironment, accounts.AccountQuery{})
	if err != nil {
		w.t.Fatal(err)
	}
	return page.Items
}
