package database

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/accounts"
)

func testChanges(s storeTest) {
	t, d, c := s.t, s.d, s.c
	var notified []accounts.Change
	d.Notify(func(changes []accounts.Change) {
		for _, change := range changes { // already committed
			if change.Kind == accounts.ChangeAccount {
				_, _ = d.AccountInfo(t.Context(), "default", change.ID)
			}
		}
		notified = append(notified, changes...)
	})
	account, tok := accounts.Change{Kind: accounts.ChangeAccount, ID: id1}, accounts.Change{Kind: accounts.ChangeToken, ID: id2}
	steps := []struct {
		name string
		do   func() error
		want []accounts.Change
	}{
		{"create", func() error {
			create(t, d, accounts.Account{ID: id1, Grant: &accounts.Grant{AccessToken: "a"}})
			return nil
		}, []accounts.Change{account}},
		{"update", func() error {
			_, err := d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{})
			return err
		}, []accounts.Change{account}},
		{"grant", func() error { return d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "b"}) }, []accounts.Change{account}},
		{"reauth", func() error { return d.NeedsReauth(t.Context(), ops, "default", id1, "b", "") }, []accounts.Change{account}},
		{"reauth again", func() error { return d.NeedsReauth(t.Context(), ops, "default", id1, "b", "") }, nil},
		{"token", func() error { token(t, d, "x", accounts.Token{ID: id2}); return nil }, []accounts.Change{tok}},
		{"revoke", func() error { return d.RevokeToken(t.Context(), ops, "default", id2) }, []accounts.Change{tok}},
		{"environment", func() error { environment(t, d, "e"); return nil }, []accounts.Change{{Kind: accounts.ChangeEnvironment, ID: "e"}}},
		{"update environment", func() error {
			_, err := d.UpdateEnvironment(t.Context(), ops, "e", accounts.EnvironmentChange{})
			return err
		}, []accounts.Change{{Kind: accounts.ChangeEnvironment, ID: "e"}}},
		{"delete environment", func() error { return d.DeleteEnvironment(t.Context(), ops, "e", 0) }, []accounts.Change{{Kind: accounts.ChangeEnvironment, ID: "e"}}},
		{"link", func() error {
			return d.CreateLink(t.Context(), ops, linkHash, accounts.Link{Environment: "default", ExpiresAt: c.Now().Add(time.Hour)})
		}, nil},
		{"reseal", func() error { _, err := d.Reseal(t.Context(), 1); return err }, nil},
	}
	_, n, err := d.Changes(t.Context(), 0)
	must(t, err)
	for _, step := range steps {
		notified = nil
		must(t, step.do())
		same(t, step.name+" notified", step.want, notified)
		changes, latest, err := d.Changes(t.Context(), n)
		must(t, err)
		same(t, step.name+" read", step.want, changes)
		if n = latest; n < 0 {
			t.Error("number", n)
		}
	}
	changes, latest, err := d.Changes(t.Context(), n)
	must(t, err)
	same(t, "nothing new", 0, len(changes)+int(latest-n))
	notified = nil
	wantErr(t, "refused", d.DeleteAccount(t.Context(), ops, "default", id1, 99), accounts.ErrConflict)
	same(t, "refused", 0, len(notified))
}

// testChangesInOrder: a reader misses no change while several goroutines write.
func testChangesInOrder(s storeTest) {
	t, d := s.t, s.d
	const writers, each = 4, 15
	var wg sync.WaitGroup
	var done atomic.Bool
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := d.CreateEnvironment(t.Context(), ops, accounts.Environment{Name: fmt.Sprintf("e%d-%d", w, i)})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { wg.Wait(); done.Store(true) }()
	seen := map[string]bool{}
	var n int64
	for last := false; !last; {
		last = done.Load() // read once more after the end
		changes, latest, err := d.Changes(t.Context(), n)
		must(t, err)
		for _, c := range changes {
			if seen[c.ID] {
				t.Errorf("%s twice", c.ID)
			}
			seen[c.ID] = true
		}
		n = latest
	}
	same(t, "seen", writers*each, len(seen))
}

