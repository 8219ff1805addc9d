package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pngStart = "\x89PNG\r\n\x1a\n"

func logo(kind, image string) string {
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString([]byte(image))
}

// What an environment shows on pages is hostile input.
func TestAppearanceIsChecked(t *testing.T) {
	o := newAdminFixture(t)
	set := func(name string, value any) (int, []string) {
		body, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			t.Fatal(err)
		}
		w := o.do("root", "PATCH", "/environment/live", string(body))
		return w.Code, failures(decode(t, w))
	}
	for value, want := range map[string]string{
		"https://app.example.com/logo.png": "/logo format", "javascript:alert(1)": "/logo format", "x": "/logo format",
		logo("text/html", "<script>"):                          "/logo format",
		logo("image/svg+xml", "<svg onload='alert(1)'/>"):      "/logo format",
		logo("image/png", "<script>alert(1)</script>"):         "/logo format",
		logo("image/gif", pngStart):                            "/logo format",
		logo("image/png\" onload=\"alert(1)", pngStart):        "/logo format",
		"data:image/png;base64,!!!":                            "/logo format",
		logo("image/png", pngStart) + "\n":                     "/logo format",
		logo("image/png", pngStart+strings.Repeat("x", 65529)): "/logo format",
		logo("image/png", strings.Repeat(pngStart, 80_000)):    "/logo format /logo length",
	} {
		if status, got := set("logo", value); status != 400 || strings.Join(got, " ") != want {
			t.Errorf("logo %.60q: %d %v", value, status, got)
		}
	}
	if w := o.do("root", "PATCH", "/environment/live", `{"logo":"`+logo("image/png", strings.Repeat("x", 5<<20))+`"}`); w.Code != 413 {
		t.Errorf("a logo of 5 MB: %d", w.Code)
	}
	for _, value := range []string{
		"*", "https://*.example.com", "https://app.example.com/", "https://app.example.com/x", "http://app.example.com", "javascript:alert(1)", "null", "",
		"https://app.example.com; script-src *", "https://app.example.com https://evil.example.com", "https://u@app.example.com", "https://a'b.example.com",
		"https://app.example.com\r\nX: y", "'self'", "data:", "https://", "HTTPS://APP.EXAMPLE.COM", "http://localhost.evil.example.com",
	} {
		if status, got := set("allowed_origins", []string{"https://good.example.com", value}); status != 400 || !slices.Equal(got, []string{"/allowed_origins format"}) {
			t.Errorf("origin %q: %d %v", value, status, got)
		}
	}
	for name, value := range map[string]any{
		"label": "a\nb", "logo": 7, "allowed_origins": "https://app.example.com",
	} {
		if status, _ := set(name, value); status != 400 {
			t.Errorf("%s %v: %d", name, value, status)
		}
	}
	if w := o.do("root", "POST", "/environment", `{"name":"x","logo":"javascript:alert(1)","allowed_origins":["*"]}`); w.Code != 400 {
		t.Errorf("a new environment: %d", w.Code)
	}
	if got := o.must(200, "root", "GET", "/environment/live", ""); got["logo"] != nil || got["version"] != 1.0 {
		t.Errorf("stored %v", got)
	}
	image := logo("image/png", pngStart+strings.Repeat("x", 65528))
	origins := []any{"https://app.example.com", "https://app.example.com:8443", "http://localhost:3000"}
	if status, got := set("logo", image); status != 200 {
		t.Errorf("%d %v", status, got)
	}
	if status, got := set("allowed_origins", origins); status != 200 {
		t.Errorf("%d %v", status, got)
	}
	got := o.must(200, "ops", "GET", "/environment/live", "")
	if diff := cmp.Diff(origins, got["allowed_origins"]); diff != "" || got["logo"] != image {
		t.Error(diff)
	}
	if audit := o.do("ops", "GET", "/audit", ""); audit.Body.Len() > 20_000 || !strings.Contains(audit.Body.String(), "data:image/png") {
		t.Errorf("the audit has %d bytes", audit.Body.Len())
	}
	if status, _ := set("logo", nil); status != 200 || o.must(200, "root", "GET", "/environment/live", "")["logo"] != nil {
		t.Errorf("the logo is not removed: %d", status)
	}
}

