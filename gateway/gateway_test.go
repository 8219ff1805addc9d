package gateway_test

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

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/schemas"
)

const (
	acmeYAML = `format: portolan/integration/v1
name: acme
base_url: https://acme.example.com
credentials:
  - {name: key, secret: true, required: true}
authorization: {headers: {X-Key: context.key}}
errors: {message: error.message}
resources:
  people:
    update: {method: PUT, path: "/people/{id}"}
`
	acmeTicketing = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: people.update
      request_body_schema: {properties: {first_name: {type: string, minLength: 2}}}
      request_body_mapping: '{ "first": body.first_name }'
      response_mapping: '{ "id": response.id, "first_name": response.first, "created_at": response.at }'
`
	bareYAML = `format: portolan/integration/v1
name: bare
base_url: https://bare.example.com
authorization: {headers: {X-Key: "'none'"}}
resources: {people: {update: {method: PUT, path: "/people/{id}"}}}
`
)

// The accounts of newGateway.
const (
	acmeID     = "00000000-0000-4000-8000-000000000001"
	otherID    = "00000000-0000-4000-8000-000000000002" // of another environment
	disabledID = "00000000-0000-4000-8000-000000000003"
	expiredID  = "00000000-0000-4000-8000-000000000004"
	bareID     = "00000000-0000-4000-8000-000000000005"
	brokenID   = "00000000-0000-4000-8000-000000000006" // with an override that does not compile
	unknownID  = "00000000-0000-4000-8000-00000000000f"
)

func update() engine.Operation {
	return engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}
}

// newSnapshot compiles the integrations above, ticketing in place of acme's mapping.
func newSnapshot(tb testing.TB, ticketing string) *gateway.Snapshot {
	tb.Helper()
	return newSnapshotOf(tb, acmeYAML, ticketing)
}

// newSnapshotOf compiles acme of these files, and bare.
func newSnapshotOf(tb testing.TB, acme, ticketing string) *gateway.Snapshot {
	tb.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		tb.Fatal(err)
	}
	patient := jsonata.NewLanguage(clock, rand.Reader, jsonata.Limits{EvalTimeout: time.Minute}) // for few cores and the race detector
	docs, found := engine.Load(patient, engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte(acme)}, "acme/ticketing.yaml": {Data: []byte(ticketing)},
		"bare/integration.yaml": {Data: []byte(bareYAML)},
	}})
	catalog, more := engine.Compile(docs, gateway.Models(unified), nil)
	snapshot, bad, err := gateway.NewSnapshot(catalog, unified)
	for _, d := range slices.Concat(found, more, bad) {
		tb.Error(d)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return snapshot
}

func clock() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// provider is an engine.Doer that notes the calls and answers all of them alike.
type provider struct {
	reply engine.Reply
	err   error
	calls []string
}

func (p *provider) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) {
	p.calls = append(p.calls, c.Method+" "+c.Target()+" "+string(c.Body))
	if p.err != nil {
		return nil, p.err
	}
	reply := p.reply
	return &reply, nil
}

const adaBody = `{"id": "u1", "first": "Ada", "at": "2026-01-02T03:04:05+01:00"}`

// ada is a provider that answers with one person.
func ada() *provider {
	return &provider{reply: engine.Reply{
		Status: 200, Header: map[string][]string{"Content-Type": {"application/json"}, "Etag": {`"v7"`}},
		Body: []byte(adaBody),
	}}
}

// awayAccounts is a store that cannot be reached.
type awayAccounts struct{}

func (awayAccounts) Account(context.Context, string, string) (accounts.Account, error) {
	return accounts.Account{}, errors.New("store.example.com: connection refused")
}

func store(tb testing.TB) gateway.Accounts {
	tb.Helper()
	of := func(id, integration string, change func(*accounts.Account)) accounts.Account {
		a := accounts.Account{ID: id, Integration: integration, Environment: "default", Context: accounts.Context{"key": "secret-of-acme"}}
		if change != nil {
			change(&a)
		}
		return a
	}
	memory, err := accounts.NewMemory(nil, []accounts.Account{
		of(acmeID, "acme", nil),
		of(otherID, "acme", func(a *accounts.Account) { a.Environment = "live" }),
		of(disabledID, "acme", func(a *accounts.Account) { a.Status = accounts.StatusDisabled }),
		of(expiredID, "acme", func(a *accounts.Account) {
			a.Status, a.LastError = accounts.StatusNeedsReauth, "the grant was revoked"
		}),
		of(bareID, "bare", func(a *accounts.Account) { a.Context = nil }),
		of(brokenID, "acme", func(a *accounts.Account) {
			a.Overrides = accounts.Overrides{update().String(): {ResponseMapping: "{ broken"}}
		}),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return memory
}

func newGateway(tb testing.TB, p *provider, opts ...gateway.Option) *gateway.Gateway {
	tb.Helper()
	return gateway.New(newSnapshot(tb, acmeTicketing), engine.New(p, clock), store(tb), opts...)
}

// do opens and does an update of acme's account that must get as far as its input.
func do(tb testing.TB, g *gateway.Gateway, in *gateway.Input) (*gateway.Outcome, *gateway.Problem) {
	tb.Helper()
	ready, p := g.Open(tb.Context(), gateway.Caller{Environment: "default"}, gateway.Target{Operation: update(), AccountID: acmeID, ID: "u1"})
	if p != nil {
		tb.Fatal(p)
	}
	return ready.Do(tb.Context(), in)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	g := newGateway(t, ada())
	caller := gateway.Caller{Environment: "default"}
	target := func(id string) gateway.Target { return gateway.Target{Operation: update(), AccountID: id, ID: "u1"} }
	operation := func(model, resource, method string) gateway.Target {
		return gateway.Target{Operation: engine.Operation{Model: model, Resource: resource, Method: method}, AccountID: acmeID, ID: "u1"}
	}
	for name, tt := range map[string]struct {
		caller  gateway.Caller
		target  gateway.Target
		status  int // 0: it is ready
		message string
		remote  bool
	}{
		"account":                    {caller, target(acmeID), 0, "", false},
		"account token":              {gateway.Caller{Environment: "default", AccountID: acmeID}, target(acmeID), 0, "", false},
		"token of another account":   {gateway.Caller{Environment: "default", AccountID: bareID}, target(acmeID), 404, "there is no integrated account " + acmeID, false},
		"token of a deleted account": {gateway.Caller{Environment: "default", AccountID: unknownID}, target(unknownID), 404, "there is no integrated account " + unknownID, false},
		"unknown account":            {caller, target(unknownID), 404, "there is no integrated account " + unknownID, false},
		"another environment":        {caller, target(otherID), 404, "there is no integrated account " + otherID, false},
		"its own environment":        {gateway.Caller{Environment: "live"}, target(otherID), 0, "", false},
		"disabled":                   {caller, target(disabledID), 403, "the integrated account is disabled", false},
		"needs reauth":               {caller, target(expiredID), 401, "the integrated account must be connected again: the grant was revoked", true},
		"not mapped":                 {caller, target(bareID), 405, "the integration of this account does not map ticketing.users.update", false},
		"unknown model":              {caller, operation("tickting", "users", "update"), 404, `the unified model "tickting" does not exist (did you mean "ticketing"?)`, false},
		"unknown resource":           {caller, operation("ticketing", "user", "update"), 404, `there is no resource "user" in the unified model "ticketing" (did you mean "users"?)`, false},
		"unknown method":             {caller, operation("ticketing", "users", "updat"), 404, `there is no method "updat" of the unified resource "ticketing.users" (did you mean "update"?)`, false},
		"unknown before its account": {gateway.Caller{}, gateway.Target{Operation: engine.Operation{Model: "crm"}}, 404, `the unified model "crm" does not exist`, false},
		"override that is broken":    {caller, target(brokenID), 500, "an override no longer fits the mapping: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ready, p := g.Open(t.Context(), tt.caller, tt.target)
			switch {
			case tt.status == 0:
				if p != nil || !strings.HasPrefix(ready.Mapping(), "acme/ticketing.users.update@") {
					t.Errorf("not ready: %v", p)
				}
			case p == nil || p.Status != tt.status || !strings.HasPrefix(p.Message, tt.message) || (p.Remote != nil) != tt.remote:
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestOpenWithoutStore(t *testing.T) {
	t.Parallel()
	g := gateway.New(newSnapshot(t, acmeTicketing), engine.New(ada(), clock), awayAccounts{})
	target := gateway.Target{Operation: update(), AccountID: acmeID, ID: "u1"}
	if _, p := g.Open(t.Context(), gateway.Caller{Environment: "default"}, target); p == nil || p.Status != 503 || p.RetryAfter != "5" || strings.Contains(p.Message, "example.com") {
		t.Errorf("a store that is away: %+v", p)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, p := g.Open(gone, gateway.Caller{Environment: "default"}, target); p == nil || p.Status != gateway.StatusClosed {
		t.Errorf("a caller that is gone: %+v", p)
	}
}

func TestUnknownPath(t *testing.T) {
	t.Parallel()
	const want = `the unified resource "ticketing.users" does not have this path`
	p := newSnapshot(t, acmeTicketing).Unknown(engine.Operation{Model: "ticketing", Resource: "users"})
	if p.Status != 404 || p.Message != want {
		t.Errorf("got %+v", p)
	}
}

func TestDo(t *testing.T) {
	t.Parallel()
	const (
		call  = `PUT https://acme.example.com/people/u1 {"first":"Ada"}`
		whole = `{"id":"u1","first_name":"Ada","created_at":"2026-01-02T03:04:05+01:00","remote_data":` + adaBody + `}`
	)
	first := map[string]any{"first_name": "Ada"}
	both := map[string]any{"first_name": "Ada", "last_name": "Quill"}
	for name, tt := range map[string]struct {
		in       gateway.Input
		status   int
		body     string // of a success
		failures string // "pointer code", joined by ", "
		called   bool
	}{
		"unified":     {gateway.Input{Body: first}, 200, whole, "", true},
		"debug":       {gateway.Input{Body: first, Options: gateway.Options{Format: gateway.FormatDebug}}, 200, whole, "", true},
		"unsupported": {gateway.Input{Body: both}, 200, whole, "", true},
		"raw":         {gateway.Input{Body: first, Options: gateway.Options{Format: gateway.FormatRaw}}, 200, adaBody, "", true},
		"excluded": {
			gateway.Input{Body: first, Options: gateway.Options{Exclude: []string{"first_name", "remote_data"}}},
			200,
			`{"id":"u1","created_at":"2026-01-02T03:04:05+01:00"}`, "", true,
		},
		"without remote_data": {
			gateway.Input{Body: first, Options: gateway.Options{IgnoreRemoteData: true}},
			200,
			`{"id":"u1","first_name":"Ada","created_at":"2026-01-02T03:04:05+01:00"}`, "", true,
		},
		"normalized": {
			gateway.Input{Body: first, Options: gateway.Options{Format: gateway.FormatNormalized, IgnoreRemoteData: true}},
			200,
			`{"id":"u1","name":null,"first_name":"Ada","last_name":null,"username":null,"emails":[],"is_active":null,"team_ids":[],"avatar":null,"roles":[],` +
				`"created_at":"2026-01-02T02:04:05Z","updated_at":null,"etag":null}`,
			"", true,
		},
		"plan":                     {gateway.Input{Body: first, Options: gateway.Options{PlanOnly: true}}, 200, "", "", false},
		"strict, all used":         {gateway.Input{Body: first, Options: gateway.Options{Strict: true}}, 200, whole, "", true},
		"strict":                   {gateway.Input{Body: both, Options: gateway.Options{Strict: true}}, 400, "", "/last_name unsupported", false},
		"strict, as a plan":        {gateway.Input{Body: both, Options: gateway.Options{Strict: true, PlanOnly: true}}, 400, "", "/last_name unsupported", false},
		"strict query":             {gateway.Input{Body: first, Query: map[string]any{"colour": "red"}, Options: gateway.Options{Strict: true}}, 400, "", "?colour unsupported", false},
		"no body":                  {gateway.Input{}, 400, "", " empty", false},
		"nothing that is used":     {gateway.Input{Body: map[string]any{"last_name": "Quill"}}, 400, "", "/last_name empty", false},
		"the unified schema":       {gateway.Input{Body: map[string]any{"frist_name": "Ada"}}, 400, "", "/frist_name additional", false},
		"the mapping's own schema": {gateway.Input{Body: map[string]any{"first_name": "A"}}, 400, "", "/first_name length", false},
		"null":                     {gateway.Input{Body: map[string]any{"first_name": nil}}, 400, "", "/first_name null", false},
		"unknown field excluded":   {gateway.Input{Body: first, Options: gateway.Options{Exclude: []string{"nme"}}}, 400, "", "?truto_exclude_fields enum", false},
		"all at once": {
			gateway.Input{
				Body: map[string]any{"first_name": 7, "x": 1}, Options: gateway.Options{Exclude: []string{"nme"}},
				Failures: []gateway.Failure{gateway.QueryFailuref("a", gateway.CodeSyntax, "is odd")},
			},
			400, "", "/first_name type, /x additional, ?a syntax, ?truto_exclude_fields enum", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ada()
			before := fmt.Sprintf("%#v", tt.in)
			outcome, problem := do(t, newGateway(t, p), &tt.in)
			if after := fmt.Sprintf("%#v", tt.in); after != before {
				t.Errorf("the input was changed: %s, now %s", before, after)
			}
			if called := slices.Equal(p.calls, []string{call}); called != tt.called || !called && len(p.calls) > 0 {
				t.Errorf("calls: %q", p.calls)
			}
			if problem != nil {
				var got []string
				for _, f := range problem.Failures {
					got = append(got, f.Pointer+" "+string(f.Code))
				}
				slices.Sort(got)
				if diff := cmp.Diff(tt.failures, strings.Join(got, ", ")); problem.Status != tt.status || diff != "" {
					t.Errorf("%d %s (-want +got)\n%s", problem.Status, problem.Message, diff)
				}
				if problem.Report == nil || problem.Report.AccountID != acmeID || problem.Report.Integration != "acme" {
					t.Errorf("report: %+v", problem.Report)
				}
				return
			}
			if diff := cmp.Diff(tt.body, string(outcome.Body)); outcome.Status != tt.status || diff != "" {
				t.Errorf("%d (-want +got)\n%s", outcome.Status, diff)
			}
		})
	}
}

