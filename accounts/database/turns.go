package database

import (
	"context"
	"sync"
)

// turns lets one caller at a time in, by name. Its zero value is ready.
type turns struct {
	mu     sync.Mutex
	byName map[string]*turn
}

// turn is held by who could send to it; callers counts the holder and those who wait.
type turn struct {
	held    chan struct{}
	callers int
}

// take waits for the turn of name until ctx ends. leave gives it back.
func (t *turns) take(ctx context.Context, name string) (leave func(), err error) {
	if ctx.Err() != nil { // select would choose at random
		return nil, ctx.Err()
	}
	t.mu.Lock()
	mine := t.byName[name]
	if mine == nil {
		mine = &turn{held: make(chan struct{}, 1)}
		if t.byName == nil {
			t.byName = map[string]*turn{}
		}
		t.byName[name] = mine
	}
	mine.callers++
	t.mu.Unlock()
	select {
	case mine.held <- struct{}{}:
		return func() { <-mine.held; t.forget(name, mine) }, nil
	case <-ctx.Done():
		t.forget(name, mine)
		return nil, ctx.Err()
	}
}

func (t *turns) forget(name string, left *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left.callers--; left.callers == 0 {
		delete(t.byName, name)
	}
}
