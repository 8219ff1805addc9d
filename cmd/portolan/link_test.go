package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"portolan/accounts"
)

// connect connects an account as a customer with a browser and returns the id of the account.
// consent returns the URL to which the provider's consent page redirects.
func (r *running) connect(t *testing.T, admin, integration string, consent func(browser *http.Client, page *url.URL) *url.URL) string {
	t.Helper()
	tenant := accounts.NewID()
	link := r.must(t, http.StatusCreated, http.MethodPost, "/link-token", admin, map[string]any{"integration": integration, "tenant_id": tenant})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	page := link["link_url"].(string)
	if status, _, body := visit(t, browser, http.MethodGet, page, nil); status != http.StatusOK {
		t.Fatalf("link page: %d %s", status, body)
	}
	status, at, body := visit(t, browser, http.MethodPost, page, url.Values{})
	if at == nil {
		t.Fatalf("no way to the provider: %d %s", status, body)
	}
	if status, _, body := visit(t, browser, http.MethodGet, consent(browser, at).String(), nil); status != http.StatusOK {
		t.Fatalf("callback: %d %s\n%s", status, body, r.stderr)
	}
	list := r.must(t, http.StatusOK, http.MethodGet, accountsPath+"?tenant_id="+tenant, admin, nil)
	return list["result"].([]any)[0].(map[string]any)["id"].(string)
}

// visit returns the status, the target of a redirect (nil if there is none), and the page.
func visit(t *testing.T, browser *http.Client, method, target string, form url.Values) (int, *url.URL, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host) // as browsers do
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, body := exchange(t, browser, req)
	at, _ := res.Location()
	return res.StatusCode, at, body
}

// An account that a customer connects at the consent page of a sandbox provider can be called.
func TestSandboxLinkEndToEnd(t *testing.T) {
	r := start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	id := r.connect(t, demoAdminToken, "teamwork", func(browser *http.Client, page *url.URL) *url.URL {
		if status, _, body := visit(t, browser, http.MethodGet, page.String(), nil); status != http.StatusOK || !strings.Contains(body, "Allow access?") {
			t.Fatalf("consent page: %d %s", status, body)
		}
		status, back, body := visit(t, browser, http.MethodPost, page.String(), url.Values{"decision": {"allow"}})
		if back == nil || back.Query().Get("code") == "" {
			t.Fatalf("consent: %d %s", status, body)
		}
		return back
	})
	all := demo(t)
	at := slices.IndexFunc(all, func(d demoAccountJSON) bool { return d.Integration == "teamwork" })
	answer := r.must(t, http.StatusOK, http.MethodPatch, "/unified/ticketing/users/"+all[at].SampleID+"?integrated_account_id="+id, demoToken, ada)
	if answer["first_name"] != "Ada" {
		t.Errorf("got %v", answer)
	}
}