func testChangesPruned(s storeTest) {
	t, d := s.t, s.d
	_, err := d.write.ExecContext(t.Context(), `UPDATE revision SET n = 25099`)
	must(t, err)
	_, err = d.write.ExecContext(t.Context(), `INSERT INTO change (n, kind, id) VALUES (15099, 'account', 'a'), (15100, 'account', 'b'), (15101, 'account', 'c')`)
	must(t, err)
	environment(t, d, "e") // revision 25100 prunes
	all := []accounts.Change{{Kind: accounts.ChangeAll}}
	for after, want := range map[int64][]accounts.Change{
		0: all, -1: all, 15099: all, 25101: all, // 25101: the database was restored from a backup
		15100: {{Kind: accounts.ChangeAccount, ID: "c"}, {Kind: accounts.ChangeEnvironment, ID: "e"}},
		25099: {{Kind: accounts.ChangeEnvironment, ID: "e"}},
		25100: nil,
	} {
		changes, latest, err := d.Changes(t.Context(), after)
		must(t, err)
		same(t, fmt.Sprint("after ", after), want, changes)
		same(t, "latest", int64(25100), latest)
	}
	var kept int
	must(t, d.read.QueryRowContext(t.Context(), `SELECT count(*) FROM change`).Scan(&kept))
	same(t, "kept", 2, kept)
}

// testExclusive counts concurrent holders.
func testExclusive(s storeTest) {
	t, d := s.t, s.d
	var inside, most, done atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := d.Exclusive(t.Context(), "refresh a", func(ctx context.Context) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				done.Add(1)
				return d.Ready(ctx) // the store is usable while the lock is held
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	same(t, "most at once, done", []int32{1, 50}, []int32{most.Load(), done.Load()})
	same(t, "mutexes left", 0, len(d.mutexes.byName))

	// Another name does not wait, the caller gets the error of do itself, and a panic
	// releases the lock.
	refused := errors.New("refused by the provider")
	err := d.Exclusive(t.Context(), "a", func(ctx context.Context) error {
		return d.Exclusive(ctx, "b", func(context.Context) error { return refused })
	})
	if err != refused { //nolint:errorlint // the same value
		t.Errorf("error %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = d.Exclusive(t.Context(), "a", func(context.Context) error { panic("x") })
	}()
	must(t, d.Exclusive(t.Context(), "a", func(context.Context) error { return nil }))
}

func testExclusiveEnds(s storeTest) {
	t, d := s.t, s.d
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Exclusive(ctx, "a", func(ctx context.Context) error {
		waiting, stop := context.WithTimeout(ctx, 30*time.Millisecond)
		defer stop()
		err := d.Exclusive(waiting, "a", func(context.Context) error { t.Error("got the lock"); return nil })
		wantErr(t, "gave up", err, context.DeadlineExceeded)
		cancel()
		return ctx.Err()
	})
	wantErr(t, "cancelled inside", err, context.Canceled)
	must(t, d.Exclusive(t.Context(), "a", func(context.Context) error { return nil })) // the cancelled holder has released it
	wantErr(t, "cancelled before", d.Exclusive(ctx, "a", func(context.Context) error { t.Error("got the lock"); return nil }), context.Canceled)
}

// TestExclusiveTwoStores: the lock excludes another store on the same database.
func TestExclusiveTwoStores(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		dbs := []*DB{p.open(t, options(t)), p.open(t, options(t))}
		var inside, most atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				err := dbs[i%2].Exclusive(t.Context(), "a", func(context.Context) error {
					most.Store(max(most.Load(), inside.Add(1)))
					time.Sleep(time.Millisecond)
					inside.Add(-1)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		same(t, "most at once", int32(1), most.Load())

		waiting, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer stop()
		must(t, dbs[0].Exclusive(t.Context(), "a", func(context.Context) error {
			err := dbs[1].Exclusive(waiting, "a", func(context.Context) error { t.Error("got the lock"); return nil })
			wantErr(t, "gave up", err, context.DeadlineExceeded)
			if errors.Is(err, accounts.ErrUnavailable) {
				t.Error("waiting without success returns ErrUnavailable:", err)
			}
			return nil
		}))
	})
}

// TestExclusiveLost: the lock of a holder that dies is released.
func TestExclusiveLost(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		c, o := &clock{}, options(t)
		o.Now = c.Now
		d := newSQLite(t).open(t, o)
		if got, err := d.lease(t.Context(), "a", "dead"); !got || err != nil {
			t.Fatal(got, err)
		}
		if got, err := d.lease(t.Context(), "a", "other"); got || err != nil {
			t.Fatal(got, err)
		}
		c.add(leaseDuration)
		must(t, d.Exclusive(t.Context(), "a", func(context.Context) error { return nil }))
	})
	t.Run("postgres", func(t *testing.T) {
		p := newPostgres(t)
		d, other := p.open(t, options(t)), p.open(t, options(t))
		held, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = d.Exclusive(t.Context(), "a", func(context.Context) error { close(held); <-release; return nil })
		})
		<-held
		terminate(t, other) // all other sessions
		must(t, other.Exclusive(t.Context(), "a", func(context.Context) error { return nil }))
		close(release)
		wg.Wait()
		must(t, d.Exclusive(t.Context(), "a", func(context.Context) error { return nil }))
	})
}
