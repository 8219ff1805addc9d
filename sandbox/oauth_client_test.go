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

// movable is a clock that tests put forward.
type movable struct{ ahead atomic.Int64 }

func (m *movable) now() time.Time          { return clock().Add(time.Duration(m.ahead.Load())) }
func (m *movable) forward(d time.Duration) { m.ahead.Add(int64(d)) }

// guest is a client of the authorization server of one provider, lighthouse or another.
type guest struct {
	t      *testing.T
	s      *Sandbox
	p      *Provider
	clock  *movable
	origin string // with the provider's name
}

func newGuest(t *testing.T, provider string, replace ...string) *guest {
	t.Helper()
	g := &guest{t: t, p: loadShipped(t, provider, replace...), clock: &movable{}}
	g.s = New([]Mount{{Provider: g.p}}, g.clock.now, WithSlow(time.Millisecond))
	g.origin = serve(t, g.s) + "/" + provider
	return g
}

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	back     = "http://127.0.0.1:9/back?from=lighthouse"
)

// ask gives the address of the page that asks for consent.
func (g *guest) ask(verifier string) string {
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

// code consents and gives the code.
func (g *guest) code(verifier string) string {
	g.t.Helper()
	page := g.ask(verifier)
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
		g.t.Errorf("back to %s\n%s", to, diff)
	}
	return code
}

// post sends pairs of parameters as the client and gives status and JSON.
func (g *guest) post(path []string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	o := g.p.oauth
	form := url.Values{"client_id": {o.client.ID}, "client_secret": {o.client.Secret}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	res, err := http.PostForm(g.origin+"/"+strings.Join(path, "/"), form)
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
	_ = json.Unmarshal(src, &body) // of faults it may be anything
	return res.StatusCode, body
}

func (g *guest) exchange(code string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	return g.post(g.p.oauth.token, append([]string{
		"grant_type", "authorization_code", "code", code, "redirect_uri", back, "code_verifier", verifier,
	}, pairs...)...)
}

func (g *guest) refresh(token string, pairs ...string) (int, map[string]any) {
	g.t.Helper()
	return g.post(g.p.oauth.token, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// granted consents and gives both tokens.
func (g *guest) granted() (access, refresh string) {
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

// works says whether the API takes an access token.
func (g *guest) works(access string) bool {
	g.t.Helper()
	status, body := get(g.t, "GET", g.origin+"/me", "Authorization", "Bearer "+access)
	if status != 200 && status != 401 {
		g.t.Errorf("/me answers %d %s", status, body)
	}
	return status == 200
}

func (g *guest) expect(what string, want bool, access string) {
	g.t.Helper()
	if g.works(access) != want {
		g.t.Errorf("%s: the access token works: %t, want %t", what, !want, want)
	}
}

// refused checks for an answer of RFC 6749 §5.2.
func (g *guest) refused(what, code string, status int, body map[string]any) {
	g.t.Helper()
	if status != 400 || body["error"] != code {
		g.t.Errorf("%s: got %d %v, want 400 %s", what, status, body, code)
	}
}
