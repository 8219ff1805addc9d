package gateway_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/schemas"
)

const (
	readingYAML = `format: portolan/integration/v1
name: acme
base_url: https://acme.example.com
credentials: [{name: key, secret: true, required: true}]
authorization: {headers: {X-Key: context.key}}
resources:
  people:
    update: {method: PUT, path: "/people/{id}"}
    get: {method: GET, path: "/people/{id}"}
`
	readingTicketing = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      before: [{name: old, call: people.get}]
      call: people.update
      after: [{name: new, call: people.get}]
      request_body_schema: {properties: {first_name: {}}}
      request_body_mapping: '{ "first": body.first_name }'
      response_mapping: 'after.new.{ "id": id, "first_name": first }'
`
)

// sizedProvider answers each step of a call with so many bytes; a step in holds waits until its
// channel is closed, whatever happens to its call.
type sizedProvider struct {
	bytes map[string]int
	holds map[string]chan struct{}
	begun chan string
}

func (p *sizedProvider) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) {
	if p.begun != nil {
		p.begun <- c.Name
	}
	if held := p.holds[c.Name]; held != nil {
		<-held
	}
	body := `{"id":"u1","first":"Ada","filler":"` + strings.Repeat("x", p.bytes[c.Name]) + `"}`
	return &engine.Reply{Status: 200, Body: []byte(body)}, nil
}

// begins waits until the step begins.
func (p *sizedProvider) begins(step string) {
	for name := range p.begun {
		if name == step {
			return
		}
	}
}

// Large answers wait while others are transformed: until the deadline of their call, until their
// caller leaves, or until the others are done. Small ones do not wait, and a further one of the same
// call does not wait either.
func TestLargeAnswersWait(t *testing.T) {
	t.Parallel()
	const large, limit = 80 << 10, 100 << 10
	snapshot := newSnapshotOf(t, readingYAML, readingTicketing)
	g := gateway.New(snapshot, engine.New(switched{}, time.Now, engine.WithTimeout(200*time.Millisecond)), store(t), gateway.WithDecodedAnswers(limit))
	call := func(ctx context.Context, p engine.Doer) (*gateway.Outcome, *gateway.Problem) {
		ready, problem := g.Open(ctx, gateway.Caller{Environment: "default"}, gateway.Target{Operation: update(), AccountID: acmeID, ID: "u1"})
		if problem != nil {
			t.Fatal(problem)
		}
		return ready.Do(context.WithValue(ctx, providerKey{}, p), &gateway.Input{Body: map[string]any{"first_name": "Ada"}})
	}
	outcome, p := call(t.Context(), &sizedProvider{bytes: map[string]int{"main": large, "new": large}})
	if p != nil || len(outcome.Report.Result.Partial) > 0 {
		t.Fatalf("two large answers: %v", p)
	}
	release := make(chan struct{})
	holder := &sizedProvider{map[string]int{"main": large, "new": large}, map[string]chan struct{}{"new": release}, make(chan string, 3)}
	held := make(chan *gateway.Outcome, 1)
	go func() {
		outcome, _ := call(t.Context(), holder)
		held <- outcome
	}()
	holder.begins("new")
	if _, p := call(t.Context(), &sizedProvider{}); p != nil {
		t.Errorf("a small answer: %v", p)
	}
	_, p = call(t.Context(), &sizedProvider{bytes: map[string]int{"main": large}})
	const message = "the server is too busy: it is transforming other large answers of providers"
	if p == nil || p.Status != 500 || p.RetryAfter != "" || p.Message != message || p.Report.Failed().Cause != engine.CauseBusy {
		t.Errorf("after the write: %+v", p)
	}
	_, p = call(t.Context(), &sizedProvider{bytes: map[string]int{"old": large}})
	if p == nil || p.Status != 503 || p.RetryAfter != "1" || p.Message != message || p.Report.Result.Main != nil {
		t.Errorf("before the write: %+v", p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, p := call(ctx, &sizedProvider{bytes: map[string]int{"main": large}}); p == nil || p.Status != gateway.StatusClosed {
		t.Errorf("a caller who leaves: %+v", p)
	}
	waits := &sizedProvider{map[string]int{"main": large}, nil, make(chan string, 3)}
	waiting := make(chan *gateway.Problem, 1)
	go func() {
		_, p := call(t.Context(), waits)
		waiting <- p
	}()
	waits.begins("main")
	time.Sleep(20 * time.Millisecond) // until it waits
	close(release)
	if outcome := <-held; outcome == nil || strings.Join(outcome.Report.Result.Partial, " ") != "new" {
		t.Error("a second large answer while others wait does not fail its step alone")
	}
	if p := <-waiting; p != nil {
		t.Errorf("when the others are done: %v", p)
	}
}

// A call whose environment's overrides wait already may be repeated if nothing was written.
func TestManyOverridesWait(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		override accounts.Override
		status   int
		retry    string
	}{
		"before the write": {accounts.Override{RequestBodyMapping: `{ "a": 1 }`}, 503, "1"},
		"after the write":  {accounts.Override{ResponseMapping: `{ "a": 1 }`}, 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			unified, err := schemas.Unified()
			if err != nil {
				t.Fatal(err)
			}
			language := jsonata.NewLanguage(clock, rand.Reader, jsonata.Limits{EvalTimeout: time.Minute}).WithWorker(busyWorker{})
			docs, _ := engine.Load(language, engine.Layer{FS: fstest.MapFS{"acme/integration.yaml": {Data: []byte(acmeYAML)}, "acme/ticketing.yaml": {Data: []byte(acmeTicketing)}}})
			catalog, _ := engine.Compile(docs, gateway.Models(unified), nil)
			snapshot, _, err := gateway.NewSnapshot(catalog, unified)
			if err != nil {
				t.Fatal(err)
			}
			store, err := accounts.NewMemory(nil, []accounts.Account{{
				ID: acmeID, Integration: "acme", Environment: "default", Context: accounts.Context{"key": "secret-of-acme"},
				Overrides: accounts.Overrides{update().String(): tt.override},
			}})
			if err != nil {
				t.Fatal(err)
			}
			_, p := do(t, gateway.New(snapshot, engine.New(ada(), clock), store), &gateway.Input{Body: map[string]any{"first_name": "Ada"}})
			const message = "the server is too busy: too many overrides of this environment wait to be evaluated"
			if p == nil || p.Status != tt.status || p.RetryAfter != tt.retry || p.Message != message {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// busyWorker evaluates for patient tenants only.
type busyWorker struct{}

func (busyWorker) Compile(context.Context, string) error { return nil }

func (busyWorker) Evaluate(ctx context.Context, _ string, _ map[string]any) (any, bool, error) {
	if !jsonata.TenantOf(ctx).Patient {
		return nil, false, jsonata.ErrBusy
	}
	return map[string]any{"a": json.Number("1")}, true, nil
}

type providerKey struct{}

// switched calls the provider of the context.
type switched struct{}

func (switched) Do(ctx context.Context, c *engine.Call) (*engine.Reply, error) {
	return ctx.Value(providerKey{}).(engine.Doer).Do(ctx, c)
}