// The page of a link can be framed by the origins that its environment names, shows who asks, can be left,
// and tells its opener at these origins the result.
func TestEmbeddedLink(t *testing.T) {
	const origins = "https://app.example.com http://localhost:3000"
	for _, byConsent := range []bool{false, true} {
		w := newFixture(t, byConsent)
		image := logo("image/png", pngStart)
		body := `{"label":"<b>Acme</b> \"Ltd\"","logo":"` + image + `","allowed_origins":["` + strings.Join(strings.Fields(origins), `","`) + `"]}`
		if answer := ask(w, "PATCH", "/environment/default", body, "Authorization", "Bearer "+adminToken); answer.Code != 200 {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		path := w.link(`{"integration":"example"}`)
		b := newBrowser(w)
		b.origins = origins
		page := b.send("GET", path, nil, "Sec-Fetch-Dest", "iframe")
		text := page.Body.String()
		for what, want := range map[string]bool{
			"<p>for &lt;b&gt;Acme&lt;/b&gt; &#34;Ltd&#34;</p>": true, `<img class="logo" src="` + image + `" alt="">`: true, "<b>": false,
			`<a href="` + path + `?cancel=true">Cancel</a>`: true, `target="_blank" rel="opener"`: byConsent, "<script": false,
			`Shown in your profile &lt;i&gt;. <a href="https://example.com/help?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">`: !byConsent,
		} {
			if strings.Contains(text, what) != want {
				t.Errorf("by consent %v, %q: %s", byConsent, what, text)
			}
		}
		if policy := page.Header().Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; img-src data:") {
			t.Errorf("policy %s", policy)
		}
		message := func(page string) string {
			m := regexp.MustCompile(`const message = (.*), origins = "([^"]*)";`).FindStringSubmatch(page)
			if m == nil {
				t.Fatalf("no message: %s", page)
			}
			if unescaped := strings.ReplaceAll(m[2], `\/`, "/"); unescaped != origins {
				t.Errorf("origins %s", unescaped)
			}
			return m[1]
		}
		if got := message(b.send("GET", path+"?cancel=true", nil).Body.String()); got != `"closed"` {
			t.Errorf("message %s", got)
		}
		target := path
		if byConsent {
			target = b.toCallback(path)
		}
		method := map[bool]string{true: "GET", false: "POST"}[byConsent]
		done := b.send(method, target, url.Values{"site": {"acme"}, "api_key": {"key-canary"}})
		want := `{"is_truto":true,"result":"success","integration":"example","integrated_account_id":"` + w.all()[0].ID + `"}`
		if got := message(done.Body.String()); got != want {
			t.Errorf("message %s", got)
		}
		nonce := regexp.MustCompile(`'nonce-([0-9a-f]{32})'`).FindStringSubmatch(done.Header().Get("Content-Security-Policy"))
		if nonce == nil || !strings.Contains(done.Body.String(), `<script nonce="`+nonce[1]+`">`) {
			t.Errorf("policy %s", done.Header().Get("Content-Security-Policy"))
		}
		if again := b.send("GET", path, nil); again.Code != 404 { // who names the origins is not known: it cannot be framed
			t.Errorf("again: %d", again.Code)
		}
	}
}

// Without origins the result is told to nobody, and a customer who cancels goes where the link says.
func TestLinkThatIsNotEmbedded(t *testing.T) {
	w := newFixture(t, false)
	b := newBrowser(w)
	path := w.link(`{"integration":"example","redirect_uri":"https://app.example.com/done?a=1"}`)
	left := b.send("GET", path+"?cancel=true", nil)
	if got, want := left.Header().Get("Location"), "https://app.example.com/done?a=1&error=canceled"; left.Code != 303 || got != want {
		t.Errorf("%d %s", left.Code, got)
	}
	path = w.link(`{"tenant_id":"t"}`)
	if page := b.send("GET", path, nil); !strings.Contains(page.Body.String(), fmt.Sprintf(`<a href="%s?cancel=true">`, path)) {
		t.Errorf("%s", page.Body)
	}
	if page := b.send("GET", path+"?cancel=true", nil); page.Code != 200 || !strings.Contains(page.Body.String(), "Nothing was connected.") || strings.Contains(page.Body.String(), "<script") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
}
