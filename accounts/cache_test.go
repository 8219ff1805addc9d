package accounts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

func TestCacheHits(t *testing.T) {
	w := newCacheTest(t)
	for i, want := range []int{4, 0, 0} {
		n := w.reads(func() {
			w.labels(t)
			for _, secret := range []string{"ops", "one"} {
				if _, err := w.Authenticate(t.Context(), secret); err != nil {
					t.Error(err)
				}
			}
		})
		if n != want {
			t.Errorf("round %d: %d reads", i, n)
		}
	}
	for range 2 { // failures are not cached
		n := w.reads(func() {
			if _, err := w.Authenticate(t.Context(), "no"); !errors.Is(err, accounts.ErrUnauthorized) {
				t.Errorf("got %v", err)
			}
			if _, err := w.Account(t.Context(), "default", id2); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
		if n != 2 {
			t.Errorf("%d reads", n)
		}
	}
	if printed := fmt.Sprintf("%v %+v %#v", w.Cache, w.Cache, w.Cache); strings.Contains(printed, canary) {
		t.Error(printed)
	}
}

func TestCacheInvalidation(t *testing.T) {
	for name, tt := range map[string]struct {
		change accounts.Change
		labels string
		tokens int // token reads after the change
	}{
		"account":         {accounts.Change{Kind: accounts.ChangeAccount, ID: id1}, "new old", 1},
		"another account": {accounts.Change{Kind: accounts.ChangeAccount, ID: id2}, "old new", 0},
		"token":           {accounts.Change{Kind: accounts.ChangeToken, ID: "t1"}, "old old", 1},
		"environment":     {accounts.Change{Kind: accounts.ChangeEnvironment, ID: "production"}, "old new", 0},
		"everything":      {accounts.Change{Kind: accounts.ChangeAll}, "new new", 2},
		"unknown kind":    {accounts.Change{Kind: "new kind"}, "new new", 2},
	} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprint(name, own), func(t *testing.T) {
				w := newCacheTest(t)
				authenticate := func() {
					for _, secret := range []string{"ops", "one"} {
						if _, err := w.Authenticate(t.Context(), secret); err != nil {
							t.Error(err)
						}
					}
				}
				w.labels(t)
				authenticate()
				w.store.change(tt.change.Kind, tt.change.ID, func() {
					w.store.label(id1, "new")()
					w.store.label(id2, "new")()
				})
				if own {
					w.store.notify([]accounts.Change{tt.change})
				} else {
					if got := w.labels(t); got != "old old" {
						t.Errorf("before the poll: %s", got)
					}
					w.Poll(t.Context())
				}
				if diff := cmp.Diff(tt.labels, w.labels(t)); diff != "" {
					t.Error(diff)
				}
				if n := w.reads(authenticate); n != tt.tokens {
					t.Errorf("%d token reads", n)
				}
			})
		}
	}
}

// A read that began before a change is neither cached nor returned to callers after it.
func TestCacheEpoch(t *testing.T) {
	w := newCacheTest(t)
	reading, release := make(chan struct{}), make(chan struct{})
	w.store.onRead = func() {
		close(reading)
		<-release
	}
	first := make(chan string)
	go func() {
		a, err := w.Account(t.Context(), "default", id1)
		first <- fmt.Sprint(a.Label, err)
	}()
	<-reading
	w.store.change(accounts.ChangeAccount, id1, w.store.label(id1, "new"))
	w.store.mu.Lock()
	w.store.onRead = nil
	w.store.mu.Unlock()
	w.store.notify([]accounts.Change{{Kind: accounts.ChangeAccount, ID: id1}})
	if got := w.labels(t); got != "new old" {
		t.Errorf("after the change: %s", got)
	}
	close(release)
	<-first
	if got := w.labels(t); got != "new old" {
		t.Errorf("after the late answer: %s", got)
	}
}

// The same without another read between the change and the late result.
func TestCacheEpochPoll(t *testing.T) {
	w := newCacheTest(t)
	w.store.onRead = func() {
		w.store.change(accounts.ChangeAccount, id1, w.store.label(id1, "new"))
		w.store.onRead = nil
		w.Poll(t.Context())
	}
	w.labels(t)
	if got := w.labels(t); got != "new old" {
		t.Errorf("got %s", got)
	}
}

