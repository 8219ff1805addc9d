package oauth

import (
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/accounts/database"
)

// Two stores on one database share one renewal.
func TestSingleFlightOverSQLite(t *testing.T) {
	w := newKeeperTest(t, nil)
	key, err := accounts.NewKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := accounts.ParseKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.db")
	open := func() *database.DB {
		db, err := database.OpenSQLite(t.Context(), file, database.Options{Keys: keys, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	dbs := []*database.DB{open(), open()}
	made, err := dbs[0].CreateAccount(t.Context(), accounts.Actor{Name: "test"}, accounts.NewAccount{Account: accounts.Account{
		Integration: "example", Environment: "default", Context: accounts.Context{"site": "acme"}, Grant: grant(noon.Add(-time.Hour)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	old, err := dbs[0].Account(t.Context(), "default", made.ID)
	wantToken(t, old, err, 0)
	var wg sync.WaitGroup
	for _, db := range dbs {
		k := NewKeeper(db, w.Client(), w.now, slog.New(slog.DiscardHandler))
		for range 25 {
			wg.Go(func() {
				a, err := k.Fresh(t.Context(), w.app(), old)
				if err != nil || a.Context[accounts.AccessTokenField] != token("access", 1) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	wg.Wait()
	stored, err := dbs[1].Account(t.Context(), "default", made.ID)
	wantToken(t, stored, err, 1)
	if w.requests() != 1 || stored.Grant.RefreshToken.Reveal() != token("refresh", 1) {
		t.Errorf("%d requests", w.requests())
	}
	w.refresh = "another"
	if _, err := NewKeeper(dbs[1], w.Client(), w.now, slog.New(slog.DiscardHandler)).Renew(t.Context(), w.app(), stored); err == nil {
		t.Error("a refused grant was renewed")
	}
	if a, err := dbs[0].Account(t.Context(), "default", made.ID); err != nil || a.Status != accounts.StatusNeedsReauth || a.LastError == "" {
		t.Errorf("status %q, %q, %v", a.Status, a.LastError, err)
	}
}
