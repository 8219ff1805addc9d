package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
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

func TestExchangeOfCodes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		wait  time.Duration
		pairs []string
		error string
	}{
		{"as agreed", 0, nil, ""},
		{"at the last second", 10*time.Minute - time.Second, nil, ""},
		{"expired", 10 * time.Minute, nil, "invalid_grant"},
		{"another code", 0, []string{"code", "AAAA"}, "invalid_grant"},
		{"another verifier", 0, []string{"code_verifier", verifier + "x"}, "invalid_grant"},
		{"without its verifier", 0, []string{"code_verifier", ""}, "invalid_grant"},
		{"the challenge for a verifier", 0, []string{"code_verifier", challengeOf(verifier)}, "invalid_grant"},
		{"another redirect_uri", 0, []string{"redirect_uri", "http://127.0.0.1:9/back"}, "invalid_grant"},
		{"without redirect_uri", 0, []string{"redirect_uri", ""}, "invalid_request"},
		{"another grant_type", 0, []string{"grant_type", "client_credentials"}, "unsupported_grant_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, "lighthouse")
			code := g.code(verifier)
			g.clock.forward(tt.wait)
			status, body := g.exchange(code, tt.pairs...)
			if tt.error != "" {
				g.refused(tt.name, tt.error, status, body)
				if diff := cmp.Diff(Stats{Codes: 1, Requests: 1, Refused: 1}, g.s.Issued("lighthouse")); diff != "" {
					t.Error(diff)
				}
				return
			}
			access, refresh := tokens(body)
			want := map[string]any{
				"access_token": access, "token_type": "Bearer", "expires_in": 3600.0, "refresh_token": refresh, "scope": "read", "keeper": "k1",
			}
			if diff := cmp.Diff(want, body); diff != "" || status != 200 || access == "" || refresh == "" {
				t.Errorf("%d\n%s", status, diff)
			}
			g.expect("a new token", true, access)
			if diff := cmp.Diff(Stats{Codes: 1, Requests: 1, Exchanges: 1}, g.s.Issued("lighthouse")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A code that is used again may be stolen: all that it gave is revoked.
func TestReplayedCode(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "lighthouse")
	code := g.code(verifier)
	_, body := g.exchange(code)
	access, refresh := tokens(body)
	other, _ := g.granted()
	status, body := g.exchange(code)
	g.refused("the second time", "invalid_grant", status, body)
	g.expect("after the replay", false, access)
	g.expect("of another consent", true, other)
	status, body = g.refresh(refresh)
	g.refused("its refresh token", "invalid_grant", status, body)
}

func TestAccessTokensExpire(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "lighthouse")
	access, refresh := g.granted()
	g.clock.forward(time.Hour - time.Second)
	g.expect("at the last second", true, access)
	g.clock.forward(time.Second)
	g.expect("after an hour", false, access)
	status, body := g.refresh(refresh)
	if status != 200 {
		t.Fatal(status, body)
	}
	renewed, _ := tokens(body)
	g.expect("renewed", true, renewed)
	g.expect("the old one", false, access)
	g.expect("a refresh token for an access token", false, refresh)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "lighthouse")
	_, first := g.granted()
	status, body := g.refresh(first, "scope", "read write")
	g.refused("more scope", "invalid_scope", status, body)
	_, body = g.refresh(first, "scope", "read")
	access, second := tokens(body)
	if second == "" || second == first {
		t.Fatalf("the refresh token is not rotated: %v", body)
	}
	_, body = g.refresh(second)
	_, third := tokens(body)
	g.expect("renewed", true, access)
	status, body = g.refresh(first)
	g.refused("a used token", "invalid_grant", status, body)
	g.expect("after the reuse", false, access)
	for _, token := range []string{second, third} {
		status, body = g.refresh(token)
		g.refused("of a revoked grant", "invalid_grant", status, body)
	}
	want := Stats{Codes: 1, Requests: 7, Exchanges: 1, Refreshes: 2, Refused: 4}
	if diff := cmp.Diff(want, g.s.Issued("lighthouse")); diff != "" {
		t.Error(diff)
	}
}

