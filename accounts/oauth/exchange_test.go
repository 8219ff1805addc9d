package oauth

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

const callback = "https://portolan.example.com/link/callback"

func TestExchange(t *testing.T) {
	w := newKeeperTest(t, nil)
	verifier := NewVerifier()
	if verifier == NewVerifier() {
		t.Error("two verifiers are equal")
	}
	consent, err := url.Parse(w.app().ConsentURL(callback, "state-1", verifier))
	if err != nil {
		t.Fatal(err)
	}
	query := consent.Query()
	challenge := query.Get("code_challenge")
	want := url.Values{
		"client_id": {"app"}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"a b"}, "state": {"state-1"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	if diff := cmp.Diff(want, query); diff != "" || challenge == "" || consent.Path != "/authorize" {
		t.Error(consent.Path, diff)
	}
	_, _, err = w.keeper.Exchange(t.Context(), w.app(), callback, challenge+canary, NewVerifier())
	wantKind(t, err, Refused)
	g, answer, err := w.keeper.Exchange(t.Context(), w.app(), callback, challenge+canary, verifier)
	if err != nil {
		t.Fatal(err)
	}
	wantGrant := accounts.Grant{
		AccessToken: accounts.Secret(token("access", 1)), RefreshToken: accounts.Secret(token("refresh", 1)), Expiry: noon.Add(time.Hour),
	}
	if g != wantGrant {
		t.Errorf("got %q %q %v", g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.Expiry)
	}
	wantAnswer := map[string]any{
		"access_token": token("access", 1), "refresh_token": token("refresh", 1), "token_type": "Bearer",
		"expires_in": json.Number("3600"), "account_number": json.Number("9007199254740993"),
	}
	if diff := cmp.Diff(wantAnswer, answer); diff != "" {
		t.Error(diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.keeper.Exchange(ctx, w.app(), callback, "code", verifier); err != context.Canceled { //nolint:errorlint // the same value
		t.Errorf("got %v", err)
	}
}

func TestUnusualResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		body   string
		expiry time.Time
	}{
		"no lifetime": {`{"access_token":"a"}`, time.Time{}},
		"null":        {`{"access_token":"a","expires_in":null,"refresh_token":null}`, time.Time{}},
		"text":        {`{"access_token":"a","expires_in":"60"}`, noon.Add(time.Minute)},
		"zero":        {`{"access_token":"a","expires_in":0}`, time.Time{}},
		"negative":    {`{"access_token":"a","expires_in":-5}`, time.Time{}},
		"huge":        {`{"access_token":"a","expires_in":9000000000000000000}`, noon.Add((1<<31 - 1) * time.Second)},
		"form":        {`access_token=a&expires_in=60`, noon.Add(time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeeperTest(t, nil)
			w.respond = func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/plain") // as some providers do
				_, _ = io.WriteString(rw, tt.body)
			}
			g, _, err := w.keeper.Exchange(t.Context(), w.app(), callback, canary, NewVerifier())
			if err != nil || g.AccessToken != "a" || g.RefreshToken != "" || !g.Expiry.Equal(tt.expiry) {
				t.Errorf("got %v, %v", g.Expiry, err)
			}
		})
	}
}
