package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/accounts/database"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
	"portolan/server"
)

// bearer returns the Authorization header of a call.
func bearer(c *engine.Call) string {
	for _, h := range c.Header {
		if h.Name == "Authorization" {
			return h.Value
		}
	}
	return ""
}

// accepts returns a provider that accepts these access tokens only, and quotes those it refuses.
func accepts(tokens ...string) func(*engine.Call) (*engine.Reply, error) {
	return func(c *engine.Call) (*engine.Reply, error) {
		for _, token := range tokens {
			if bearer(c) == "Bearer "+token {
				return answers(200, `{"id":"u1","first":"Ada"}`)(c)
			}
		}
		return answers(401, `{"message":"no `+bearer(c)+`"}`)(c)
	}
}

func TestStatuses(t *testing.T) {
	for _, withApp := range []bool{true, false} {
		testStatuses(t, newFixture(t, withApp))
	}
}

func testStatuses(t *testing.T, w *fixture) {
	t.Helper()
	disabled, reauth := w.account(nil), w.account(nil)
	status := accounts.StatusDisabled
	if _, err := w.db.UpdateAccount(t.Context(), accounts.Actor{Name: "test"}, "default", disabled.ID, accounts.AccountChange{Status: &status}); err != nil {
		t.Fatal(err)
	}
	if err := w.db.NeedsReauth(t.Context(), accounts.Actor{Name: "test"}, "default", reauth.ID, "access-canary-2", "the grant was revoked"); err != nil {
		t.Fatal(err)
	}
	w.clock.advance(2 * time.Hour)
	for _, query := range []string{"", "&truto_response_format=raw", "&truto_response_format=debug"} {
		answer := w.update(disabled.ID, query)
		if e := envelopeOf(t, answer, 403); e["message"] != "the integrated account is disabled" || e["truto_is_remote_error"] != nil {
			t.Errorf("disabled: %s", answer.Body)
		}
		answer = w.update(reauth.ID, query)
		e := envelopeOf(t, answer, 401)
		if e["message"] != "the integrated account must be connected again: the grant was revoked" || e["truto_is_remote_error"] != true {
			t.Errorf("needs_reauth: %s", answer.Body)
		}
		if _, raw := e["raw_response"]; raw || answer.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("needs_reauth: %v %s", answer.Header(), answer.Body)
		}
	}
	if calls := w.takeCalls(); len(calls) != 0 || w.authority.renewals != 0 {
		t.Errorf("%d renewals, calls %v", w.authority.renewals, calls)
	}
}