func TestDoHeaders(t *testing.T) {
	t.Parallel()
	values := func(header []gateway.Header) map[string]string {
		out := map[string]string{}
		for _, h := range header {
			out[h.Name] = h.Value
		}
		return out
	}
	g := newGateway(t, ada())
	in := gateway.Input{Body: map[string]any{"first_name": "Ada", "last_name": "Quill"}}
	outcome, _ := do(t, g, &in)
	mapping := outcome.Report.Mapping
	if diff := cmp.Diff(map[string]string{"Portolan-Mapping": mapping, "Portolan-Unsupported": "/last_name"}, values(outcome.Header)); diff != "" {
		t.Errorf("unified (-want +got)\n%s", diff)
	}
	in.Options.Format = gateway.FormatRaw
	outcome, _ = do(t, g, &in)
	want := map[string]string{"Portolan-Mapping": mapping, "Portolan-Unsupported": "/last_name", "Content-Type": "application/json", "Etag": `"v7"`}
	if diff := cmp.Diff(want, values(outcome.Header)); diff != "" {
		t.Errorf("raw (-want +got)\n%s", diff)
	}
	for value, passes := range map[string]bool{`W/"a!~"`: true, `""`: true, `v7`: false, `"a"b"`: false, `"a b"`: false, `w/"a"`: false, `"a", "b"`: false} {
		if got := gateway.EntityTag(value); got != passes {
			t.Errorf("%s: %v", value, got)
		}
	}
}

