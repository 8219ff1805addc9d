package engine_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"portolan/engine"
	"portolan/jsonata"
)

// Accounts with overrides of their own share a method and everything under it.
func TestOverridesKeepTenantsApart(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{EvalTimeout: 5 * time.Second})
	overrides := engine.NewOverrides(catalog, 3) // fewer than tenants: plans come and go
	var wait sync.WaitGroup
	for tenant := range 8 {
		wait.Go(func() {
			name := fmt.Sprintf("tenant%d", tenant)
			for range 20 {
				plan, found := overrides.Plan(base, layer("environment", `{ "shared": true }`, "", "", false),
					layer("account", `{ "who": "`+name+`", "site": context.site }`, "", `{ "who": "`+name+`", "region": context.region }`, false))
				if found.Failed() {
					t.Error(found)
					return
				}
				req := &engine.Request{ID: "7", Body: map[string]any{"first_name": name}, Context: engine.Context{"site": "acme", "api_key": "k", "region": name}}
				_, body, record, err := carriedOut(t, plan, req, `{"id":1}`)
				if want := fmt.Sprintf(`{"person":{"first":%q,"tags":["base"]},"shared":true,"site":"acme","who":%q}`, name, name); body != want || err != nil {
					t.Errorf("sent %s, want %s: %v", body, want, err)
				}
				if record["who"] != name || record["region"] != name {
					t.Errorf("%s got %v", name, record)
				}
			}
		})
	}
	wait.Wait()
}

func TestOverridesCache(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	overrides := engine.NewOverrides(catalog, 2)
	get := func(name, src string) *engine.Plan {
		plan, _ := overrides.Plan(base, layer(name, "", "", src, false))
		return plan
	}
	if plan, found := overrides.Plan(base, layer("a", "", "", "", true)); plan != base || len(found) > 0 {
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
		t.Error("what was used last is gone")
	}
	get("a", `{ "a": 3 }`)
	get("a", `{ "a": 4 }`)
	if get("a", `{ "a": 1 }`) == one || engine.Kept(overrides) != 2 {
		t.Errorf("%d plans are kept, want 2", engine.Kept(overrides))
	}
	get("a", `{ "a": `)
	if engine.Kept(overrides) != 1 {
		t.Errorf("%d plans are kept, want the good one", engine.Kept(overrides))
	}
}

func TestOverridesCompileOnce(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{EvalTimeout: 5 * time.Second})
	overrides := engine.NewOverrides(catalog, 10)
	plans := make([]*engine.Plan, 16)
	var wait sync.WaitGroup
	for i := range plans {
		wait.Go(func() { plans[i], _ = overrides.Plan(base, layer("a", `{ "a": body.first_name }`, "", "", false)) })
	}
	wait.Wait()
	if len(slices.Compact(plans)) != 1 || plans[0] == nil {
		t.Error("one content was compiled more than once")
	}
}