// An expired access token is renewed once for all concurrent calls.
func TestOneRenewalForAll(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.provider = accepts("access-canary-2")
	w.clock.advance(2 * time.Hour)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if answer := w.update(account.ID, ""); answer.Code != 200 {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
	group.Wait()
	grant := w.info(account.ID).Grant
	if w.authority.renewals != 1 || grant.AccessToken.Reveal() != "access-canary-2" || grant.RefreshToken.Reveal() != "refresh-canary-2" {
		t.Errorf("%d renewals", w.authority.renewals)
	}
	w.checkNoSecrets()
}

// A call whose access token is refused is repeated once with a renewed token.
func TestRenewalAfterRefusal(t *testing.T) {
	for _, format := range []string{"unified", "raw", "debug"} {
		t.Run(format, func(t *testing.T) {
			w := newFixture(t, true)
			account := w.account(nil)
			w.provider = accepts("access-canary-2")
			answer := w.update(account.ID, "&truto_response_format="+format)
			want := []string{
				"PUT https://acme.example.com/api/users/u1 Bearer access-canary-1",
				"PUT https://acme.example.com/api/users/u1 Bearer access-canary-2",
				"GET https://acme.example.com/api/users/u1 Bearer access-canary-2",
			}
			if format == "raw" {
				want = want[:2]
			}
			if diff := cmp.Diff(want, w.takeCalls()); diff != "" || answer.Code != 200 || w.authority.renewals != 1 {
				t.Errorf("%d after %d renewals: (-want +got)\n%s", answer.Code, w.authority.renewals, diff)
			}
			if format == "debug" {
				debug, _ := decode(t, answer)["debug"].(map[string]any)
				var steps []string
				list, _ := debug["steps"].([]any)
				for _, s := range list {
					s, _ := s.(map[string]any)
					steps = append(steps, fmt.Sprint(s["name"], " ", s["status"], " ", s["error"]))
				}
				if diff := cmp.Diff([]string{"main 401 ticketing.users.update: provider: no ***", "main 200 <nil>", "read 200 <nil>"}, steps); diff != "" {
					t.Errorf("steps (-want +got)\n%s", diff)
				}
			}
			if format != "raw" { // raw passes on the answer of the provider
				w.checkNoSecrets(answer.Body.String())
			}
			if answer = w.update(account.ID, ""); answer.Code != 200 || w.authority.renewals != 1 {
				t.Errorf("the next call: %d after %d renewals", answer.Code, w.authority.renewals)
			}
		})
	}
}

func TestRenewalIsTriedOnce(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.provider = func(c *engine.Call) (*engine.Reply, error) { // the answer quotes both tokens
		return answers(401, `{"message":"neither access-canary-1 nor `+bearer(c)+`"}`)(c)
	}
	answer := w.update(account.ID, "")
	e := envelopeOf(t, answer, 401)
	if e["truto_is_remote_error"] != true || e["raw_response"] == nil || len(w.takeCalls()) != 2 || w.authority.renewals != 1 {
		t.Errorf("%d renewals: %s", w.authority.renewals, answer.Body)
	}
	w.checkNoSecrets(answer.Body.String())
	if got := w.info(account.ID); got.Status != accounts.StatusActive {
		t.Errorf("status %s", got.Status)
	}
}

// A write is not repeated if a later step is refused.
func TestRefusalAfterTheWrite(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.provider = func(c *engine.Call) (*engine.Reply, error) {
		if c.Method == http.MethodGet {
			return answers(401, `{}`)(c)
		}
		return answers(200, `{}`)(c)
	}
	answer := w.update(account.ID, "")
	if answer.Code != 200 || answer.Header().Get("Portolan-Partial") != "read" || w.authority.renewals != 1 || len(w.takeCalls()) != 3 {
		t.Errorf("%d after %d renewals: %s", answer.Code, w.authority.renewals, answer.Body)
	}
}

// Only the refused call is repeated, not the steps before it.
func TestRefusalAfterAnotherWrite(t *testing.T) {
	for integration, want := range map[string]struct{ status, calls int }{"reads": {200, 3}, "writes": {200, 3}} {
		w := newFixture(t, true)
		account := w.account(func(a *accounts.Account) { a.Integration = integration })
		w.provider = func(c *engine.Call) (*engine.Reply, error) {
			if c.Name == "main" {
				return accepts("access-canary-2")(c)
			}
			return answers(200, `{}`)(c)
		}
		answer := w.update(account.ID, "")
		if calls := w.takeCalls(); answer.Code != want.status || len(calls) != want.calls {
			t.Errorf("%s: %d after %v", integration, answer.Code, calls)
		}
	}
}

func TestRenewalRefused(t *testing.T) {
	tests := map[string]struct {
		spoil       func(w *fixture, id string)
		status      int
		remote      bool
		message     string
		needsReauth bool
	}{
		"refused": {func(w *fixture, _ string) { w.authority.refresh = "" }, 401, true, "must be connected again: ", true},
		"down": {func(w *fixture, _ string) {
			w.authority.answer = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
		}, 502, false, "authorization server", false},
		"unusable answer": {func(w *fixture, _ string) {
			w.authority.answer = func(w http.ResponseWriter) bool { _, _ = w.Write([]byte("<html>")); return true }
		}, 502, false, "authorization server", false},
		"gone": {func(w *fixture, _ string) { w.authority.Close() }, 502, false, "authorization server", false},
	}
	for name, tt := range tests {
		for _, expired := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " expired=", expired), func(t *testing.T) {
				w := newFixture(t, true)
				account := w.account(nil)
				w.provider = accepts()
				want := 1
				if expired {
					w.clock.advance(2 * time.Hour)
					want = 0
				}
				tt.spoil(w, account.ID)
				answer := w.update(account.ID, "")
				e := envelopeOf(t, answer, tt.status)
				if (e["truto_is_remote_error"] == true) != tt.remote || !strings.Contains(fmt.Sprint(e["message"]), tt.message) || len(w.takeCalls()) != want {
					t.Errorf("%s", answer.Body)
				}
				w.checkNoSecrets(answer.Body.String())
				got := w.info(account.ID)
				if (got.Status == accounts.StatusNeedsReauth) != tt.needsReauth || strings.Contains(got.LastError, "canary") {
					t.Errorf("status %s: %s", got.Status, got.LastError)
				}
				renewals := w.authority.renewals
				w.update(account.ID, "")
				if w.authority.renewals != renewals || tt.needsReauth && len(w.takeCalls()) != 0 {
					t.Errorf("the next call makes another renewal")
				}
			})
		}
	}
}

