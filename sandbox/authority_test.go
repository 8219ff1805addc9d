package sandbox

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestConcurrentGrants: of many concurrent uses of a code or refresh token, one succeeds.
func TestConcurrentGrants(t *testing.T) {
	t.Parallel()
	const many = 50
	g := newOAuthClient(t, "lighthouse")
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
				g.accepted(access)
			}
		})
	}
	close(start)
	wait.Wait()
	if exchanged.Load() != 1 || renewed.Load() != 1 {
		t.Errorf("%d exchanges and %d renewals, want 1 and 1", exchanged.Load(), renewed.Load())
	}
}

// TestAuthorityLocks calls one method in each goroutine and does nothing afterwards that
// would hide a missing lock from the race detector.
func TestAuthorityLocks(t *testing.T) {
	t.Parallel()
	const many = 50
	o := loadShipped(t, "lighthouse").oauth
	a := newAuthority()
	forever := &consent{expires: clock().Add(time.Hour)}
	given, refused := a.exchange(o, a.addConsent(forever), "", "", clock())
	if refused != nil {
		t.Fatal(refused)
	}
	code := a.addConsent(&consent{expires: clock().Add(time.Hour)})
	var renewed, exchanged [many]bool
	var wait sync.WaitGroup
	for i := range many {
		wait.Go(func() { a.addConsent(forever) })
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
