package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// provider is a test provider with an authorization server, which rotates refresh tokens and refuses
// old ones.
type provider struct {
	*httptest.Server
	mu        sync.Mutex
	grant     int // number of the valid grant
	refreshes int
	refused   int
}

const exampleIntegration = `format: portolan/integration/v1
name: example
label: Example
base_url: http://%[1]s
credentials:
  - {name: api_key, label: API key, secret: true, required: true}
authorization: {headers: {Authorization: '"Bearer " & (context.access_token ? context.access_token : context.api_key)'}}
oauth2: {authorize_url: http://%[1]s/authorize, token_url: http://%[1]s/token, replaces: [api_key]}
errors: {when: status >= 400, message: error.message}
resources:
  people:
    update: {method: PUT, path: '/people/{id}'}
`

const exampleMapping = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: people.update
      request_body_schema: {properties: {first_name: {}}}
      request_body_mapping: '{ "name": body.first_name }'
      response_mapping: '{ "id": response.id, "name": response.name }'
`

// newProvider starts the provider and returns the folder of its mappings.
func newProvider(t *testing.T) (*provider, string) {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p, exampleFolder(t, p.Server)
}

// exampleFolder returns a folder with the mappings of the integration example, at server.
func exampleFolder(t *testing.T, server *httptest.Server) string {
	t.Helper()
	root := t.TempDir()
	folder := filepath.Join(root, "example")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"integration.yaml": fmt.Sprintf(exampleIntegration, server.Listener.Addr()), "ticketing.yaml": exampleMapping,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// answering starts a provider that answers a call for the name n with answers[n].
func answering(t *testing.T, answers map[string]string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Name string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		_, _ = io.WriteString(w, answers[body.Name])
	}))
	t.Cleanup(server.Close)
	return server
}

func (p *provider) serve(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	if r.URL.Path == "/token" {
		status, body := p.token(r.FormValue("grant_type"), r.FormValue("refresh_token"))
		answer(status, body)
		return
	}
	p.mu.Lock()
	good := r.Header.Get("Authorization") == fmt.Sprintf("Bearer at-%d", p.grant) || r.Header.Get("Authorization") == "Bearer key-example"
	p.mu.Unlock()
	if !good {
		answer(http.StatusUnauthorized, map[string]any{"message": "who are you?"})
		return
	}
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	answer(http.StatusOK, map[string]any{"id": strings.TrimPrefix(r.URL.Path, "/people/"), "name": body["name"]})
}

// token answers with a grant; the first one expires at once.
func (p *provider) token(kind, refresh string) (int, any) {
	time.Sleep(50 * time.Millisecond) // so that calls overlap with it
	p.mu.Lock()
	defer p.mu.Unlock()
	lives := 1
	if kind == "refresh_token" {
		if refresh != fmt.Sprintf("rt-%d", p.grant) {
			p.refused++
			return http.StatusBadRequest, map[string]any{"error": "invalid_grant"}
		}
		p.refreshes++
		lives = 3600
	}
	p.grant++
	return http.StatusOK, map[string]any{
		"access_token": fmt.Sprintf("at-%d", p.grant), "refresh_token": fmt.Sprintf("rt-%d", p.grant), "token_type": "Bearer", "expires_in": lives,
	}
}

// wire is a TCP proxy whose connections can be cut.
type wire struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &wire{listener: listener, target: target, open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); l.set(true) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(conn)
		}
	}()
	return l
}

func (l *wire) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	l.mu.Lock()
	cut := l.cut
	l.open[near], l.open[far] = true, true
	l.mu.Unlock()
	if cut {
		return
	}
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	_, _ = io.Copy(near, far)
}

// set cuts all connections and refuses new ones, or accepts them again.
func (l *wire) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for conn := range l.open {
			_ = conn.Close()
		}
		clear(l.open)
	}
}