// lockTimeout is a store whose exclusive lock is never available.
type lockTimeout struct{ *database.DB }

func (lockTimeout) Exclusive(context.Context, string, func(context.Context) error) error {
	return fmt.Errorf("%w: %w", accounts.ErrUnavailable, context.DeadlineExceeded)
}

// A store that does not answer in time is reported as unavailable, not as a slow provider.
func TestStoreUnavailableDuringRenewal(t *testing.T) {
	w := newFixture(t, true)
	apps := map[string]gateway.OAuthApp{"example": {ClientID: "client-7", ClientSecret: "client-secret-canary", Origin: w.authority.URL}}
	unified, _ := models(t)
	keeper := oauth.NewKeeper(lockTimeout{w.db}, w.authority.Client(), w.clock.now, slog.New(slog.DiscardHandler))
	log := slog.New(slog.NewJSONHandler(w.logs, nil))
	s, err := build(exampleCatalog(t), engine.New(w, w.clock.now), unified, w.db,
		server.WithClock(w.clock.now), server.WithLogger(log), gateway.WithLogger(log), server.WithStore(w.db), gateway.WithOAuth(keeper, apps))
	if err != nil {
		t.Fatal(err)
	}
	w.Server = s
	account := w.account(nil)
	w.clock.advance(2 * time.Hour)
	answer := w.update(account.ID, "")
	if envelopeOf(t, answer, 503); answer.Header().Get("Retry-After") == "" || !strings.Contains(w.logs.String(), "account store failed") {
		t.Errorf("%v; %s", answer.Header(), w.logs)
	}
}

// A grant is not renewed for a plan, a deleted account, or an account without grant or app.
func TestNoRenewal(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.clock.advance(2 * time.Hour)
	if answer := w.update(account.ID, "&truto_skip_api_call=1"); answer.Code != 200 || strings.Contains(answer.Body.String(), "canary") {
		t.Errorf("plan only: %d %s", answer.Code, answer.Body)
	}
	if w.authority.renewals != 0 || len(w.takeCalls()) != 0 {
		t.Errorf("plan only makes %d renewals", w.authority.renewals)
	}
	account = w.account(nil)
	var once atomic.Bool
	w.provider = func(c *engine.Call) (*engine.Reply, error) {
		if once.CompareAndSwap(false, true) {
			if err := w.db.DeleteAccount(t.Context(), accounts.Actor{Name: "test"}, "default", account.ID, 0); err != nil {
				t.Error(err)
			}
		}
		return accepts()(c)
	}
	envelopeOf(t, w.update(account.ID, ""), 404)
	if w.authority.renewals != 0 {
		t.Errorf("%d renewals of an account that is gone", w.authority.renewals)
	}
	// Without a grant or an app, the 401 of the provider is the answer.
	plain := w.account(func(a *accounts.Account) {
		a.Grant, a.Context = nil, accounts.Context{"site": "acme", "api_key": "key-canary"}
	})
	envelopeOf(t, w.update(plain.ID, ""), 401)
	other := newFixture(t, false)
	other.provider = accepts()
	granted := other.account(nil)
	envelopeOf(t, other.update(granted.ID, ""), 401)
	if w.authority.renewals+other.authority.renewals != 0 || len(other.takeCalls()) != 1 {
		t.Error("renewed")
	}
}

// A running call uses the account as it was; the next call uses the changed one.
func TestAccountChangesDuringCall(t *testing.T) {
	disabled, site := accounts.StatusDisabled, accounts.Context{"site": "other"}
	for name, tt := range map[string]struct {
		change func(w *fixture, id string) error
		then   int
	}{
		"deleted": {func(w *fixture, id string) error {
			return w.db.DeleteAccount(t.Context(), accounts.Actor{Name: "test"}, "default", id, 0)
		}, 404},
		"disabled": {func(w *fixture, id string) error {
			_, err := w.db.UpdateAccount(t.Context(), accounts.Actor{Name: "test"}, "default", id, accounts.AccountChange{Status: &disabled})
			return err
		}, 403},
		"changed": {func(w *fixture, id string) error {
			_, err := w.db.UpdateAccount(t.Context(), accounts.Actor{Name: "test"}, "default", id, accounts.AccountChange{Context: site})
			return err
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t, true)
			account := w.account(nil)
			var once atomic.Bool
			w.provider = func(c *engine.Call) (*engine.Reply, error) {
				if once.CompareAndSwap(false, true) {
					if err := tt.change(w, account.ID); err != nil {
						t.Error(err)
					}
				}
				return answers(200, `{"id":"u1"}`)(c)
			}
			answer, calls := w.update(account.ID, ""), w.takeCalls()
			if answer.Code != 200 || len(calls) != 2 || !strings.HasPrefix(calls[1], "GET https://acme.") {
				t.Errorf("%d after %v", answer.Code, calls)
			}
			answer, calls = w.update(account.ID, ""), w.takeCalls()
			if answer.Code != tt.then || tt.then == 200 && !strings.HasPrefix(calls[0], "PUT https://other.") {
				t.Errorf("the next: %d after %v", answer.Code, calls)
			}
		})
	}
}

