package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"portolan/engine"
	"portolan/gateway"
)

func layer(name, body, response string) engine.OverrideLayer {
	return engine.OverrideLayer{Name: name, Override: engine.Override{RequestBodyMapping: body, ResponseMapping: response}}
}

// cachedPlans returns a cache of at most maximum plans, and the plan without overrides.
func cachedPlans(tb testing.TB, maximum int) (gateway.PlanCache, *engine.Plan) {
	tb.Helper()
	catalog := newSnapshot(tb, acmeTicketing).Catalog()
	return gateway.NewPlanCache(catalog, maximum), catalog.Plan("acme", update())
}

// Accounts with different overrides share a method, but nothing of each other's overrides.
func TestPlanCacheIsolatesTenants(t *testing.T) {
	t.Parallel()
	cache, base := cachedPlans(t, 3) // fewer than tenants: plans come and go
	var wait sync.WaitGroup
	for tenant := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("tenant%d", tenant)
			for range 20 {
				plan, found := cache.Plan(base, layer("environment", `{ "shared": true }`, ""),
					layer("account", `{ "who": "`+name+`" }`, `{ "who": "`+name+`", "first": body.first_name }`))
				if found.Failed() {
					t.Error(found)
					return
				}
				p := ada()
				req := &engine.Request{ID: "7", Body: map[string]any{"first_name": name}, Context: engine.Context{"key": "k"}}
				result, err := engine.New(p, clock).Do(t.Context(), plan, req, engine.Full)
				if err != nil {
					t.Error(err)
					return
				}
				if want := fmt.Sprintf(`{"first":%q,"shared":true,"who":%q}`, name, name); !strings.HasSuffix(p.calls[0], want) {
					t.Errorf("sent %s, want %s", p.calls[0], want)
				}
				if record := result.Output.Records[0].Fields; record["who"] != name || record["first"] != name {
					t.Errorf("%s got %v", name, record)
				}
			}
		})
	}
	wait.Wait()
}

func TestPlanCache(t *testing.T) {
	t.Parallel()
	cache, base := cachedPlans(t, 2)
	get := func(name, src string) *engine.Plan {
		plan, _ := cache.Plan(base, layer(name, "", src))
		return plan
	}
	if plan, found := cache.Plan(base, layer("a", "", "")); plan != base || len(found) > 0 || cache.Kept() != 0 {
		t.Error("an empty layer makes another plan")
	}
	one := get("a", `{ "a": 1 }`)
	if get("a", `{ "a": 1 }`) != one {
		t.Error("the same content is compiled twice")
	}
	if get("b", `{ "a": 1 }`) == one {
		t.Error("another name has the same places")
	}
	get("a", `{ "a": 1 }`) // used last
	get("a", `{ "a": 2 }`)
	if get("a", `{ "a": 1 }`) != one {
		t.Error("the plan used last is gone")
	}
	get("a", `{ "a": 3 }`)
	get("a", `{ "a": 4 }`)
	if get("a", `{ "a": 1 }`) == one || cache.Kept() != 2 {
		t.Errorf("%d plans are kept, want 2", cache.Kept())
	}
	get("a", `{ "a": `)
	if cache.Kept() != 1 {
		t.Errorf("%d plans are kept, want the valid one", cache.Kept())
	}
}

func TestPlanCacheCompilesOnce(t *testing.T) {
	t.Parallel()
	cache, base := cachedPlans(t, 10)
	plans := make([]*engine.Plan, 16)
	var wait sync.WaitGroup
	for i := range plans {
		wait.Go(func() { plans[i], _ = cache.Plan(base, layer("a", `{ "a": body.first_name }`, "")) })
	}
	wait.Wait()
	if len(slices.Compact(plans)) != 1 || plans[0] == nil {
		t.Error("one content was compiled more than once")
	}
}