// readOwnChanges changes each account in its own goroutine, which reads all of them after
// each change and must never see its own account's old state.
func readOwnChanges(t *testing.T, cache *accounts.Cache, ids []string, rounds int, change func(id, label string) error) {
	t.Helper()
	var wg sync.WaitGroup
	for g, id := range ids {
		wg.Go(func() {
			for i := range rounds {
				label := strconv.Itoa(i)
				if err := change(id, label); err != nil {
					t.Error(err)
					return
				}
				for j := range ids {
					other := ids[(g+j)%len(ids)]
					got, err := cache.Account(t.Context(), "default", other)
					if err != nil || other == id && got.Label != label {
						t.Errorf("%s: got %q, %v", label, got.Label, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestCacheReadYourWrites(t *testing.T) {
	w := newCacheTest(t)
	var ids []string
	for i := range 16 {
		id := fmt.Sprintf("62f44730-dd91-461e-bd6a-%012d", i)
		w.store.accounts[id] = accounts.Account{ID: id, Environment: "default"}
		ids = append(ids, id)
	}
	w.store.onRead = runtime.Gosched // a result is often late
	readOwnChanges(t, w.Cache, ids, 200, func(id, label string) error {
		w.store.change(accounts.ChangeAccount, id, w.store.label(id, label))
		w.store.notify([]accounts.Change{{Kind: accounts.ChangeAccount, ID: id}})
		if label == "100" {
			w.Poll(t.Context())
		}
		return nil
	})
}

func TestCacheStoreUnavailable(t *testing.T) {
	w := newCacheTest(t)
	w.labels(t)
	if _, err := w.Authenticate(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	w.store.setError(fmt.Errorf("%w: test", accounts.ErrUnavailable))
	w.Poll(t.Context())
	w.advance(accounts.TrustFor - 1)
	w.Poll(t.Context())
	w.labels(t) // still cached
	w.advance(1)
	if _, err := w.Account(t.Context(), "default", id1); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Authenticate(t.Context(), "ops"); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := w.Ready(t.Context()); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	w.store.setError(nil)
	w.store.change(accounts.ChangeAccount, id1, w.store.label(id1, "new"))
	if got := w.labels(t); got != "new old" {
		t.Errorf("before the poll: %s", got)
	}
	w.Poll(t.Context())
	if got := w.labels(t); got != "new old" {
		t.Errorf("after the poll: %s", got)
	}
	if n := w.reads(func() { w.labels(t) }); n != 0 {
		t.Errorf("%d reads", n)
	}
	if n := strings.Count(w.logs.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, &w.logs)
	}
	w.store.mu.Lock() // a backup was restored
	w.store.log = nil
	w.store.label(id2, "older")()
	w.store.mu.Unlock()
	w.Poll(t.Context())
	if got := w.labels(t); got != "new older" {
		t.Errorf("after the restore: %s", got)
	}
}

// Without Run, as in a command, every call reads the store.
func TestCacheWithoutRun(t *testing.T) {
	w := newCacheTest(t)
	w.Cache = accounts.NewCache(w.store, w.now, slog.New(slog.DiscardHandler))
	w.labels(t)
	if n := w.reads(func() { w.labels(t) }); n != 2 {
		t.Errorf("%d reads", n)
	}
}

func TestCacheExpiry(t *testing.T) {
	w := newCacheTest(t)
	if _, err := w.Authenticate(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	w.advance(time.Minute)
	w.Poll(t.Context())
	// The store's clock is late: it still accepts the token.
	if n := w.reads(func() {
		if got, err := w.Authenticate(t.Context(), "one"); !errors.Is(err, accounts.ErrUnauthorized) || got != (accounts.Token{}) {
			t.Errorf("got %v, %v", got, err)
		}
	}); n != 1 {
		t.Error("an expired token did not reach the store")
	}
}

func TestCacheIsBounded(t *testing.T) {
	w := newCacheTest(t)
	w.Limit(50, 10)
	for i := range 60 {
		id := fmt.Sprintf("62f44730-dd91-461e-bd6a-%012d", i)
		w.store.accounts[id] = accounts.Account{ID: id, Environment: "default"}
		if _, err := w.Account(t.Context(), "default", id); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		secret := fmt.Sprint("secret", i)
		w.store.tokens[secret] = accounts.Token{ID: secret, AccountID: id1}
		if _, err := w.Authenticate(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(w.Cache); got != "10 cached tokens, 50 cached accounts" {
		t.Errorf("got %s", got)
	}
	w.store.notify([]accounts.Change{{Kind: accounts.ChangeAccount, ID: id1}}) // all tokens are of this account
	if got := fmt.Sprint(w.Cache); got != "0 cached tokens, 50 cached accounts" {
		t.Errorf("got %s", got)
	}
}

func TestCacheCancelledCaller(t *testing.T) {
	w := newCacheTest(t)
	reading, release := make(chan struct{}, 2), make(chan struct{})
	w.store.ctxErrs = make(chan error, 3)
	w.store.onRead = func() {
		reading <- struct{}{}
		<-release
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error), make(chan error)
	go func() {
		_, err := w.Account(ctx, "default", id1)
		first <- err
	}()
	<-reading
	go func() {
		_, err := w.Account(t.Context(), "default", id1)
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-w.store.ctxErrs; err != nil {
		t.Errorf("the first waiter cancelled the read: %v", err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if n := w.reads(func() { _, _ = w.Account(t.Context(), "default", id1) }); n != 0 {
		t.Errorf("%d reads", n)
	}
}

func TestCacheLastUse(t *testing.T) {
	w := newCacheTest(t)
	use := func(secret string) {
		if _, err := w.Authenticate(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
	use("ops")
	use("one")
	w.advance(time.Second)
	use("ops")
	w.store.setError(accounts.ErrUnavailable)
	w.Touch(t.Context()) // fails; the next call tries again
	w.store.setError(nil)
	w.Poll(t.Context())
	w.Touch(t.Context())
	w.Touch(t.Context()) // writes nothing
	w.advance(time.Second)
	use("ops")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx) // writes at its end
	want := []map[string]time.Time{{"t1": noon.Add(time.Second), "t2": noon}, {"t1": noon.Add(2 * time.Second)}}
	if diff := cmp.Diff(want, w.store.touched); diff != "" {
		t.Error(diff)
	}
}
