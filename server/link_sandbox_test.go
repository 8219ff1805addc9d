package server_test

import (
	"context"
	"crypto/rand"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/sandbox"
	"portolan/server"
	"portolan/upstream"
)

// sandboxAccounts is a directory whose accounts have the base URLs of the sandbox.
type sandboxAccounts struct {
	accounts.Directory
	base string
}

func (p sandboxAccounts) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	a, err := p.Directory.Account(ctx, environment, id)
	a.BaseURL = p.base
	return a, err
}

// An account of a built-in provider in the sandbox, over real connections, from link to revocation.
func TestConnectInSandbox(t *testing.T) {
	const provider = "teamwork"
	w := newFixture(t, false)
	source, err := fs.ReadFile(mappings.FS, provider+"/sandbox.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pretend, found := sandbox.Load(provider, "sandbox.yaml", source, jsonata.NewLanguage(fixedClock, rand.Reader, jsonata.Limits{}))
	if found.Failed() {
		t.Fatal(found)
	}
	play := sandbox.New([]sandbox.Mount{{Provider: pretend}}, w.clock.now)
	far := httptest.NewServer(play)
	defer far.Close()
	base, client := far.URL+"/"+provider, upstream.New(upstream.WithLoopback(netip.MustParseAddrPort(far.Listener.Addr().String())))
	known, _ := pretend.OAuth()
	unified, _ := models(t)
	w.Server, err = build(catalog(t), engine.New(client, w.clock.now), unified, sandboxAccounts{w.db, base},
		server.WithClock(w.clock.now), server.WithStore(w.db), server.WithPublicURL(publicURL),
		gateway.WithOAuth(oauth.NewKeeper(w.db, client.HTTP(time.Minute), w.clock.now, slog.New(slog.DiscardHandler)), map[string]gateway.OAuthApp{
			provider: {ClientID: known.ID, ClientSecret: accounts.Secret(known.Secret), Origin: base},
		}))
	if err != nil {
		t.Fatal(err)
	}

	path := w.link(`{"integration":"` + provider + `"}`)
	b := newBrowser(w)
	begun := b.send(http.MethodPost, path, nil)
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	decide := func(decision, address string) string {
		answer, err := browser.PostForm(address, url.Values{"decision": {decision}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		return strings.TrimPrefix(answer.Header.Get("Location"), publicURL)
	}
	if denied := b.send(http.MethodGet, decide("deny", begun.Header().Get("Location")), nil); denied.Code != 200 || !strings.Contains(denied.Body.String(), "not granted") {
		t.Errorf("denied: %d %s", denied.Code, denied.Body)
	}
	begun = b.send(http.MethodPost, path, nil)
	if done := b.send(http.MethodGet, decide("allow", begun.Header().Get("Location")), nil); done.Code != 200 || len(w.all()) != 1 {
		t.Fatalf("allowed: %d %s", done.Code, done.Body)
	}
	account := w.info(w.all()[0].ID)
	if account.Context["site"] != "cardigo-bay" || account.Grant == nil {
		t.Errorf("site %v", account.Context["site"])
	}
	update := func() *httptest.ResponseRecorder {
		return ask(w, "PATCH", "/unified/ticketing/users/"+pretend.Demo().SampleID+"?integrated_account_id="+account.ID, name, "Authorization", "Bearer "+callToken)
	}
	if answer := update(); answer.Code != 200 || answer.Header().Get("Portolan-Partial") != "" {
		t.Errorf("%d %v %s", answer.Code, answer.Header(), answer.Body)
	}

	revoked, err := http.PostForm(base+"/launchpad/v1/revoke.json", url.Values{
		"token": {account.Grant.AccessToken.Reveal()}, "client_id": {known.ID}, "client_secret": {known.Secret},
	})
	if err != nil || revoked.StatusCode != 200 {
		t.Fatal(revoked, err)
	}
	_ = revoked.Body.Close()
	envelopeOf(t, update(), 401)
	if got := w.info(account.ID); got.Status != accounts.StatusNeedsReauth {
		t.Errorf("status %s", got.Status)
	}
}
