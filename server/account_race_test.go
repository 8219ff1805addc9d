package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/engine"
)

// duringTokenRequest runs do once, during a request to the authorization server.
func (w *fixture) duringTokenRequest(do func()) {
	done := false
	w.authority.answer = func(http.ResponseWriter) bool {
		if !done {
			done = true
			do()
		}
		return false
	}
}

func (w *fixture) disable(id string) {
	disabled := accounts.StatusDisabled
	if _, err := w.db.UpdateAccount(w.t.Context(), accounts.Actor{Name: "test"}, accounts.DefaultEnvironment, id, accounts.AccountChange{Status: &disabled}); err != nil {
		w.t.Error(err)
	}
}

// An account stays disabled if an administrator disables it while its customer consents.
func TestDisabledDuringConsent(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	path := w.link(`{"integration":"example","integrated_account_id":"` + account.ID + `"}`)
	b := newBrowser(w)
	callback := b.toCallback(path)
	w.duringTokenRequest(func() { w.disable(account.ID) })
	answer := b.send("GET", callback, nil)
	if got := w.info(account.ID); answer.Code != 409 || got.Status != accounts.StatusDisabled || got.Grant.AccessToken.Reveal() != "access-canary-1" {
		t.Errorf("%d, then %s: %s", answer.Code, got.Status, answer.Body)
	}
	if answer = b.send("GET", path, nil); answer.Code != 403 {
		t.Errorf("the link afterwards: %d", answer.Code)
	}
}

// An account that turns out to be disabled when its grant is renewed is not called again.
func TestDisabledBeforeRenewal(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	w.provider = func(c *engine.Call) (*engine.Reply, error) {
		w.disable(account.ID)
		return accepts("access-canary-2")(c)
	}
	if answer, calls := w.update(account.ID, ""), w.takeCalls(); answer.Code != 403 || len(calls) != 1 {
		t.Errorf("%d after %v", answer.Code, calls)
	}
}

// A consent during the renewal of the previous grant takes precedence.
func TestConsentDuringRenewal(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	b := newBrowser(w)
	callback := b.toCallback(w.link(`{"integration":"example","integrated_account_id":"` + account.ID + `"}`))
	w.clock.advance(30 * time.Minute)
	w.provider = accepts("access-canary-renewed")
	connected := make(chan *httptest.ResponseRecorder, 1)
	w.authority.answer = func(answer http.ResponseWriter) bool {
		if w.authority.renewals != 1 || w.authority.exchanges != 0 {
			return false
		}
		w.authority.mu.Unlock() // for the exchange
		defer w.authority.mu.Lock()
		go func() { connected <- b.send("GET", callback, nil) }()
		select {
		case early := <-connected:
			connected <- early
		case <-time.After(300 * time.Millisecond): // the callback waits for this renewal
		}
		answer.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(answer, `{"access_token":"access-canary-renewed","refresh_token":"refresh-canary-renewed","expires_in":3600}`)
		return true
	}
	if answer := w.update(account.ID, ""); answer.Code != 200 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if answer := <-connected; answer.Code != 200 {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if got := w.info(account.ID).Grant.AccessToken.Reveal(); got != "access-canary-2" {
		t.Errorf("the account is left with %s", got)
	}
}
