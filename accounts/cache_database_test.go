package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/accounts/database"
)

var tester = accounts.Actor{Name: "test"}

// openSQLite opens the database in file with a Cache that runs until the test ends.
func openSQLite(tb testing.TB, file string, keys *accounts.Keyring) (*accounts.Cache, *database.DB) {
	tb.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := database.OpenSQLite(tb.Context(), file, database.Options{Keys: keys, Now: time.Now, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	cache := accounts.NewCache(db, time.Now, log)
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan struct{})
	go func() {
		cache.Run(ctx)
		close(done)
	}()
	tb.Cleanup(func() {
		stop()
		<-done
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return cache, db
}

func newKeys(tb testing.TB) *accounts.Keyring {
	tb.Helper()
	key, err := accounts.NewKey("k1")
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := accounts.ParseKeyring(key)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func createAccounts(tb testing.TB, store accounts.Store, n int) []string {
	tb.Helper()
	ids := make([]string, n)
	for i := range ids {
		a, err := store.CreateAccount(tb.Context(), tester, accounts.NewAccount{Account: accounts.Account{
			Integration: "example", Environment: "default", Label: "0", Context: accounts.Context{"api_key": "k", "site": "acme"},
		}})
		if err != nil {
			tb.Fatal(err)
		}
		ids[i] = a.ID
	}
	return ids
}

func TestCacheReadYourWritesSQLite(t *testing.T) {
	cache, db := openSQLite(t, filepath.Join(t.TempDir(), "a.db"), newKeys(t))
	readOwnChanges(t, cache, createAccounts(t, db, 4), 10, func(id, label string) error {
		_, err := db.UpdateAccount(t.Context(), tester, "default", id, accounts.AccountChange{Label: &label})
		return err
	})
}

// A token revoked by one process is refused by another.
func TestCacheRevocationByAnotherProcess(t *testing.T) {
	file, keys := filepath.Join(t.TempDir(), "a.db"), newKeys(t)
	ours, _ := openSQLite(t, file, keys)
	_, theirs := openSQLite(t, file, keys)
	secret, prefix := accounts.NewSecret("ptl")
	token, err := theirs.CreateToken(t.Context(), tester, accounts.StoredToken{
		Token: accounts.Token{Name: "ops", Environment: "default", Role: accounts.RoleCall, Prefix: prefix}, Hash: accounts.HashToken(secret.Reveal()),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := ours.Authenticate(t.Context(), secret.Reveal()); err != nil {
			t.Fatal(err)
		}
	}
	if err := theirs.RevokeToken(t.Context(), tester, "default", token.ID); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, err := ours.Authenticate(t.Context(), secret.Reveal())
		if errors.Is(err, accounts.ErrUnauthorized) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the token is still accepted: %v", err)
		}
	}
}

// BenchmarkCachedAccount looks up random accounts among 10,000. "cold" starts with an empty
// cache; in "changes" one operation in a hundred is an update.
func BenchmarkCachedAccount(b *testing.B) {
	file, keys := filepath.Join(b.TempDir(), "a.db"), newKeys(b)
	cache, db := openSQLite(b, file, keys)
	ids := createAccounts(b, db, 10_000)
	lookup := func(b *testing.B, get func(id string) error, percent int) {
		b.Helper()
		var took []time.Duration
		for i := 0; b.Loop(); i++ {
			id := ids[rand.IntN(len(ids))]
			if percent > 0 && rand.IntN(100) < percent {
				label := fmt.Sprint(i)
				if _, err := db.UpdateAccount(b.Context(), tester, "default", id, accounts.AccountChange{Label: &label}); err != nil {
					b.Fatal(err)
				}
				continue
			}
			start := time.Now()
			if err := get(id); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-µs")
	}
	cached := func(id string) error {
		_, err := cache.Account(b.Context(), "default", id)
		return err
	}
	b.Run("store", func(b *testing.B) {
		lookup(b, func(id string) error {
			_, err := db.Account(b.Context(), "default", id)
			return err
		}, 0)
	})
	b.Run("cold", func(b *testing.B) { lookup(b, cached, 0) })
	b.Run("warm", func(b *testing.B) {
		for _, id := range ids {
			if err := cached(id); err != nil {
				b.Fatal(err)
			}
		}
		lookup(b, cached, 0)
	})
	b.Run("changes", func(b *testing.B) { lookup(b, cached, 1) })
}
