package gateway

import (
	"portolan/engine"
	"portolan/source"
)

// PlanCache is planCache for tests.
type PlanCache struct{ *planCache }

// NewPlanCache is newPlanCache for tests.
func NewPlanCache(catalog *engine.Catalog, maximum int) PlanCache {
	return PlanCache{newPlanCache(catalog, maximum)}
}

// Plan is planCache.plan for tests.
func (c PlanCache) Plan(base *engine.Plan, layers ...engine.OverrideLayer) (*engine.Plan, source.Diagnostics) {
	return c.plan("", base, layers...)
}

// Kept returns how many plans c keeps.
func (c PlanCache) Kept() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// EntityTag reports whether an ETag of a provider passes.
func EntityTag(value string) bool { return entityTag.MatchString(value) }
