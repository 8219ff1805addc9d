package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testClock is the time elapsed since clock().
type testClock struct{ elapsed atomic.Int64 }

func (c *testClock) now() time.Time          { return clock().Add(time.Duration(c.elapsed.Load())) }
func (c *testClock) advance(d time.Duration) { c.elapsed.Add(int64(d)) }

// oauthClient is a client of one provider's authorization server.
type oauthClient struct {
	t      *testing.T
	s      *Sandbox
	p      *Provider
	clock  *testClock
	origin string // with the provider's name
	fault  string // of each POST; "" for none
}

func newOAuthClient(t *testing.T, provider string, replace ...string) *oauthClient {
	t.Helper()
	g := &oauthClient{t: t, p: loadShipped(t, provider, replace...), clock: &testClock{}}
	g.s = New([]Mount{{Provider: g.p}}, g.clock.now, WithSlow(time.Millisecond))
	g.origin = serve(t, g.s) + "/" + provider
	return g
}

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	back     = "http://127.0.0.1:9/back?from=lighthouse"
)

// consentURL returns the URL of the consent page.
func (g *oauthClient) consentURL(verifier string) string {
	o := g.p.oauth
	query := url.Values{
		"response_type": {"code"}, "client_id": {o.client.ID}, "redirect_uri": {back}, "state": {"a state & more"}, "scope": {"read"},
	}
	if verifier != "" {
		query.Set("code_challenge", challengeOf(verifier))
		query.Set("code_challenge_method", "S256")
	}
	return g.origin + "/" + strings.Join(o.authorize, "/") + "?" + query.Encode()
}

// code consents and returns the code.
func (g *oauthClient) code(verifier string) string {
	g.t.Helper()
	page := g.consentURL(verifier)
	if status, _ := get(g.t, "GET", page); status != 200 {
		g.t.Fatalf("the page answers %d", status)
	}
	req, err := http.NewRequest("POST", page, strings.NewReader("decision=allow"))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", formType)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.t.Fatal(err)
	}
	res.Body.Close()
	to, err := res.Location()
	if err != nil {
		g.t.Fatal(res.Status, err)
	}
	query := to.Query()
	code := query.Get("code")
	query.Del("code")
	if diff := cmp.Diff(url.Values{"from": {"lighthouse"}, "state": {"a state & more"}}, query); diff != "" || code == "" {
		g.t.Errorf("redirected to %s\n%s", to, diff)
	}
	return code
}

// post sends pairs of parameters as the client and returns status and JSON.
func (g *oauthClient) post(path []string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	o := g.p.oauth
	form := url.Values{"client_id": {o.client.ID}, "client_secret": {o.client.Secret}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.origin+"/"+strings.Join(path, "/"), strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Error(err)
		return 0, nil
	}
	req.Header.Set("Content-Type", formType)
	req.Header.Set(FaultHeader, g.fault)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Error(err) // not Fatal: also called from goroutines
		return 0, nil
	}
	defer res.Body.Close()
	src, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Error(err)
	}
	var body map[string]any
	_ = json.Unmarshal(src, &body) // a fault may send anything
	return res.StatusCode, body
}

func (g *oauthClient) exchange(code string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	return g.post(g.p.oauth.token, append([]string{
		"grant_type", "authorization_code", "code", code, "redirect_uri", back, "code_verifier", verifier,
	}, pairs...)...)
}

func (g *oauthClient) refresh(token string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	return g.post(g.p.oauth.token, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// granted consents and returns both tokens.
func (g *oauthClient) granted() (access, refresh string) {
	g.t.Helper()
	status, body := g.exchange(g.code(verifier))
	if status != 200 {
		g.t.Fatal(status, body)
	}
	return tokens(body)
}

func tokens(body map[string]any) (access, refresh string) {
	access, _ = body["access_token"].(string)
	refresh, _ = body["refresh_token"].(string)
	return access, refresh
}

// accepted reports whether the API accepts an access token.
func (g *oauthClient) accepted(access string) bool {
	g.t.Helper()
	status, body := get(g.t, "GET", g.origin+"/me", "Authorization", "Bearer "+access)
	if status != 200 && status != 401 {
		g.t.Errorf("/me answers %d %s", status, body)
	}
	return status == 200
}

func (g *oauthClient) expect(what string, want bool, access string) {
	g.t.Helper()
	if g.accepted(access) != want {
		g.t.Errorf("%s: the access token is accepted: %t, want %t", what, !want, want)
	}
}

// refused checks for an error response of RFC 6749 §5.2.
func (g *oauthClient) refused(what, code string, status int, body map[string]any) {
	g.t.Helper()
	if status != 400 || body["error"] != code {
		g.t.Errorf("%s: got %d %v, want 400 %s", what, status, body, code)
	}
}