func TestKeptRefreshToken(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "lighthouse", "refresh: rotate", "refresh: keep")
	_, refresh := g.granted()
	for range 2 {
		status, body := g.refresh(refresh)
		access, another := tokens(body)
		if status != 200 || another != "" {
			t.Errorf("got %d %v", status, body)
		}
		g.expect("renewed", true, access)
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "lighthouse")
	access, refresh := g.granted()
	if status, body := g.post(g.p.oauth.revoke, "token", access); status != 200 || body != nil {
		t.Errorf("got %d %v", status, body)
	}
	g.expect("revoked", false, access)
	status, body := g.refresh(refresh)
	if status != 200 {
		t.Fatal(status, body)
	}
	access, refresh = tokens(body)
	g.expect("renewed", true, access)
	g.post(g.p.oauth.revoke, "token", refresh, "client_secret", "wrong")
	g.expect("revoked by somebody else", true, access)
	g.post(g.p.oauth.revoke, "token", refresh)
	g.expect("of a revoked grant", false, access)
	status, body = g.refresh(refresh)
	g.refused("revoked", "invalid_grant", status, body)
}

// TestConcurrentGrants lets many use one code and one refresh token: one of them gets it.
func TestConcurrentGrants(t *testing.T) {
	t.Parallel()
	const many = 50
	g := newGuest(t, "lighthouse")
	code := g.code(verifier)
	_, refresh := g.granted()
	var wait sync.WaitGroup
	var exchanged, renewed atomic.Int32
	start := make(chan struct{})
	for range many {
		wait.Go(func() {
			<-start
			if status, _ := g.exchange(code); status == 200 {
				exchanged.Add(1)
			}
		})
		wait.Go(func() {
			<-start
			if status, body := g.refresh(refresh); status == 200 {
				renewed.Add(1)
				access, _ := tokens(body)
				g.works(access)
			}
		})
	}
	close(start)
	wait.Wait()
	if exchanged.Load() != 1 || renewed.Load() != 1 {
		t.Errorf("%d exchanges and %d renewals, want 1 and 1", exchanged.Load(), renewed.Load())
	}
	want := Stats{Codes: 2, Requests: 2*many + 1, Exchanges: 2, Refreshes: 1, Refused: 2 * (many - 1)}
	if diff := cmp.Diff(want, g.s.Issued("lighthouse")); diff != "" {
		t.Error(diff)
	}
}

// TestAuthorityLocks lets each goroutine do one thing, and nothing afterwards that would
// hide a missing lock from the race detector.
func TestAuthorityLocks(t *testing.T) {
	t.Parallel()
	const many = 50
	o := loadShipped(t, "lighthouse").oauth
	a := newAuthority()
	forever := &consent{expires: clock().Add(time.Hour)}
	given, refused := a.exchange(o, a.consented(forever), "", "", clock())
	if refused != nil {
		t.Fatal(refused)
	}
	code := a.consented(&consent{expires: clock().Add(time.Hour)})
	var renewed, exchanged [many]bool
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() { a.consented(forever) })
		wait.Go(func() { a.grant(given.access, clock()) })
		wait.Go(func() { a.revoke(given.access) })
		wait.Go(func() {
			_, refused := a.renew(o, given.refresh, "", clock())
			renewed[i] = refused == nil
		})
		wait.Go(func() {
			_, refused := a.exchange(o, code, "", "", clock())
			exchanged[i] = refused == nil
		})
	}
	wait.Wait()
	for what, done := range map[string][many]bool{"renewals": renewed, "exchanges": exchanged} {
		n := 0
		for _, yes := range done {
			if yes {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d %s, want 1", n, what)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  string
		status int
		then   bool // the code can be exchanged after the fault
	}{
		{"rate_limited", 429, true},
		{"server_error", 500, true},
		{"html", 200, true},
		{"slow", 200, false},
		{"truncated", 200, false},
		{"none such", 400, true},
		{"fog", 200, false}, // a fault of the API is none of the token endpoint's
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			g := newGuest(t, "lighthouse")
			g.s.Trouble("lighthouse", tt.fault)
			code := g.code(verifier) // the page has no trouble
			if status, body := g.exchange(code); status != tt.status {
				t.Errorf("got %d %v", status, body)
			}
			g.s.Trouble("lighthouse", "")
			if status, body := g.exchange(code); (status == 200) != tt.then {
				t.Errorf("afterwards: %d %v", status, body)
			}
			if n := g.s.Issued("lighthouse").Requests; n != 2 {
				t.Errorf("%d requests counted", n)
			}
		})
	}
}

