package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCodeExchange(t *testing.T) {
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
			g := newOAuthClient(t, "lighthouse")
			code := g.code(verifier)
			g.clock.advance(tt.wait)
			status, body := g.exchange(code, tt.pairs...)
			if tt.error != "" {
				g.refused(tt.name, tt.error, status, body)
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
		})
	}
}

func TestOptionalPKCE(t *testing.T) {
	t.Parallel()
	g := newOAuthClient(t, "lighthouse", "pkce: required", "pkce: optional")
	code := g.code("")
	status, body := g.exchange(code)
	g.refused("a verifier without a challenge", "invalid_grant", status, body)
	if status, body := g.exchange(code, "code_verifier", ""); status != 200 {
		t.Errorf("without both: %d %v", status, body)
	}
}

// Using a code again revokes all its tokens: it may be stolen.
func TestReplayedCode(t *testing.T) {
	t.Parallel()
	g := newOAuthClient(t, "lighthouse")
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
	g := newOAuthClient(t, "lighthouse")
	access, refresh := g.granted()
	g.clock.advance(time.Hour - time.Second)
	g.expect("at the last second", true, access)
	g.clock.advance(time.Second)
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
	g := newOAuthClient(t, "lighthouse")
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
}

func TestKeptRefreshToken(t *testing.T) {
	t.Parallel()
	g := newOAuthClient(t, "lighthouse", "refresh: rotate", "refresh: keep")
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
	g := newOAuthClient(t, "lighthouse")
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

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  string
		status int
		unused bool // the fault leaves the code unused
	}{
		{"rate_limited", 429, true},
		{"server_error", 500, true},
		{"html", 200, true},
		{"slow", 200, false},
		{"truncated", 200, false},
		{"none such", 400, true},
		{"fog", 200, false}, // only built-in faults apply to the token endpoint
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			g := newOAuthClient(t, "lighthouse")
			code := g.code(verifier)
			g.fault = tt.fault
			if status, body := g.exchange(code); status != tt.status {
				t.Errorf("got %d %v", status, body)
			}
			g.fault = ""
			if status, body := g.exchange(code); (status == 200) != tt.unused {
				t.Errorf("afterwards: %d %v", status, body)
			}
		})
	}
}

// TestTeamworkGrant checks the shipped authorization server: the token response, no expiry,
// no refresh token, and an access token that both API versions accept.
func TestTeamworkGrant(t *testing.T) {
	t.Parallel()
	g := newOAuthClient(t, "teamwork")
	if status, body := get(t, "GET", strings.Replace(g.consentURL(verifier), "S256", "plain", 1)); status != 200 {
		t.Errorf("a challenge that no server checks: %d %s", status, body)
	}
	code := g.code(verifier)
	_, body := g.exchange(code, "code_verifier", "not the one of the challenge")
	access, _ := tokens(body)
	want := map[string]any{
		"access_token": access,
		"installation": map[string]any{"id": 410077.0, "name": "Cardigo Bay", "apiEndPoint": "https://cardigo-bay.teamwork.com/"},
		"user":         map[string]any{"id": 500001.0, "firstName": "Odile", "lastName": "Farrowmere", "email": "odile@example.com"},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Error(diff)
	}
	g.clock.advance(10 * 365 * 24 * time.Hour)
	calls := []string{"GET /projects/api/v3/me.json", "GET /people/512340.json", "DELETE /people/512340.json"}
	for _, call := range calls {
		method, path, _ := strings.Cut(call, " ")
		if status, body := get(t, method, g.origin+path, "Authorization", "Bearer "+access); status != 200 {
			t.Errorf("%s: %d %s", call, status, body)
		}
	}
	status, body := g.refresh(access)
	g.refused("no refresh", "unsupported_grant_type", status, body)
	g.post(g.p.oauth.revoke, "token", access)
	for _, call := range calls {
		method, path, _ := strings.Cut(call, " ")
		if status, body := get(t, method, g.origin+path, "Authorization", "Bearer "+access); status != 401 {
			t.Errorf("%s, revoked: %d %s", call, status, body)
		}
	}
	code = g.code(verifier)
	g.clock.advance(15 * time.Minute)
	status, body = g.exchange(code)
	g.refused("after 15 minutes", "invalid_grant", status, body)
}

func TestWithoutAuthorizationServer(t *testing.T) {
	t.Parallel()
	p := loadCounter(t, "one")
	if client, ok := p.OAuth(); ok {
		t.Errorf("unexpected client: %v", client)
	}
	s := New([]Mount{{Provider: p}}, clock)
	if status, body := get(t, "GET", serve(t, s)+"/one/counters/a"); status != 200 {
		t.Errorf("got %d %s", status, body)
	}
	want := OAuthClient{"portolan-sandbox", "sandbox client+secret"}
	if client, ok := loadShipped(t, "lighthouse").OAuth(); !ok || client != want {
		t.Errorf("got %v %t", client, ok)
	}
}

// FuzzToken sends bodies without a valid code or token.
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
