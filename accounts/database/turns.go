package database

import (
	"context"
	"sync"
)

// turns lets one caller at a time in, by name. Its zero value is ready.
type turns struct {
	mu     sync.Mutex
	places map[string]*place
}

// place is held by who could send to turn; callers counts it and those who wait.
type place struct {
	turn    chan struct{}
	callers int
}

// take waits for the turn of name until ctx ends. leave gives it back.
func (t *turns) take(ctx context.Context, name string) (leave func(), err error) {
	t.mu.Lock()
	p := t.places[name]
	if p == nil {
		p = &place{turn: make(chan struct{}, 1)}
		if t.places == nil {
			t.places = map[string]*place{}
		}
		t.places[name] = p
	}
	p.callers++
	t.mu.Unlock()
	select {
	case p.turn <- struct{}{}:
		return func() { <-p.turn; t.forget(name, p) }, nil
	case <-ctx.Done():
		t.forget(name, p)
		return nil, ctx.Err()
	}
}

func (t *turns) forget(name string, p *place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.callers--; p.callers == 0 {
		delete(t.places, name)
	}
}
