package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/jsonata"
)

// counter is a small provider with a request that increments a record and one that adds one.
const counter = `
format: portolan/sandbox/v1
demo:
  integrated_account_id: 00000000-0000-4000-8000-00000000000a
  context: {key: k}
  sample_id: a
  query: {collections: [{id: "7 8", type: project}], plain: x}
collections:
  counters:
    key: id
    records: [{id: a, n: 0}]
no_route: {status: 404, text: '"no such route"'}
routes:
  - {route: "GET /counters/{id}", answer: {status: 200, body: 'state.counters[id = $$.params.id]'}}
  - route: POST /counters/{id}
    find: {counter: 'state.counters[id = $$.params.id]'}
    put: {counters: '$merge([found.counter, { "n": found.counter.n + 1 }])'}
    answer: {status: 200, body: saved.counters}
  - route: PUT /counters
    put: {counters: '{ "id": "c" & $string(serial) }'}
    answer: {status: 201, body: saved.counters}
  - route: DELETE /counters/{id}
    remove: {counters: 'state.counters[id = $$.params.id]'}
    answer: {status: 204}
  - {route: GET /broken, answer: {status: 200, body: $number(request.path)}}
  - {route: GET /status, answer: {status: 99, body: '1'}}
  - {route: PUT /keyless, put: {counters: '{ "n": 1 }'}, answer: {status: 200, body: '1'}}
  - {route: "GET /echo/{a}/x-{b}.json", answer: {status: 200, body: '[params.a, params.b, request.query.q]'}}
faults:
  reset: {description: only reading resets, like: reset, on: ["GET /counters/{id}"]}
`

func loadCounter(t *testing.T, name string) *Provider {
	t.Helper()
	p, diags := Load(name, name+".yaml", []byte(counter), testLanguage())
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return p
}

