package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/jsonata"
)

// waits counts the requests of a tenant that wait.
func (q *queue) waits(tenant string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting[tenant])
}

// Tenants have their turns one after the other, however many requests each has. What is over the
// limit of a tenant is refused, unless it is patient; a request that stops waiting uses no turn.
func TestQueueServesTenantsInTurn(t *testing.T) {
	q := &queue{limit: 4, free: 1, waiting: map[string][]chan struct{}{}}
	if err := q.enter(t.Context(), jsonata.Tenant{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var wait sync.WaitGroup
	enter := func(ctx context.Context, tenant jsonata.Tenant, name string) {
		before := q.waits(tenant.Name)
		wait.Go(func() {
			if err := q.enter(ctx, tenant); err != nil {
				return
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			q.leave()
		})
		for q.waits(tenant.Name) == before {
			time.Sleep(time.Millisecond)
		}
	}
	a, b, c := jsonata.Tenant{Name: "a"}, jsonata.Tenant{Name: "b"}, jsonata.Tenant{Name: "c"}
	leaving, leave := context.WithCancel(t.Context())
	enter(t.Context(), a, "a1")
	enter(leaving, a, "left")
	enter(t.Context(), a, "a2")
	enter(leaving, c, "left")
	enter(t.Context(), a, "a3")
	if err := q.enter(t.Context(), a); !errors.Is(err, jsonata.ErrBusy) {
		t.Errorf("one more than allowed: %v", err)
	}
	enter(t.Context(), jsonata.Tenant{Name: "a", Patient: true}, "a4")
	enter(t.Context(), b, "b1")
	enter(t.Context(), b, "b2")
	leave()
	for q.waits("c") > 0 || q.waits("a") > 4 {
		time.Sleep(time.Millisecond)
	}
	q.leave()
	wait.Wait()
	if got := strings.Join(order, " "); got != "a1 b1 a2 b2 a3 a4" {
		t.Errorf("served in the order %s", got)
	}
	if q.free != 1 || len(q.waiting) > 0 || len(q.next) > 0 {
		t.Errorf("left: %d free, %v, %v", q.free, q.waiting, q.next)
	}
}

// A turn that comes while its request stops waiting goes to the next one.
func TestQueuePassesTurnsOn(t *testing.T) {
	q := &queue{limit: 1, free: 1, waiting: map[string][]chan struct{}{}}
	a, b := jsonata.Tenant{Name: "a"}, jsonata.Tenant{Name: "b"}
	_, _ = q.join(a)
	turn, _ := q.join(a)
	next, _ := q.join(b)
	q.leave()
	q.quit(a.Name, turn)
	select {
	case <-next:
	default:
		t.Error("the turn is lost")
	}
	q.leave()
	if q.free != 1 {
		t.Errorf("%d turns are free", q.free)
	}
}

// The costly expressions of one environment make another one wait for its turn, not for all of them.
func TestPoolIsFair(t *testing.T) {
	p := newTestPool(t, 100*time.Millisecond)
	many := 10 * cap(p.idle)
	costly := jsonata.WithTenant(t.Context(), jsonata.Tenant{Name: "costly", Patient: true})
	var done atomic.Int64
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() {
			if _, _, err := p.Evaluate(costly, killers["loop"], nil); !errors.Is(err, jsonata.ErrOverrun) {
				t.Error(err)
			}
			done.Add(1)
		})
	}
	for p.turns.waits("costly") < many-cap(p.idle) {
		time.Sleep(time.Millisecond)
	}
	before := done.Load()
	modest := jsonata.WithTenant(t.Context(), jsonata.Tenant{Name: "modest"})
	for range 2 {
		if v, _, err := p.Evaluate(modest, `1 + 1`, nil); fmt.Sprint(v) != "2" || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
	}
	if served := int(done.Load() - before); served > 4*cap(p.idle) {
		t.Errorf("two evaluations waited for %d of another environment's %d", served, many)
	}
	wait.Wait()
}

// The queue of a pool is bounded.
func TestPoolRefusesMoreThanItsQueue(t *testing.T) {
	p := New(testCommand(100*time.Millisecond), 100*time.Millisecond, WithQueue(1))
	t.Cleanup(p.Close)
	results := make(chan error, 2*cap(p.idle)+4)
	for range cap(results) {
		go func() {
			_, _, err := p.Evaluate(t.Context(), killers["loop"], nil)
			results <- err
		}()
	}
	var refused []error
	for range cap(results) {
		if err := <-results; errors.Is(err, jsonata.ErrBusy) {
			refused = append(refused, err)
		}
	}
	if len(refused) == 0 {
		t.Errorf("refused: %v", refused)
	}
}
