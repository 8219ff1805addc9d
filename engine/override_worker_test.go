package engine_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/jsonata"
)

// workerFunc is a worker that compiles everything and evaluates by a function.
type workerFunc func(ctx context.Context, source string, bindings map[string]any) (any, bool, error)

func (workerFunc) Compile(context.Context, string) error { return nil }

func (f workerFunc) Evaluate(ctx context.Context, source string, bindings map[string]any) (any, bool, error) {
	return f(ctx, source, bindings)
}

// A worker gets the expressions of overrides, saved and served, and never the mapping's own.
func TestWorkerEvaluatesOverrides(t *testing.T) {
	var evaluated []string
	evaluate := func(_ context.Context, source string, bindings map[string]any) (any, bool, error) {
		if account := fmt.Sprint(bindings["context"]); strings.Contains(account, "canary") {
			t.Errorf("%s is given %s", source, account)
		}
		evaluated = append(evaluated, source)
		return map[string]any{"worker": source}, true, nil
	}
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithWorker(workerFunc(evaluate))
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, _ := engine.Load(language, engine.Layer{FS: files})
	catalog, _ := engine.Compile(docs, unifiedModels(t), nil)
	base := catalog.Plan("acme", usersUpdate)
	req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
	if _, _, _, err := carriedOut(t, base, req, `{"id":1}`); err != nil || len(evaluated) > 0 {
		t.Fatalf("without overrides %q go to the worker, %v", evaluated, err)
	}
	plan, found := catalog.Override("", base, layer("a", `{ "b": 1 }`, `{ "q": 2 }`, `{ "r": 3 }`, false))
	if found.Failed() || !slices.Contains(evaluated, `{ "b": 1 }`) {
		t.Fatalf("%v; tried by the worker: %q", found, evaluated)
	}
	evaluated = nil
	target, body, record, err := carriedOut(t, plan, req, `{"id":1}`)
	if diff := cmp.Diff([]string{`{ "b": 1 }`, `{ "q": 2 }`, `{ "r": 3 }`}, evaluated); diff != "" || err != nil {
		t.Errorf("%v, went to the worker (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(target, "worker=") || !strings.Contains(body, `"worker":"{ \"b\": 1 }"`) || record["worker"] != `{ "r": 3 }` {
		t.Errorf("got %s %s %v", target, body, record)
	}
}

// A worker is told on whose behalf it evaluates. If too many evaluations of an environment wait, its
// calls fail as busy, and its overrides are compiled nevertheless.
func TestWorkerKnowsTheTenant(t *testing.T) {
	var tenants []jsonata.Tenant
	var failure error
	evaluate := func(ctx context.Context, _ string, _ map[string]any) (any, bool, error) {
		tenants = append(tenants, jsonata.TenantOf(ctx))
		return map[string]any{"worker": true}, true, failure
	}
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithWorker(workerFunc(evaluate))
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, _ := engine.Load(language, engine.Layer{FS: files})
	catalog, _ := engine.Compile(docs, unifiedModels(t), nil)
	plan, found := catalog.Override("live", catalog.Plan("acme", usersUpdate), layer("a", `{ "b": 1 }`, "", "", false))
	patient := jsonata.Tenant{Name: "live", Patient: true}
	if others := slices.DeleteFunc(slices.Clone(tenants), func(t jsonata.Tenant) bool { return t == patient }); found.Failed() || len(tenants) < 3 || len(others) > 0 {
		t.Errorf("compiled for %v, %v", tenants, found)
	}
	tenants = nil
	req := &engine.Request{Environment: "live", ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
	if _, _, _, err := carriedOut(t, plan, req, `{"id":1}`); err != nil {
		t.Error(err)
	}
	if _, err := engine.New(nil, time.Now).Plan(t.Context(), plan, req, nil); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]jsonata.Tenant{{Name: "live"}, {Name: "live"}}, tenants); diff != "" {
		t.Errorf("called and planned for (-want +got):\n%s", diff)
	}
	failure = jsonata.ErrBusy
	_, _, _, err := carriedOut(t, plan, req, `{"id":1}`)
	if failed, ok := errors.AsType[*engine.Error](err); !ok || failed.Kind != engine.KindBusy || !errors.Is(err, failure) {
		t.Errorf("a full queue gives %v", err)
	}
}

// A worker's failure is an error at the override's place, also if no worker could evaluate it.
func TestWorkerFails(t *testing.T) {
	var failure error
	evaluate := func(context.Context, string, map[string]any) (any, bool, error) { return nil, false, failure }
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithWorker(workerFunc(evaluate))
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, _ := engine.Load(language, engine.Layer{FS: files})
	catalog, _ := engine.Compile(docs, unifiedModels(t), nil)
	base, own := catalog.Plan("acme", usersUpdate), layer("a", "", "", `{ "r": 3 }`, false)
	plan, found := catalog.Override("", base, own)
	if found.Failed() {
		t.Fatal(found)
	}
	for _, failure = range []error{jsonata.ErrMemory, jsonata.ErrOverrun, jsonata.ErrNoWorker} {
		if _, found := catalog.Override("", base, own); len(found) != 1 || found[0].Code != "E047-costly-override" || found[0].Message != failure.Error() {
			t.Errorf("%v: saving finds %v", failure, found)
		}
		_, _, _, err := carriedOut(t, plan, &engine.Request{ID: "7", Context: account(), Body: map[string]any{"first_name": "Ada"}}, `{"id":1}`)
		failed, ok := errors.AsType[*engine.Error](err)
		if !ok || failed.Kind != engine.KindMapping || failed.Pos.File != "a/response_mapping" || !errors.Is(err, failure) {
			t.Errorf("%v: the call gives %v", failure, err)
		}
	}
	failure = context.Canceled
	_, _, _, err := carriedOut(t, plan, &engine.Request{ID: "7", Context: account(), Body: map[string]any{"first_name": "Ada"}}, `{"id":1}`)
	if failed, ok := errors.AsType[*engine.Error](err); !ok || failed.Kind != engine.KindCanceled {
		t.Errorf("a caller who goes away gives %v", err)
	}
}

// refusingWorker refuses to compile.
type refusingWorker struct {
	workerFunc
	err error
}

func (a refusingWorker) Compile(context.Context, string) error { return a.err }

// Only a worker compiles an override. What it cannot compile in time and memory is refused.
func TestWorkerCompilesOverrides(t *testing.T) {
	nothing := func(context.Context, string, map[string]any) (any, bool, error) { return nil, false, nil }
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"compiles":    {nil, ""},
		"not in time": {jsonata.ErrOverrun, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrOverrun.Error() + "\n"},
		"memory":      {jsonata.ErrMemory, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrMemory.Error() + "\n"},
		"nowhere":     {jsonata.ErrNoWorker, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrNoWorker.Error() + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithWorker(refusingWorker{nothing, c.err})
			docs, _ := engine.Load(language, engine.Layer{FS: files})
			catalog, _ := engine.Compile(docs, unifiedModels(t), nil)
			// Only a compiler detects that this is not a valid expression.
			_, found := catalog.Override("", catalog.Plan("acme", usersUpdate), layer("a", "", "", `{ "name": 1 2 }`, false))
			got := ""
			for _, d := range found {
				got += d.String() + "\n"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
		})
	}
}
