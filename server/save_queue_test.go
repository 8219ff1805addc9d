package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/server"
)

// gate is a jsonata.Worker that blocks the compilation of sources with its word until open is closed;
// others return at once.
type gate struct {
	word string
	open chan struct{} // closed: compilations do not block

	mu                     sync.Mutex
	compiling, most, total int // of sources with the word
}

func (g *gate) Compile(_ context.Context, source string) error {
	if !strings.Contains(source, g.word) {
		return nil
	}
	g.mu.Lock()
	g.compiling++
	g.total++
	g.most = max(g.most, g.compiling)
	alone := g.compiling == 1
	g.mu.Unlock()
	if alone { // concurrent ones are an error already, and must not block the test
		<-g.open
	}
	g.mu.Lock()
	g.compiling--
	g.mu.Unlock()
	return nil
}

func (g *gate) Evaluate(context.Context, string, map[string]any) (any, bool, error) {
	return nil, false, nil
}

// gated returns an adminFixture whose overrides are compiled by g.
func gated(t *testing.T, g *gate) *adminFixture {
	t.Helper()
	o := newAdminFixture(t)
	catalog, found := compileExampleIn(newLanguage().WithWorker(g))
	if found.Failed() {
		t.Fatal(found)
	}
	unified, _ := models(t)
	s, err := build(catalog, engine.New(o.fixture, o.clock.now), unified, o.db, server.WithClock(o.clock.now), server.WithStore(o.db))
	if err != nil {
		t.Fatal(err)
	}
	o.Server = s
	return o
}

// saveBody returns a body that creates an account of example with a response mapping.
func saveBody(mapping string) string {
	return fmt.Sprintf(`{"integration":"example","context":{"site":"a","api_key":"canary-1"},"overrides":{"ticketing.users.update":{"response_mapping":%q}}}`, mapping)
}

// Of 24 concurrent saves in an environment, one compiles, seven wait and the others are refused. Other
// environments are not affected.
func TestOneSaveAtATime(t *testing.T) {
	g := &gate{word: "slow", open: make(chan struct{})}
	o := gated(t, g)
	answers := make(chan *httptest.ResponseRecorder, 24)
	for i := range cap(answers) {
		go func() {
			answers <- ask(o, http.MethodPost, "/integrated-account", saveBody(fmt.Sprintf(`{ "name": "slow %d" }`, i)), "Authorization", "Bearer "+adminToken)
		}()
	}
	for range 16 {
		w := <-answers
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "5" || !strings.Contains(w.Body.String(), "saving overrides in this environment") {
			t.Errorf("one more save: %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
		}
	}
	o.must(201, "ops", http.MethodPost, "/integrated-account", saveBody(`{ "name": "other" }`))
	o.must(200, "root", http.MethodPatch, "/environment/live", `{"overrides":{"example/ticketing.users.update":{"response_mapping":"{ \"name\": \"other\" }"}}}`)
	o.must(201, "root", http.MethodPost, "/integrated-account", `{"integration":"example","context":{"site":"a","api_key":"canary-1"},"overrides":{}}`)
	o.must(404, "root", http.MethodPatch, "/environment/nowhere", `{"overrides":{"example/ticketing.users.update":{"response_mapping":"{ \"name\": \"slow\" }"}}}`)
	close(g.open)
	for range 8 {
		if w := <-answers; w.Code != http.StatusCreated {
			t.Errorf("a save that waited: %d %s", w.Code, w.Body)
		}
	}
	if diff := cmp.Diff([]int{1, 8}, []int{g.most, g.total}); diff != "" {
		t.Errorf("at the same time, in all (-want +got):\n%s", diff)
	}
	o.must(201, "root", http.MethodPost, "/integrated-account", saveBody(`{ "name": "slow again" }`))
}

// An override whose regular expressions would cost seconds and hundreds of megabytes is refused
// with its place, without being compiled.
func TestCostlyOverrideIsRefused(t *testing.T) {
	mapping := "{\n  \"name\": $match(response.name, /" + strings.Repeat(`a{0,1000}`, 1500) + "/).match }"
	for name, newAdminFixture := range map[string]func(t *testing.T) *adminFixture{
		"here":   func(t *testing.T) *adminFixture { t.Helper(); return newAdminFixture(t) },
		"worker": func(t *testing.T) *adminFixture { t.Helper(); return gated(t, &gate{word: "nothing"}) },
	} {
		t.Run(name, func(t *testing.T) {
			o := newAdminFixture(t)
			body := saveBody(mapping)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			answer := o.must(400, "root", http.MethodPost, "/integrated-account", body)
			runtime.ReadMemStats(&after)
			f := answer["details"].(map[string]any)["failures"].([]any)[0].(map[string]any)
			got := []any{f["pointer"], f["code"], f["line"], f["column"]}
			want := []any{"/overrides/ticketing.users.update/response_mapping", "mapping", 2.0, 33.0}
			if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(fmt.Sprint(f["message"]), "E025-costly-regexp: ") {
				t.Errorf("%v (-want +got):\n%s", answer, diff)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 32 {
				t.Errorf("the refusal allocated %d MiB", mib)
			}
		})
	}
}
