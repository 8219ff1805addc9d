package sandbox

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestConcurrentGrants lets many use one code and one refresh token: one of them gets it.
func TestConcurrentGrants(t *testing.T) {
	t.Parallel()
	const many = 50
	g := newGuest(t, "lighthouse")
	code := g.code(verifier)
	_, refresh := g.granted()
	var wait sync.WaitGroup
	var exchanged, renewed atomic.Int32
	start := make(chan struct{})
	for range many {
		wait.Go(func() {
			<-start
			if status, _ := g.exchange(code); status == 200 {
				exchanged.Add(1)
			}
		})
		wait.Go(func() {
			<-start
			if status, body := g.refresh(refresh); status == 200 {
				renewed.Add(1)
				access, _ := tokens(body)
				g.works(access)
			}
		})
	}
	close(start)
	wait.Wait()
	if exchanged.Load() != 1 || renewed.Load() != 1 {
		t.Errorf("%d exchanges and %d renewals, want 1 and 1", exchanged.Load(), renewed.Load())
	}
	want := Stats{Codes: 2, Requests: 2*many + 1, Exchanges: 2, Refreshes: 1, Refused: 2 * (many - 1)}
	if diff := cmp.Diff(want, g.s.Issued("lighthouse")); diff != "" {
		t.Error(diff)
	}
}

// TestAuthorityLocks lets each goroutine do one thing, and nothing afterwards that would
// hide a missing lock from the race detector.
func TestAuthorityLocks(t *testing.T) {
	t.Parallel()
	const many = 50
	o := loadShipped(t, "lighthouse").oauth
	a := newAuthority()
	forever := &consent{expires: clock().Add(time.Hour)}
	given, refused := a.exchange(o, a.consented(forever), "", "", clock())
	if refused != nil {
		t.Fatal(refused)
	}
	code := a.consented(&consent{expires: clock().Add(time.Hour)})
	var renewed, exchanged [many]bool
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() { a.consented(forever) })
		wait.Go(func() { a.grant(given.access, clock()) })
		wait.Go(func() { a.revoke(given.access) })
		wait.Go(func() {
			_, refused := a.renew(o, given.refresh, "", clock())
			renewed[i] = refused == nil
		})
		wait.Go(func() {
			_, refused := a.exchange(o, code, "", "", clock())
			exchanged[i] = refused == nil
		})
	}
	wait.Wait()
	for what, done := range map[string][many]bool{"renewals": renewed, "exchanges": exchanged} {
		n := 0
		for _, yes := range done {
			if yes {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d %s, want 1", n, what)
		}
	}
}
