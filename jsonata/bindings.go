package jsonata

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
)

// Bindings are the values that expressions see by name, for any number of evaluations. They are
// immutable and safe for concurrent use.
type Bindings struct{ *bindingScope }

// bindingScope is bindings: those of base, and added, which come first.
type bindingScope struct {
	base  *bindingScope // nil: none
	added map[string]any

	mu     sync.Mutex // guards what follows, which most evaluations do not need
	ready  bool
	plain  map[string]any
	values map[string]any // plain with gnata's null; plain itself if it contains no null
	null   bool           // it does
	err    error
}

// NewBindings binds values, which must be plain JSON and no longer change.
func NewBindings(values map[string]any) Bindings { return Bindings{&bindingScope{added: values}} }

// With returns b with values added or replaced.
func (b Bindings) With(more map[string]any) Bindings {
	return Bindings{&bindingScope{base: b.bindingScope, added: more}}
}

// Plain returns the value bound to name; nil if there is none.
func (b Bindings) Plain(name string) any {
	v, _ := b.lookUp(name)
	return v
}

func (s *bindingScope) lookUp(name string) (any, bool) {
	for ; s != nil; s = s.base {
		if v, ok := s.added[name]; ok {
			return v, true
		}
	}
	return nil, false
}

// all returns all values as one object.
func (s *bindingScope) all(ctx context.Context) map[string]any {
	_ = s.prepare(ctx) // its errors are about gnata's values
	return s.plain
}

// forGnata returns the values with gnata's null. It is an error if they are not plain JSON, or if
// ctx ends.
func (s *bindingScope) forGnata(ctx context.Context) (map[string]any, error) {
	err := s.prepare(ctx)
	return s.values, err
}

func (s *bindingScope) prepare(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		return s.err
	}
	w := converter{ctx: ctx, toGnata: true, left: math.MaxInt}
	if s.null, s.err = w.holdsNull(s.added, 0); s.err != nil {
		s.err = fmt.Errorf("bindings: %w", s.err)
	}
	s.plain, s.values = s.added, s.added
	if s.null {
		converted, _, err := w.object(s.added, s.added, 0)
		s.values, _ = converted.(map[string]any)
		s.err = err
	}
	if s.base != nil {
		failed := s.base.prepare(ctx)
		s.plain = merge(s.base.plain, s.plain)
		if s.null = s.null || s.base.null; s.null {
			s.values = merge(s.base.values, s.values)
		} else {
			s.values = s.plain
		}
		s.err = cmp.Or(failed, s.err)
	}
	s.ready = ctx.Err() == nil // another evaluation has more time
	return s.err
}

func merge(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}