// get sends a request and returns status and body.
func get(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestRouting(t *testing.T) {
	t.Parallel()
	url := serve(t, New([]Mount{{Provider: loadCounter(t, "one"), BasePath: "/api/v1/"}, {Provider: loadCounter(t, "two")}}, clock))
	tests := []struct {
		name, request string
		status        int
		body          string
	}{
		{"base path", "GET /one/api/v1/counters/a", 200, `{"id":"a","n":0}`},
		{"no base path", "GET /two/counters/a", 200, `{"id":"a","n":0}`},
		{"outside of the base path", "GET /one/counters/a", 404, "no such route"},
		{"the base path alone", "GET /one/api/v1", 404, "no such route"},
		{"another method", "PATCH /one/api/v1/counters/a", 404, "no such route"},
		{"an empty segment", "GET /one/api/v1//counters/a", 404, "no such route"},
		{"an empty variable", "GET /one/api/v1/counters/", 404, "no such route"},
		{"decoded once, one segment", "GET /two/echo/a%2Fb/x-%252e.json?q=%20&q=second", 200, `["a/b","%2e"," "]`},
		{"a variable is not empty", "GET /two/echo/a/x-.json", 404, "no such route"},
		{"dots are text", "GET /two/echo/../x-b.json", 200, `["..","b"]`},
		{"no provider", "GET /three/counters/a", 404, "sandbox: the path must start with the name of a provider: one, two"},
		{"nothing", "GET /", 404, "sandbox: the path must start with the name of a provider: one, two"},
		{
			"unknown fault", "GET /two/counters/a fault", 400,
			`sandbox: two has no fault "fault"; it has rate_limited, server_error, html, truncated, reset, slow, huge, redirect`,
		},
		{"an expression that fails", "GET /two/broken", 500, "sandbox: two.yaml:25:54: body: D3030: $number: the text is not a number"},
		{"invalid status", "GET /two/status", 500, "sandbox: two.yaml:26:43: status: 99 is not an HTTP status from 200 to 599"},
		{"a record without its key", "PUT /two/keyless", 500, `sandbox: two.yaml:27:43: put counters: record has no "id" as its key`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method, target, _ := strings.Cut(tt.request, " ")
			target, fault, _ := strings.Cut(target, " ")
			status, body := get(t, method, url+target, FaultHeader, fault)
			if diff := cmp.Diff(fmt.Sprint(tt.status, " ", tt.body), fmt.Sprint(status, " ", body)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestState(t *testing.T) {
	t.Parallel()
	p := loadCounter(t, "one")
	first, second := New([]Mount{{Provider: p}}, clock), New([]Mount{{Provider: p}}, clock)
	url := serve(t, first)
	get(t, "POST", url+"/one/counters/a")
	get(t, "PUT", url+"/one/counters")
	get(t, "PUT", url+"/one/keyless") // fails: changes nothing
	state := first.State("one")
	want := map[string]any{"counters": []any{map[string]any{"id": "a", "n": 1.0}, map[string]any{"id": "c2"}}}
	if diff := cmp.Diff(want, state); diff != "" {
		t.Error(diff)
	}
	state["counters"].([]any)[0].(map[string]any)["n"] = "mine"
	get(t, "DELETE", url+"/one/counters/c2")
	want = map[string]any{"counters": []any{map[string]any{"id": "a", "n": 1.0}}}
	if diff := cmp.Diff(want, first.State("one")); diff != "" {
		t.Error("the state is not a copy: ", diff)
	}
	want = map[string]any{"counters": []any{map[string]any{"id": "a", "n": json.Number("0")}}}
	if diff := cmp.Diff(want, second.State("one")); diff != "" {
		t.Error("two sandboxes share a state: ", diff)
	}
	if got := first.State("none"); got != nil {
		t.Errorf("state of an unknown provider: %v", got)
	}
}

// TestConcurrent increments from many goroutines: no update is lost.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	const goroutines, each = 16, 20
	s := New([]Mount{{Provider: loadCounter(t, "one")}, {Provider: loadCounter(t, "two")}}, clock)
	url := serve(t, s)
	var wait sync.WaitGroup
	for i := range goroutines {
		name := []string{"one", "two"}[i%2]
		wait.Go(func() {
			for range each {
				for _, request := range []string{"POST /counters/a", "PUT /counters", "GET /counters/a"} {
					method, path, _ := strings.Cut(request, " ")
					if status, body := get(t, method, url+"/"+name+path); status > 201 {
						t.Errorf("%s: %d %s", request, status, body)
					}
				}
			}
		})
	}
	wait.Wait()
	for _, name := range []string{"one", "two"} {
		records := s.State(name)["counters"].([]any)
		if n := records[0].(map[string]any)["n"]; n != float64(goroutines*each/2) {
			t.Errorf("%s counted to %v", name, n)
		}
		if want := 1 + goroutines*each/2; len(records) != want {
			t.Errorf("%s has %d records, want %d", name, len(records), want)
		}
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	url := serve(t, New([]Mount{{Provider: loadCounter(t, "one")}}, clock))
	req, _ := http.NewRequest("GET", url+"/one/counters/a", nil)
	req.Header.Set(FaultHeader, "reset")
	res, err := (&http.Transport{}).RoundTrip(req)
	if err == nil {
		res.Body.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("want a reset connection, got %v", err)
	}
	if status, _ := get(t, "POST", url+"/one/counters/a", FaultHeader, "reset"); status != 200 {
		t.Errorf("a fault of another route: %d", status)
	}

	recorder := httptest.NewRecorder() // no connection to reset
	recorded := httptest.NewRequest("GET", "/one/counters/a", nil)
	recorded.Header.Set(FaultHeader, "reset")
	New([]Mount{{Provider: loadCounter(t, "one")}}, clock).ServeHTTP(recorder, recorded)
	if recorder.Code != http.StatusInternalServerError {
		t.Errorf("got %d", recorder.Code)
	}
}

func TestHuge(t *testing.T) {
	t.Parallel()
	url := serve(t, New([]Mount{{Provider: loadCounter(t, "one")}}, clock))
	status, body := get(t, "GET", url+"/one/counters/a", FaultHeader, "huge")
	if status != 200 || len(body) < 20<<20 || !json.Valid([]byte(body)) {
		t.Errorf("got %d, %d bytes", status, len(body))
	}
}

// TestSlow: a request that is cancelled during the fault changes nothing.
func TestSlow(t *testing.T) {
	t.Parallel()
	s := New([]Mount{{Provider: loadCounter(t, "one")}}, clock, WithSlow(time.Hour))
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/one/counters/a", strings.NewReader("{}"))
	req.Header.Set(FaultHeader, "slow")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		res.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	<-done
	if n := s.State("one")["counters"].([]any)[0].(map[string]any)["n"]; n != json.Number("0") {
		t.Errorf("counted to %v", n)
	}
}

// TestShipped: every provider has a working demo account and described faults.
func TestShipped(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"hive": "1", "pivotal_tracker": "2", "planhat": "3", "teamwork": "4"} {
		p := loadShipped(t, name)
		if want := "00000000-0000-4000-8000-00000000000" + id; p.Demo().IntegratedAccountID != want {
			t.Errorf("%s: account %s, want %s", name, p.Demo().IntegratedAccountID, want)
		}
		if p.Demo().SampleID == "" || len(p.Demo().Context) == 0 {
			t.Errorf("%s: demo is %+v", name, p.Demo())
		}
		have := map[string]bool{}
		for _, f := range p.Faults() {
			have[f.Name] = f.Description != ""
		}
		for _, want := range builtinNames() {
			if !have[want] {
				t.Errorf("%s: fault %q is missing or not described", name, want)
			}
		}
	}
}

func TestEncodedQuery(t *testing.T) {
	t.Parallel()
	got := loadCounter(t, "one").Demo().EncodedQuery()
	if want := "collections%5B0%5D%5Bid%5D=7+8&collections%5B0%5D%5Btype%5D=project&plain=x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkExchange(b *testing.B) {
	p, diags := Load("one", "one.yaml", []byte(counter), jsonata.NewLanguage(clock, zeros{}, jsonata.Limits{}))
	if diags.Failed() {
		b.Fatal(diags)
	}
	s := New([]Mount{{Provider: p}}, clock)
	for b.Loop() {
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequest("POST", "/one/counters/a", nil))
		if recorder.Code != 200 {
			b.Fatal(recorder.Body)
		}
	}
}
