package upstream

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"portolan/engine"
	"portolan/jsonata"
)

// ways are the reactions of a provider to its requests, in order.
type ways = []func(http.ResponseWriter)

func answer(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") }

func redirectToItself(w http.ResponseWriter) {
	w.Header().Set("Location", "/people/u1")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// partialAnswer sends the first bytes of an answer.
func partialAnswer(w http.ResponseWriter) {
	conn := hijack(w)
	_, _ = io.WriteString(conn, "HTTP/1.1 20")
	_ = conn.Close()
}

// Do makes one attempt, even if the call is repeatable, and reports whether another one is safe.
func TestOneAttempt(t *testing.T) {
	for name, tt := range map[string]struct {
		answers ways
		sent    int64
		text    string
		lost    bool
	}{
		"closed":                  {ways{hangUp, answer}, 1, "connection closed before an answer", true},
		"reset":                   {ways{reset, answer}, 1, "connection reset", true},
		"part of an answer":       {ways{partialAnswer, answer}, 1, "no usable answer", false},
		"redirected, then closed": {ways{redirectToItself, hangUp, answer}, 2, "connection closed before an answer", true},
		"redirected for ever":     {ways{redirectToItself, redirectToItself, redirectToItself, redirectToItself}, 4, "too many redirects", false},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			client, url := provider(t, func(w http.ResponseWriter, _ *http.Request) { tt.answers[sent.Add(1)-1](w) })
			c := withSecrets(call(http.MethodPut, url))
			c.Body, c.Repeatable = []byte("{}"), true
			_, err := client.Do(t.Context(), c)
			wantError(t, err, engine.KindUpstream, tt.text)
			if lost := asEngineError(err).Lost; lost != tt.lost || sent.Load() != tt.sent {
				t.Errorf("lost %t after %d requests, want %t after %d", lost, sent.Load(), tt.lost, tt.sent)
			}
		})
	}
}

func TestRefusedIsLost(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	_, err := New(WithLoopback(address(closed))).Do(t.Context(), call(http.MethodPost, closed.URL))
	wantError(t, err, engine.KindUpstream, "connection refused")
	if !asEngineError(err).Lost {
		t.Error("not lost")
	}
	_, err = New(WithLoopback(netip.AddrPort{})).Do(t.Context(), call(http.MethodPost, closed.URL))
	wantError(t, err, engine.KindUpstream, "address or port is not allowed")
	if asEngineError(err).Lost {
		t.Error("an address that is not allowed is lost")
	}
}

// A write over a kept connection that the provider closes is not sent again by net/http.
func TestKeptConnectionIsLost(t *testing.T) {
	var sent atomic.Int64
	client, url := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		if sent.Add(1) == 2 {
			hangUp(w)
		}
	})
	c := call(http.MethodPut, url)
	c.Body = []byte("{}")
	if _, err := client.Do(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, err := client.Do(t.Context(), c)
	wantError(t, err, engine.KindUpstream, "connection closed before an answer")
	if !asEngineError(err).Lost || sent.Load() != 2 {
		t.Errorf("lost %t after %d requests", asEngineError(err).Lost, sent.Load())
	}
}

// endpoint compiles a mapping with a PUT at origin.
func endpoint(t *testing.T, origin string, repeatable bool) *engine.Endpoint {
	t.Helper()
	text := fmt.Sprintf(`format: portolan/integration/v1
name: acme
base_url: %s
verify: people.update
resources: {people: {update: {method: PUT, path: /people/u1, repeatable: %t}}}
`, origin, repeatable)
	lang := jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{EvalTimeout: time.Minute})
	docs, found := engine.Load(lang, engine.Layer{FS: fstest.MapFS{"acme/integration.yaml": {Data: []byte(text)}}})
	catalog, more := engine.Compile(docs, engine.Models{}, nil)
	for _, d := range append(found, more...) {
		t.Error(d)
	}
	return catalog.Integration("acme").Verify
}

// The engine sends a call again over a new connection, if that is safe.
func TestRepetition(t *testing.T) {
	for name, tt := range map[string]struct {
		repeatable bool
		answers    ways
		sent       int64
		attempts   int
		text       string // empty: success
	}{
		"closed once":             {true, ways{hangUp, answer}, 2, 2, ""},
		"reset once":              {true, ways{reset, answer}, 2, 2, ""},
		"reset twice":             {true, ways{reset, reset, answer}, 2, 2, "connection reset"},
		"closed, not repeatable":  {false, ways{hangUp, answer}, 1, 1, "connection closed before an answer"},
		"reset, not repeatable":   {false, ways{reset, answer}, 1, 1, "connection reset"},
		"part of an answer":       {true, ways{partialAnswer, answer}, 1, 1, "no usable answer"},
		"nothing wrong":           {true, ways{answer}, 1, 1, ""},
		"redirected, then closed": {true, ways{redirectToItself, hangUp, answer}, 3, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			client, url := provider(t, func(w http.ResponseWriter, _ *http.Request) { tt.answers[sent.Add(1)-1](w) })
			result, err := engine.New(client, time.Now).Call(t.Context(), endpoint(t, url, tt.repeatable), &engine.Request{})
			if tt.text != "" {
				wantError(t, err, engine.KindUpstream, tt.text)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := result.Main.Attempts; got != tt.attempts || sent.Load() != tt.sent {
				t.Errorf("%d attempts with %d requests, want %d with %d", got, sent.Load(), tt.attempts, tt.sent)
			}
		})
	}
}
