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

func TestCacheRemembers(t *testing.T) {
	w := newCacheWorld(t)
	for i, want := range []int{4, 0, 0} {
		n := w.asks(func() {
			w.labels(t)
			for _, secret := range []string{"ops", "one"} {
				if _, err := w.Authenticate(t.Context(), secret); err != nil {
					t.Error(err)
				}
			}
		})
		if n != want {
			t.Errorf("round %d asked %d times", i, n)
		}
	}
	for range 2 { // what is not there is asked for each time
		n := w.asks(func() {
			if _, err := w.Authenticate(t.Context(), "no"); !errors.Is(err, accounts.ErrUnauthorized) {
				t.Errorf("got %v", err)
			}
			if _, err := w.Account(t.Context(), "default", id2); !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
		if n != 2 {
			t.Errorf("asked %d times", n)
		}
	}
	if printed := fmt.Sprintf("%v %+v %#v", w.Cache, w.Cache, w.Cache); strings.Contains(printed, canary) {
		t.Error(printed)
	}
}

func TestCacheForgets(t *testing.T) {
	for name, tt := range map[string]struct {
		change accounts.Change
		labels string
		tokens int // that are asked for anew
	}{
		"account":           {accounts.Change{Kind: accounts.ChangeAccount, ID: id1}, "new old", 1},
		"another account":   {accounts.Change{Kind: accounts.ChangeAccount, ID: id2}, "old new", 0},
		"token":             {accounts.Change{Kind: accounts.ChangeToken, ID: "t1"}, "old old", 1},
		"environment":       {accounts.Change{Kind: accounts.ChangeEnvironment, ID: "production"}, "old new", 0},
		"everything":        {accounts.Change{Kind: accounts.ChangeAll}, "new new", 2},
		"what nobody knows": {accounts.Change{Kind: "new kind"}, "new new", 2},
	} {
		for _, own := range []bool{false, true} {
			t.Run(fmt.Sprint(name, own), func(t *testing.T) {
				w := newCacheWorld(t)
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
				if n := w.asks(authenticate); n != tt.tokens {
					t.Errorf("%d tokens were asked for", n)
				}
			})
		}
	}
}

// What was read before a change is not kept after it, and nobody who comes after the
// change gets it.
func TestCacheEpoch(t *testing.T) {
	w := newCacheWorld(t)
	reading, release := make(chan struct{}), make(chan struct{})
	w.store.read = func() {
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
	w.store.read = nil
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

// The same, where nobody has read the new state before the late answer comes.
func TestCacheEpochAlone(t *testing.T) {
	w := newCacheWorld(t)
	w.store.read = func() {
		w.store.change(accounts.ChangeAccount, id1, w.store.label(id1, "new"))
		w.store.read = nil
		w.Poll(t.Context())
	}
	w.labels(t)
	if got := w.labels(t); got != "new old" {
		t.Errorf("got %s", got)
	}
}

// readOwnChanges has a goroutine for each account change it and read all. Who has changed
// one never sees it as it was.
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

func TestCacheReadsItsOwnChanges(t *testing.T) {
	w := newCacheWorld(t)
	var ids []string
	for i := range 16 {
		id := fmt.Sprintf("62f44730-dd91-461e-bd6a-%012d", i)
		w.store.accounts[id] = accounts.Account{ID: id, Environment: "default"}
		ids = append(ids, id)
	}
	w.store.read = runtime.Gosched // an answer is often late
	readOwnChanges(t, w.Cache, ids, 200, func(id, label string) error {
		w.store.change(accounts.ChangeAccount, id, w.store.label(id, label))
		w.store.notify([]accounts.Change{{Kind: accounts.ChangeAccount, ID: id}})
		if label == "100" {
			w.Poll(t.Context())
		}
		return nil
	})
}

func TestCacheStoreIsAway(t *testing.T) {
	w := newCacheWorld(t)
	w.labels(t)
	if _, err := w.Authenticate(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	w.store.lose(fmt.Errorf("%w: gone", accounts.ErrUnavailable))
	w.Poll(t.Context())
	w.pass(accounts.TrustFor - 1)
	w.Poll(t.Context())
	w.labels(t) // still known
	w.pass(1)
	if _, err := w.Account(t.Context(), "default", id1); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Authenticate(t.Context(), "ops"); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := w.Ready(t.Context()); !errors.Is(err, accounts.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	w.store.lose(nil)
	w.store.change(accounts.ChangeAccount, id1, w.store.label(id1, "new"))
	if got := w.labels(t); got != "new old" {
		t.Errorf("before it has caught up: %s", got)
	}
	w.Poll(t.Context())
	if got := w.labels(t); got != "new old" {
		t.Errorf("caught up: %s", got)
	}
	if n := w.asks(func() { w.labels(t) }); n != 0 {
		t.Errorf("asked %d times", n)
	}
	if n := strings.Count(w.logs.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, &w.logs)
	}
	w.store.mu.Lock() // a backup was put back
	w.store.log = nil
	w.store.label(id2, "older")()
	w.store.mu.Unlock()
	w.Poll(t.Context())
	if got := w.labels(t); got != "new older" {
		t.Errorf("after the backup: %s", got)
	}
}

// A cache that nobody polls for, such as a command's, asks.
func TestCacheWithoutRun(t *testing.T) {
	w := newCacheWorld(t)
	w.Cache = accounts.NewCache(w.store, w.now, slog.New(slog.DiscardHandler))
	w.labels(t)
	if n := w.asks(func() { w.labels(t) }); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestCacheExpiry(t *testing.T) {
	w := newCacheWorld(t)
	if _, err := w.Authenticate(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	w.Poll(t.Context())
	// The store's clock is late: it still knows the token.
	if n := w.asks(func() {
		if got, err := w.Authenticate(t.Context(), "one"); !errors.Is(err, accounts.ErrUnauthorized) || got != (accounts.Token{}) {
			t.Errorf("got %v, %v", got, err)
		}
	}); n != 1 {
		t.Error("a failure was answered faster than one of an unknown token")
	}
}

func TestCacheIsBounded(t *testing.T) {
	w := newCacheWorld(t)
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
	w.store.notify([]accounts.Change{{Kind: accounts.ChangeAccount, ID: id1}}) // whose tokens they all are
	if got := fmt.Sprint(w.Cache); got != "0 cached tokens, 50 cached accounts" {
		t.Errorf("got %s", got)
	}
}

func TestCacheWaiterLeaves(t *testing.T) {
	w := newCacheWorld(t)
	reading, release := make(chan struct{}, 2), make(chan struct{})
	w.store.left = make(chan error, 3)
	w.store.read = func() {
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
	if err := <-w.store.left; err != nil {
		t.Errorf("the read ended with its first waiter: %v", err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if n := w.asks(func() { _, _ = w.Account(t.Context(), "default", id1) }); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestCacheLastUse(t *testing.T) {
	w := newCacheWorld(t)
	use := func(secret string) {
		if _, err := w.Authenticate(t.Context(), secret); err != nil {
			t.Error(err)
		}
	}
	noon := w.now()
	use("ops")
	use("one")
	w.pass(time.Second)
	use("ops")
	w.store.lose(accounts.ErrUnavailable)
	w.Touch(t.Context()) // is tried again
	w.store.lose(nil)
	w.Poll(t.Context())
	w.Touch(t.Context())
	w.Touch(t.Context()) // nothing new: nothing written
	w.pass(time.Second)
	use("ops")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx) // writes at its end
	want := []map[string]time.Time{{"t1": noon.Add(time.Second), "t2": noon}, {"t1": noon.Add(2 * time.Second)}}
	if diff := cmp.Diff(want, w.store.touched); diff != "" {
		t.Error(diff)
	}
}
