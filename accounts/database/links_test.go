package database

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/accounts"
)

var (
	linkHash = accounts.HashToken("ptk_1")
	state    = accounts.HashToken("state")
)

func link(t *testing.T, d *DB, c *clock) accounts.Link {
	t.Helper()
	l := accounts.Link{
		ID: id3, Environment: "default", Integration: "example", Label: "Grace's", TenantID: "t1",
		RedirectURI: "https://app.example.com/done?session=canary#x", ExpiresAt: at(c).Add(time.Hour),
		Model: "crm", KeepContext: true, Preset: accounts.Context{"api_key": "canary"},
	}
	must(t, d.CreateLink(t.Context(), ops, linkHash, l))
	l.CreatedAt = at(c)
	return l
}

func testLinks(s storeTest) {
	t, d, c := s.t, s.d, s.c
	want := link(t, d, c)
	got, err := d.Link(t.Context(), linkHash)
	must(t, err)
	same(t, "link", want, got)
	_, err = d.Link(t.Context(), state)
	wantErr(t, "none", err, accounts.ErrNotFound)
	again := want
	again.ID = id1
	wantErr(t, "same secret", d.CreateLink(t.Context(), ops, linkHash, again), accounts.ErrConflict)
	wantErr(t, "same id", d.CreateLink(t.Context(), ops, state, want), accounts.ErrConflict)
	again.Environment = "none"
	wantErr(t, "no environment", d.CreateLink(t.Context(), ops, state, again), accounts.ErrNotFound)
	again.Environment, again.AccountID = "default", id2
	wantErr(t, "no account", d.CreateLink(t.Context(), ops, state, again), accounts.ErrNotFound)
	again.AccountID = "x"
	wantErr(t, "no account", d.CreateLink(t.Context(), ops, state, again), accounts.ErrNotFound)
	again.AccountID, again.ID = "", "x"
	wantErr(t, "no id", d.CreateLink(t.Context(), ops, state, again), errInvalid)

	entries, err := d.Audit(t.Context(), accounts.AuditQuery{Subject: id3})
	must(t, err)
	var after map[string]any
	must(t, json.Unmarshal(entries.Items[0].After, &after))
	same(t, "audited redirect", "https://app.example.com/done", after["redirect_uri"])
	same(t, "audited context", []any{"api_key"}, after["context"].([]any))

	must(t, d.BeginConsent(t.Context(), id3, state, accounts.Link{Verifier: "v"}))
	c.add(time.Hour)
	_, err = d.Link(t.Context(), linkHash)
	wantErr(t, "expired", err, accounts.ErrNotFound)
	_, err = d.TakeConsent(t.Context(), state)
	wantErr(t, "consent of an expired link", err, accounts.ErrNotFound)
	wantErr(t, "begin with an expired link", d.BeginConsent(t.Context(), id3, state, accounts.Link{}), accounts.ErrNotFound)
	_, err = d.CreateAccount(t.Context(), ops, accounts.NewAccount{Account: accounts.Account{Environment: "default", Integration: "example"}, Link: id3})
	wantErr(t, "use an expired link", err, accounts.ErrNotFound)
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken("2"), accounts.Link{Environment: "default", ExpiresAt: c.Now().Add(time.Hour)}))
	used, err := d.KeysInUse(t.Context())
	must(t, err)
	same(t, "secrets of deleted links", map[string]int{}, used)
}

func testConsent(s storeTest) {
	t, d, c := s.t, s.d, s.c
	want := link(t, d, c)
	fields := accounts.Context{"site": "acme", "n": json.Number("1")}
	must(t, d.BeginConsent(t.Context(), id3, state, accounts.Link{Verifier: "first", Context: fields, Browser: accounts.HashToken("b1")}))
	second := accounts.HashToken("state 2")
	must(t, d.BeginConsent(t.Context(), strings.ToUpper(id3), second, accounts.Link{Verifier: "second", Context: fields, Browser: accounts.HashToken("b2")}))
	_, err := d.TakeConsent(t.Context(), state)
	wantErr(t, "one that was replaced", err, accounts.ErrNotFound)
	got, err := d.TakeConsent(t.Context(), second)
	must(t, err)
	same(t, "context", map[string]any(fields), map[string]any(got.Context))
	got.Context = nil
	want.Verifier, want.Browser = "second", accounts.HashToken("b2")
	same(t, "taken", want, got)
	_, err = d.TakeConsent(t.Context(), second)
	wantErr(t, "replayed", err, accounts.ErrNotFound)
	for _, id := range []string{id1, "x"} {
		wantErr(t, id, d.BeginConsent(t.Context(), id, state, accounts.Link{}), accounts.ErrNotFound)
	}
	err = d.BeginConsent(t.Context(), id3, state, accounts.Link{Context: accounts.Context{"a": json.Number("s3cr3t")}})
	wantErr(t, "not JSON", err, errInvalid)
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Error("the error shows a value:", err)
	}
	must(t, d.BeginConsent(t.Context(), id3, state, accounts.Link{})) // the link still exists
}

// successes counts how many of n concurrent calls succeed; the others must get ErrNotFound.
func successes(t *testing.T, n int, call func() error) int {
	t.Helper()
	var ok atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range n {
		wg.Go(func() {
			<-start
			switch err := call(); {
			case err == nil:
				ok.Add(1)
			case !errors.Is(err, accounts.ErrNotFound):
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(ok.Load())
}

func testConsentOnce(s storeTest) {
	t, d, c := s.t, s.d, s.c
	link(t, d, c)
	for range 5 {
		must(t, d.BeginConsent(t.Context(), id3, state, accounts.Link{Verifier: "v"}))
		same(t, "taken", 1, successes(t, 20, func() error { _, err := d.TakeConsent(t.Context(), state); return err }))
	}
}

func testLinkOnce(s storeTest) {
	t, d, c := s.t, s.d, s.c
	link(t, d, c)
	n := accounts.NewAccount{Account: accounts.Account{Environment: "default", Integration: "example"}, Link: id3}
	other := n
	other.Integration = "second"
	_, err := d.CreateAccount(t.Context(), ops, other)
	wantErr(t, "for another integration", err, accounts.ErrNotFound)
	same(t, "made", 1, successes(t, 20, func() error { _, err := d.CreateAccount(t.Context(), ops, n); return err }))
	page, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{})
	must(t, err)
	same(t, "accounts", 1, len(page.Items))
	_, err = d.Link(t.Context(), linkHash)
	wantErr(t, "used up", err, accounts.ErrNotFound)

	again := accounts.Link{ID: id2, Environment: "default", Integration: "example", AccountID: page.Items[0].ID, ExpiresAt: c.Now().Add(time.Hour)}
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken("2"), again))
	n.Link = id2
	_, err = d.CreateAccount(t.Context(), ops, n)
	wantErr(t, "a new account with another account's link", err, accounts.ErrNotFound)
	change := accounts.AccountChange{Link: id2, Grant: &accounts.Grant{AccessToken: "at"}}
	stranger := create(t, d, accounts.Account{})
	_, err = d.UpdateAccount(t.Context(), ops, "default", stranger.ID, change)
	wantErr(t, "another account", err, accounts.ErrNotFound)
	same(t, "changed", 1, successes(t, 20, func() error {
		_, err := d.UpdateAccount(t.Context(), ops, "default", again.AccountID, change)
		return err
	}))
	a, err := d.AccountInfo(t.Context(), "default", again.AccountID)
	must(t, err)
	same(t, "version", int64(2), a.Version)
}