func TestOverrides(t *testing.T) {
	w := newFixture(t, true)
	const op = "ticketing.users.update"
	plain := w.account(nil)
	own := w.account(func(a *accounts.Account) {
		a.Overrides = accounts.Overrides{op: {ResponseMapping: `{ "username": "own", "desk": "4b" }`, RequestBodyMapping: `{ "extra": body.first_name }`}}
	})
	broken := w.account(func(a *accounts.Account) {
		a.Overrides = accounts.Overrides{op: {ResponseMapping: "{\n  \"name\": nosuch.thing\n}"}}
	})
	version := func(id string) string { return w.update(id, "").Header().Get("Portolan-Mapping") }
	before := version(plain.ID)
	var sent string
	w.provider = func(c *engine.Call) (*engine.Reply, error) {
		if c.Method == http.MethodPut {
			sent = string(c.Body)
		}
		return answers(200, `{"id":"u1","first":"Ada"}`)(c)
	}
	answer := w.update(own.ID, "&truto_ignore_remote_data=1")
	want := `{"id":"u1","first_name":"Ada","username":"own","desk":"4b"}` + "\n"
	if diff := cmp.Diff(want, answer.Body.String()); diff != "" || sent != `{"extra":"Ada","first":"Ada"}` {
		t.Errorf("sent %s, answer (-want +got)\n%s", sent, diff)
	}
	if odd := answer.Header().Get("Portolan-Response-Warnings"); odd != "" {
		t.Errorf("%s warnings of a field that the override adds", odd)
	}
	if got := answer.Header().Get("Portolan-Mapping"); got == before || got != version(own.ID) {
		t.Errorf("Portolan-Mapping %s, before %s", got, before)
	}
	w.takeCalls()
	answer = w.update(broken.ID, "")
	details, _ := envelopeOf(t, answer, 500)["details"].(map[string]any)
	place, _ := details["mapping"].(map[string]any)
	if place["file"] != "account overrides/response_mapping" || place["line"] != 2.0 || place["at"] != op || len(w.takeCalls()) != 0 {
		t.Errorf("%s", answer.Body)
	}

	// Overrides of an account are on top of those of its environment, and do not affect other environments.
	inherited := accounts.Overrides{"example/" + op: {ResponseMapping: `{ "username": "inherited", "avatar": "https://example.com/a" }`}}
	if _, err := w.db.UpdateEnvironment(t.Context(), accounts.Actor{Name: "test"}, "default", accounts.EnvironmentChange{Overrides: &inherited}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		plain.ID: `{"id":"u1","first_name":"Ada","username":"inherited","avatar":"https://example.com/a"}` + "\n",
		own.ID:   `{"id":"u1","first_name":"Ada","username":"own","avatar":"https://example.com/a","desk":"4b"}` + "\n",
	} {
		answer := w.update(id, "&truto_ignore_remote_data=1")
		if diff := cmp.Diff(want, answer.Body.String()); diff != "" {
			t.Errorf("%d (-want +got)\n%s", answer.Code, diff)
		}
	}
	if got := version(plain.ID); got == before {
		t.Errorf("Portolan-Mapping stays %s", got)
	}
}

// A provider that refuses all tokens causes one renewal, not one for each call.
func TestProviderThatRefusesAllTokens(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.provider = accepts()
	for range 5 {
		e := envelopeOf(t, w.update(account.ID, ""), 401)
		if e["truto_is_remote_error"] != true {
			t.Errorf("got %v", e)
		}
	}
	if calls := w.takeCalls(); w.authority.renewals != 1 || len(calls) != 6 { // one of them is repeated
		t.Errorf("%d renewals, calls %q", w.authority.renewals, calls)
	}
	if status := w.info(account.ID).Status; status != accounts.StatusActive {
		t.Errorf("the account is %s", status)
	}
}
