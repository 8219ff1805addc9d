package main

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Two servers share one database: changes at one are effective at the other.
func TestTwoServersOnOneDatabase(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	for _, name := range []string{"postgres", "sqlite"} {
		t.Run(name, func(t *testing.T) {
			store := []string{"--data", t.TempDir()}
			if name == "postgres" {
				store = []string{"--database-url", newPostgres(t)}
			}
			t.Setenv("PORTOLAN_OAUTH_EXAMPLE_CLIENT_ID", "client")
			t.Setenv("PORTOLAN_OAUTH_EXAMPLE_CLIENT_SECRET", "client-secret")
			played, mappings := newProvider(t)
			store = append(store, "--mappings", mappings)
			admin := command(t, append([]string{"tokens", "create", "--name", "ops", "--role", "admin"}, store...)...)
			serving := slices.Concat(store, []string{"--allow-insecure-upstreams", "--eval-timeout", "1m"}) // fifty concurrent calls
			one, two := launch(t, serving...), launch(t, serving...)

			made := one.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, map[string]any{
				"integration": "example", "context": map[string]any{"api_key": "key-example"},
			})
			for _, r := range []*running{one, two} {
				if answer := r.must(t, http.StatusOK, http.MethodPatch, userTarget(made["id"]), admin, ada); answer["name"] != "Ada" {
					t.Errorf("got %v", answer)
				}
			}
			revokedWithinASecond(t, one, two, admin, userTarget(made["id"]))
			oneRefresh(t, one, two, admin, played)

			one.stop() // kill -9
			<-one.exit
			two.must(t, http.StatusOK, http.MethodPatch, userTarget(made["id"]), admin, ada)
			two.must(t, http.StatusOK, http.MethodPatch, pathOf(accountsPath, made["id"].(string)), admin, map[string]any{"label": "alone"})
		})
	}
}

func revokedWithinASecond(t *testing.T, one, two *running, admin, target string) {
	t.Helper()
	token := one.must(t, http.StatusCreated, http.MethodPost, tokensPath, admin, map[string]any{"name": "app", "role": "call"})
	secret := token["token"].(string)
	two.must(t, http.StatusOK, http.MethodPatch, target, secret, ada)
	one.must(t, http.StatusOK, http.MethodDelete, pathOf(tokensPath, token["id"].(string)), admin, nil)
	one.must(t, http.StatusUnauthorized, http.MethodPatch, target, secret, ada)
	for revoked := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		asked := time.Now()
		if res, _ := two.ask(t, http.MethodPatch, target, secret, ada); res.StatusCode == http.StatusUnauthorized {
			return
		}
		if asked.Sub(revoked) > time.Second {
			t.Fatal("the other server still takes a token a second after it was revoked")
		}
	}
}

func oneRefresh(t *testing.T, one, two *running, admin string, played *provider) {
	t.Helper()
	account := one.connect(t, admin, "example", func(_ *http.Client, at *url.URL) *url.URL { // the customer consents
		back, err := url.Parse(at.Query().Get("redirect_uri"))
		if err != nil {
			t.Fatal(err)
		}
		back.RawQuery = url.Values{"code": {"c1"}, "state": {at.Query().Get("state")}}.Encode()
		return back
	})
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			r := []*running{one, two}[i%2]
			if res, answer := r.ask(t, http.MethodPatch, userTarget(account), admin, ada); res.StatusCode != http.StatusOK {
				t.Errorf("%d %v", res.StatusCode, answer)
			}
		})
	}
	calls.Wait()
	if played.refreshes != 1 || played.refused != 0 {
		t.Errorf("%d refreshes, %d refused", played.refreshes, played.refused)
	}
}

func TestStoreLostWhileServing(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	address, err := url.Parse(newPostgres(t))
	if err != nil {
		t.Fatal(err)
	}
	wire := newWire(t, address.Host)
	address.Host = wire.listener.Addr().String()
	_, mappings := newProvider(t)
	store := []string{"--database-url", address.String(), "--mappings", mappings}
	admin := command(t, append([]string{"tokens", "create", "--name", "ops", "--role", "admin"}, store...)...)
	r := launch(t, append(store, "--allow-insecure-upstreams")...)
	made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, map[string]any{
		"integration": "example", "context": map[string]any{"api_key": "key-example"},
	})
	target := userTarget(made["id"])
	r.must(t, http.StatusOK, http.MethodPatch, target, admin, ada)

	wire.set(true)
	status := func(token string) int {
		t.Helper()
		res, answer := r.ask(t, http.MethodPatch, target, token, ada)
		if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
			t.Errorf("no Retry-After: %v", answer)
		}
		return res.StatusCode
	}
	if got := status("ptl_0000000a_no-such-token"); got != http.StatusServiceUnavailable {
		t.Errorf("%d for a token that cannot be looked up", got)
	}
	await := func(before, after int) {
		t.Helper()
		for until := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			switch got := status(admin); {
			case got == after:
				return
			case got != before || time.Now().After(until):
				t.Fatalf("got %d, want %d and then %d", got, before, after)
			}
		}
	}
	await(http.StatusOK, http.StatusServiceUnavailable)
	r.must(t, http.StatusServiceUnavailable, http.MethodGet, "/readyz", "", nil)
	r.must(t, http.StatusOK, http.MethodGet, "/healthz", "", nil)

	wire.set(false)
	await(http.StatusServiceUnavailable, http.StatusOK)
	r.must(t, http.StatusUnauthorized, http.MethodPatch, target, "ptl_0000000a_no-such-token", ada)
}