// A plan contains the calls that would be sent, without secrets.
func TestDoPlanned(t *testing.T) {
	t.Parallel()
	outcome, p := do(t, newGateway(t, ada()), &gateway.Input{Body: map[string]any{"first_name": "Ada"}, Options: gateway.Options{PlanOnly: true}})
	if p != nil {
		t.Fatal(p)
	}
	debug := outcome.Report.Debug()
	if debug.RequestURL != "https://acme.example.com/people/u1" || debug.RequestOptions.Headers["X-Key"] != "***" || fmt.Sprintf("%s", debug.RequestOptions.Body) != `{"first":"Ada"}` {
		t.Errorf("planned: %+v", debug)
	}
}

// named is the kind's name; "" if there is no such kind.
func named(kind engine.Kind) (name string) {
	defer func() { _ = recover() }()
	return kind.String()
}

// Every kind of error has one status, whoever reports it.
func TestProblemStatus(t *testing.T) {
	t.Parallel()
	statuses := map[engine.Kind]int{
		engine.KindInvalid: 400, engine.KindProvider: 502, engine.KindUpstream: 502, engine.KindTimeout: 504,
		engine.KindMapping: 500, engine.KindCanceled: gateway.StatusClosed, engine.KindBusy: 500, engine.KindAccount: 422,
	}
	for kind := engine.KindInvalid; named(kind) != ""; kind++ {
		if statuses[kind] == 0 {
			t.Errorf("%s is not here", kind)
		}
	}
	in := &gateway.Input{Body: map[string]any{"first_name": "Ada"}}
	for kind, want := range statuses {
		err := &engine.Error{Kind: kind, Op: "call", Err: errors.New("secret-of-acme was refused")}
		_, p := do(t, newGateway(t, &provider{err: err}), in)
		if p == nil || p.Status != want || p.Message == "" {
			t.Errorf("%s: %+v", kind, p)
		}
		if remote := kind == engine.KindProvider; p != nil && (p.Remote != nil) != remote {
			t.Errorf("%s: remote %+v", kind, p.Remote)
		}
		if kind == engine.KindUpstream && p.Message != "no answer from the provider: *** was refused" {
			t.Errorf("not masked: %s", p.Message)
		}
	}
	if _, p := do(t, newGateway(t, &provider{err: errors.New("odd")}), in); p == nil || p.Status != 500 || p.Message != "internal error" {
		t.Errorf("an error of no kind: %+v", p)
	}
	for _, status := range []int{400, 403, 404, 409, 429, 503} { // the provider's own
		p := &provider{reply: engine.Reply{Status: status, Body: []byte(`{"message":"no, secret-of-acme"}`)}}
		_, problem := do(t, newGateway(t, p), in)
		if problem == nil || problem.Status != status || problem.Message != "no, ***" || problem.Remote == nil || problem.Remote.Status != status || problem.RetryAfter != "" {
			t.Errorf("the provider's %d: %+v", status, problem)
		}
	}
}

