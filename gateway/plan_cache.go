package gateway

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"portolan/engine"
	"portolan/source"
)

// planCache keeps compiled plans with overrides by their content, those used last. It is safe for
// concurrent use.
type planCache struct {
	catalog *engine.Catalog
	maximum int

	mu      sync.Mutex
	entries map[planKey]*list.Element
	recent  *list.List // of *cachedPlan, the one used last in front
}

// planKey is the content of a plan with overrides.
type planKey struct {
	base   *engine.Plan
	layers [sha256.Size]byte
}

type cachedPlan struct {
	key     planKey
	compile sync.Once
	plan    *engine.Plan
	found   source.Diagnostics
}

// newPlanCache builds a cache of at most maximum plans of catalog.
func newPlanCache(catalog *engine.Catalog, maximum int) *planCache {
	return &planCache{catalog: catalog, maximum: maximum, entries: map[planKey]*list.Element{}, recent: list.New()}
}

// plan returns what Catalog.Override returns. Concurrent callers with the same content wait for
// one compilation, whatever their environment.
func (c *planCache) plan(environment string, base *engine.Plan, layers ...engine.OverrideLayer) (*engine.Plan, source.Diagnostics) {
	base = base.Base()
	layers = slices.DeleteFunc(slices.Clone(layers), engine.OverrideLayer.IsEmpty)
	if len(layers) == 0 {
		return base, nil
	}
	e := c.entry(planKey{base, sha256.Sum256(fmt.Appendf(nil, "%#v", layers))})
	e.compile.Do(func() { e.plan, e.found = c.catalog.Override(environment, base, layers...) })
	if e.found.Failed() { // the machine may have been busy: the next caller tries again
		c.forget(e)
	}
	return e.plan, e.found
}

// entry returns the entry of key. It adds a missing one and drops the one used longest ago.
func (c *planCache) entry(key planKey) *cachedPlan {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[key]; ok {
		c.recent.MoveToFront(at)
		return at.Value.(*cachedPlan)
	}
	e := &cachedPlan{key: key}
	c.entries[key] = c.recent.PushFront(e)
	for c.recent.Len() > max(c.maximum, 1) {
		c.remove(c.recent.Back())
	}
	return e
}

func (c *planCache) forget(e *cachedPlan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.entries[e.key]; ok && at.Value == e {
		c.remove(at)
	}
}

func (c *planCache) remove(at *list.Element) {
	c.recent.Remove(at)
	delete(c.entries, at.Value.(*cachedPlan).key)
}