// TestTeamworkGrant holds the facts of the one provider that has an authorization server:
// what its answer holds, no expiry, no refresh, and a token that is good in both versions.
func TestTeamworkGrant(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "teamwork")
	code := g.code("")
	status, body := g.exchange(code)
	g.refused("a verifier without a challenge", "invalid_grant", status, body)
	_, body = g.exchange(code, "code_verifier", "")
	access, _ := tokens(body)
	want := map[string]any{
		"access_token": access,
		"installation": map[string]any{"id": 410077.0, "name": "Cardigo Bay", "apiEndPoint": "https://cardigo-bay.teamwork.com/"},
		"user":         map[string]any{"id": 500001.0, "firstName": "Odile", "lastName": "Farrowmere", "email": "odile@example.com"},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	g.clock.forward(10 * 365 * 24 * time.Hour)
	calls := []string{"GET /projects/api/v3/me.json", "GET /people/512340.json", "DELETE /people/512340.json"}
	for _, call := range calls {
		method, path, _ := strings.Cut(call, " ")
		if status, body := get(t, method, g.origin+path, "Authorization", "Bearer "+access); status != 200 {
			t.Errorf("%s: %d %s", call, status, body)
		}
	}
	status, body = g.refresh(access)
	g.refused("no refresh", "unsupported_grant_type", status, body)
	g.post(g.p.oauth.revoke, "token", access)
	for _, call := range calls {
		method, path, _ := strings.Cut(call, " ")
		if status, body := get(t, method, g.origin+path, "Authorization", "Bearer "+access); status != 401 {
			t.Errorf("%s, revoked: %d %s", call, status, body)
		}
	}
	code = g.code(verifier)
	g.clock.forward(15 * time.Minute)
	status, body = g.exchange(code)
	g.refused("after 15 minutes", "invalid_grant", status, body)
}

func TestWithoutAuthorizationServer(t *testing.T) {
	t.Parallel()
	p := loadCounter(t, "one")
	if client, ok := p.OAuth(); ok {
		t.Errorf("a client: %v", client)
	}
	s := New([]Mount{{Provider: p}}, clock)
	for _, name := range []string{"one", "none"} {
		s.Trouble(name, "server_error")
		if got := s.Issued(name); got != (Stats{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if status, body := get(t, "GET", serve(t, s)+"/one/counters/a"); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	want := OAuthClient{"portolan-sandbox", "sandbox client+secret"}
	if client, ok := loadShipped(t, "lighthouse").OAuth(); !ok || client != want {
		t.Errorf("got %v %t", client, ok)
	}
}

// FuzzToken sends bodies that nobody was given anything for.
func FuzzToken(f *testing.F) {
	for _, body := range []string{
		"grant_type=authorization_code&code=x&redirect_uri=http://127.0.0.1/&client_id=portolan-sandbox&client_secret=sandbox+client%2Bsecret",
		`{"grant_type":"refresh_token","refresh_token":"x","client_id":"portolan-sandbox","client_secret":"sandbox client+secret"}`,
		"a=%zz", "a;b", "[", `{"a":1}`, "",
	} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	p := loadShipped(f, "lighthouse")
	s := New([]Mount{{Provider: p}}, clock)
	f.Fuzz(func(t *testing.T, body []byte, form bool) {
		r := httptest.NewRequest("POST", "/lighthouse/oauth/token", strings.NewReader(string(body)))
		r.Header.Set("Content-Type", map[bool]string{true: formType, false: "application/json"}[form])
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var answer map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer["error"] == "" || w.Code != 400 && w.Code != 401 {
			t.Error(fmt.Sprint(w.Code), w.Body, err)
		}
	})
}
