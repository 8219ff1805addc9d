package worker

import (
	"context"
	"slices"
	"sync"

	"portolan/jsonata"
)

// queue lets a number of requests at a time have a turn. Those of other tenants wait and get turns
// one tenant after the other, so that no tenant waits for all requests of another. It is safe for
// concurrent use.
type queue struct {
	limit int // how many requests of a tenant may wait, except those of a patient one

	mu      sync.Mutex
	free    int // turns that nobody has
	waiting map[string][]chan struct{}
	next    []string // the tenants with a request that waits, in the order of their next turn
}

// enter waits for a turn. The caller must call leave after it. The error is jsonata.ErrBusy or the
// cause of ctx.
func (q *queue) enter(ctx context.Context, tenant jsonata.Tenant) error {
	turn, err := q.join(tenant)
	if turn == nil {
		return err
	}
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		q.quit(tenant.Name, turn)
		return context.Cause(ctx)
	}
}

// join takes a free turn, or returns the channel that is closed when the turn comes.
func (q *queue) join(tenant jsonata.Tenant) (turn chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := q.waiting[tenant.Name]
	switch {
	case q.free > 0:
		q.free--
		return nil, nil
	case len(own) >= q.limit && !tenant.Patient:
		return nil, jsonata.ErrBusy
	case len(own) == 0:
		q.next = append(q.next, tenant.Name)
	}
	turn = make(chan struct{})
	q.waiting[tenant.Name] = append(own, turn)
	return turn, nil
}

// quit ends a request that no longer waits for its turn, which may have come.
func (q *queue) quit(tenant string, turn chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting[tenant], turn)
	if at < 0 {
		q.pass()
		return
	}
	q.waiting[tenant] = slices.Delete(q.waiting[tenant], at, at+1)
	if len(q.waiting[tenant]) == 0 {
		delete(q.waiting, tenant)
		q.next = slices.DeleteFunc(q.next, func(name string) bool { return name == tenant })
	}
}

// leave ends a turn.
func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass()
}

// pass gives a turn to the next tenant.
func (q *queue) pass() {
	if len(q.next) == 0 {
		q.free++
		return
	}
	tenant := q.next[0]
	q.next = q.next[1:]
	turn, rest := q.waiting[tenant][0], q.waiting[tenant][1:]
	if len(rest) > 0 {
		q.waiting[tenant], q.next = rest, append(q.next, tenant)
	} else {
		delete(q.waiting, tenant)
	}
	close(turn)
}