// An answer that breaks the unified schema is handled by the policy.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for policy, want := range map[gateway.Policy]struct{ status, warnings int }{
		gateway.PolicyOff: {200, 0}, gateway.PolicyWarn: {200, 1}, gateway.PolicyFail: {502, 0},
	} {
		p := ada()
		p.reply.Body = []byte(`{"id":"u1","first":7}`)
		outcome, problem := do(t, newGateway(t, p, gateway.WithPolicy(policy)), &gateway.Input{Body: map[string]any{"first_name": "Ada"}})
		if problem != nil {
			if problem.Status != want.status || problem.Report.Result == nil {
				t.Errorf("%s: %+v", policy, problem)
			}
			continue
		}
		if outcome.Status != want.status || len(outcome.Report.Warnings) != want.warnings {
			t.Errorf("%s: %d, %q", policy, outcome.Status, outcome.Report.Warnings)
		}
	}
}

// A reload changes later calls only: one that is open keeps its mapping and its schemas.
func TestReplace(t *testing.T) {
	t.Parallel()
	p := ada()
	g := newGateway(t, p)
	caller, target := gateway.Caller{Environment: "default"}, gateway.Target{Operation: update(), AccountID: acmeID, ID: "u1"}
	before, problem := g.Open(t.Context(), caller, target)
	if problem != nil {
		t.Fatal(problem)
	}
	g.Replace(newSnapshot(t, strings.NewReplacer(`"first": body`, `"given": body`, "minLength: 2", "minLength: 5").Replace(acmeTicketing)))
	after, problem := g.Open(t.Context(), caller, target)
	if problem != nil {
		t.Fatal(problem)
	}
	in := func(name string) *gateway.Input {
		return &gateway.Input{Body: map[string]any{"first_name": name}, Options: gateway.Options{IgnoreRemoteData: true}}
	}
	if _, problem := before.Do(t.Context(), in("Ada")); problem != nil {
		t.Errorf("the open call: %v", problem)
	}
	if _, problem := after.Do(t.Context(), in("Ada")); problem == nil || problem.Failures[0].Code != gateway.CodeLength {
		t.Errorf("the later call was judged by the schema of before: %v", problem)
	}
	if _, problem := after.Do(t.Context(), in("Adele")); problem != nil {
		t.Errorf("the later call: %v", problem)
	}
	want := []string{`PUT https://acme.example.com/people/u1 {"first":"Ada"}`, `PUT https://acme.example.com/people/u1 {"given":"Adele"}`}
	if diff := cmp.Diff(want, p.calls); diff != "" {
		t.Errorf("calls (-want +got)\n%s", diff)
	}
	if before.Mapping() == after.Mapping() {
		t.Errorf("both mappings are %s", after.Mapping())
	}
}
