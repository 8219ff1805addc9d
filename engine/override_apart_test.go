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

// apartFunc is an Apart that compiles everything and evaluates by a function.
type apartFunc func(ctx context.Context, source string, bindings map[string]any) (any, bool, error)

func (apartFunc) Compile(context.Context, string) error { return nil }

func (f apartFunc) Evaluate(ctx context.Context, source string, bindings map[string]any) (any, bool, error) {
	return f(ctx, source, bindings)
}

// What evaluates overrides apart gets theirs, saved and served, and never the mapping's own.
func TestOverridesGoApart(t *testing.T) {
	var asked []string
	apart := func(_ context.Context, source string, bindings map[string]any) (any, bool, error) {
		if account := fmt.Sprint(bindings["context"]); strings.Contains(account, "canary") {
			t.Errorf("%s is given %s", source, account)
		}
		asked = append(asked, source)
		return map[string]any{"apart": source}, true, nil
	}
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithApart(apartFunc(apart))
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, _ := engine.Load(language, engine.Layer{FS: files})
	catalog, _ := engine.Compile(docs, unifiedModels(t))
	base := catalog.Plan("acme", usersUpdate)
	req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
	if _, _, _, err := carriedOut(t, base, req, `{"id":1}`); err != nil || len(asked) > 0 {
		t.Fatalf("without overrides %q go apart, %v", asked, err)
	}
	plan, found := catalog.Override(base, layer("a", `{ "b": 1 }`, `{ "q": 2 }`, `{ "r": 3 }`, false))
	if found.Failed() || !slices.Contains(asked, `{ "b": 1 }`) {
		t.Fatalf("%v; tried apart: %q", found, asked)
	}
	asked = nil
	target, body, record, err := carriedOut(t, plan, req, `{"id":1}`)
	if diff := cmp.Diff([]string{`{ "b": 1 }`, `{ "q": 2 }`, `{ "r": 3 }`}, asked); diff != "" || err != nil {
		t.Errorf("%v, went apart (-want +got):\n%s", err, diff)
	}
	if !strings.Contains(target, "apart=") || !strings.Contains(body, `"apart":"{ \"b\": 1 }"`) || record["apart"] != `{ "r": 3 }` {
		t.Errorf("got %s %s %v", target, body, record)
	}
}

// A failure elsewhere is one of the override's, at its place; one that says nothing of it is
// no reason to save it.
func TestOverridesApartFail(t *testing.T) {
	var failure error
	apart := func(context.Context, string, map[string]any) (any, bool, error) { return nil, false, failure }
	language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithApart(apartFunc(apart))
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	docs, _ := engine.Load(language, engine.Layer{FS: files})
	catalog, _ := engine.Compile(docs, unifiedModels(t))
	base, own := catalog.Plan("acme", usersUpdate), layer("a", "", "", `{ "r": 3 }`, false)
	plan, found := catalog.Override(base, own)
	if found.Failed() {
		t.Fatal(found)
	}
	for _, failure = range []error{jsonata.ErrMemory, jsonata.ErrOverrun, jsonata.ErrApart} {
		if _, found := catalog.Override(base, own); len(found) != 1 || found[0].Code != "E047-costly-override" || found[0].Message != failure.Error() {
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

// refusingApart refuses to compile.
type refusingApart struct {
	apartFunc
	err error
}

func (a refusingApart) Compile(context.Context, string) error { return a.err }

// An override is compiled apart alone: what fails there is not compiled here. What ends the
// process there is the override's fault.
func TestOverridesCompileApart(t *testing.T) {
	nothing := func(context.Context, string, map[string]any) (any, bool, error) { return nil, false, nil }
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(overriddenIntegration)}, "acme/ticketing.yaml": {Data: []byte(overriddenMapping)}}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"compiles":    {nil, ""},
		"not in time": {jsonata.ErrOverrun, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrOverrun.Error() + "\n"},
		"memory":      {jsonata.ErrMemory, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrMemory.Error() + "\n"},
		"nowhere":     {jsonata.ErrApart, "a/response_mapping:1:1: E047-costly-override: " + jsonata.ErrApart.Error() + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			language := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{}).WithApart(refusingApart{nothing, c.err})
			docs, _ := engine.Load(language, engine.Layer{FS: files})
			catalog, _ := engine.Compile(docs, unifiedModels(t))
			// Only a compiler sees that this is no expression.
			_, found := catalog.Override(catalog.Plan("acme", usersUpdate), layer("a", "", "", `{ "name": 1 2 }`, false))
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
