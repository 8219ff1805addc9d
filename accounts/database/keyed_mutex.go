package database

import (
	"context"
	"sync"
)

// keyedMutex holds one mutex a name. Its zero value is unlocked.
type keyedMutex struct {
	mu     sync.Mutex
	byName map[string]*namedMutex
}

// namedMutex is locked while held is full. callers counts its holder and those who wait.
type namedMutex struct {
	held    chan struct{}
	callers int
}

// lock waits for the mutex of name until ctx ends.
func (k *keyedMutex) lock(ctx context.Context, name string) (unlock func(), err error) {
	if ctx.Err() != nil { // select would choose at random
		return nil, ctx.Err()
	}
	k.mu.Lock()
	m := k.byName[name]
	if m == nil {
		m = &namedMutex{held: make(chan struct{}, 1)}
		if k.byName == nil {
			k.byName = map[string]*namedMutex{}
		}
		k.byName[name] = m
	}
	m.callers++
	k.mu.Unlock()
	select {
	case m.held <- struct{}{}:
		return func() { <-m.held; k.leave(name, m) }, nil
	case <-ctx.Done():
		k.leave(name, m)
		return nil, ctx.Err()
	}
}

func (k *keyedMutex) leave(name string, m *namedMutex) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.callers--; m.callers == 0 {
		delete(k.byName, name)
	}
}
