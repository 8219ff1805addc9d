package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"portolan/accounts"
	"portolan/accounts/database"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/schemas"
	"portolan/server"
	"portolan/source"
)

const (
	exampleYAML = `format: portolan/integration/v1
name: example
label: Example <i>&
base_url: https://{site}.example.com/api
credentials:
  - {name: site, label: Site, required: true, pattern: '[a-z0-9-]+'}
  - {name: api_key, label: API key, secret: true, required: true, help: Shown in your profile <i>., help_url: "https://example.com/help?a=1&b=2"}
  - {name: region, label: Region, enum: [eu, us], default: us}
authorization: {headers: {Authorization: 'context.access_token ? "Bearer " & context.access_token : "Key " & context.api_key'}}
oauth2:
  authorize_url: https://login.example.com/oauth/authorize
  token_url: https://login.example.com/oauth/token
  scopes: [read, write]
  replaces: [api_key]
  settings: {site: token.site}
verify: users.me
errors: {message: error.message}
resources:
  users:
    update: {method: PUT, path: "/users/{id}"}
    get: {method: GET, path: "/users/{id}"}
    me: {method: GET, path: /me}
    prepare: {method: POST, path: /me}
`
	exampleTicketing = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: users.update
      request_body_schema: {properties: {first_name: {}}}
      request_body_mapping: '{ "first": body.first_name }'
      after:
        - {name: read, call: users.get}
      record: after.read
      response_mapping: '{ "id": after.read.id, "first_name": after.read.first }'
`
	bareYAML = `format: portolan/integration/v1
name: bare
base_url: https://bare.example.com
authorization: {headers: {X-Key: "'none'"}}
resources: {users: {update: {method: PUT, path: "/users/{id}"}}}
`
	steppedTicketing = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      before:
        - {name: prepared, call: %s}
      call: users.update
      request_body_schema: {properties: {first_name: {}}}
      request_body_mapping: '{ "first": body.first_name }'
      response_mapping: '{ "id": response.id }'
`
	adminToken = "ptl_admin-token-of-tests"
	callToken  = "ptl_call-token-of-tests"
	publicURL  = "https://portolan.example.com"
)

// newLanguage returns a language with a long timeout, for few cores and the race detector.
func newLanguage() *jsonata.Language {
	return jsonata.NewLanguage(fixedClock, rand.Reader, jsonata.Limits{EvalTimeout: time.Minute})
}

// compileExample compiles the integrations above, once for all tests.
var compileExample = sync.OnceValues(func() (*engine.Catalog, source.Diagnostics) { return compileExampleIn(newLanguage()) })

func compileExampleIn(language *jsonata.Language) (*engine.Catalog, source.Diagnostics) {
	unified, err := schemas.Unified()
	if err != nil {
		return nil, source.Diagnostics{{Message: err.Error()}}
	}
	docs, found := engine.Load(language, engine.Layer{Path: "test", FS: fstest.MapFS{
		"example/integration.yaml": {Data: []byte(exampleYAML)}, "example/ticketing.yaml": {Data: []byte(exampleTicketing)},
		"bare/integration.yaml": {Data: []byte(bareYAML)},
		"loose/integration.yaml": {Data: []byte(strings.NewReplacer("name: example", "name: loose",
			"label: API key, secret: true, required: true", "label: API key, secret: true", "verify: users.me\n", "").Replace(exampleYAML))},
		"reads/integration.yaml":  {Data: []byte(strings.Replace(exampleYAML, "name: example", "name: reads", 1))},
		"reads/ticketing.yaml":    {Data: fmt.Appendf(nil, steppedTicketing, "users.me")},
		"writes/integration.yaml": {Data: []byte(strings.Replace(exampleYAML, "name: example", "name: writes", 1))},
		"writes/ticketing.yaml":   {Data: fmt.Appendf(nil, steppedTicketing, "users.prepare")},
	}})
	c, more := engine.Compile(docs, gateway.Models(unified), nil)
	return c, append(found, more...)
}

func exampleCatalog(t *testing.T) *engine.Catalog {
	t.Helper()
	c, found := compileExample()
	if len(found) > 0 {
		t.Fatal(found)
	}
	return c
}

// clock is a clock that tests can advance.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// authority is an authorization server with PKCE and rotating refresh tokens.
type authority struct {
	*httptest.Server
	mu        sync.Mutex
	codes     map[string]string // challenge by code
	issued    int               // number of tokens
	refresh   string            // the valid refresh token
	exchanges int
	renewals  int
	site      string
	answer    func(http.ResponseWriter) bool // returns true if it has answered the request
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{codes: map[string]string{}, site: "acme"}
	a.Server = httptest.NewServer(http.HandlerFunc(a.token))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) token(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	refuse := func(code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "<script>alert(1)</script> " + r.FormValue("refresh_token")})
	}
	exchange := r.FormValue("grant_type") == "authorization_code"
	if exchange {
		a.exchanges++
	} else {
		a.renewals++
	}
	if a.answer != nil && a.answer(w) {
		return
	}
	if r.URL.Path != "/oauth/token" || r.FormValue("client_secret") != "client-secret-canary" {
		refuse("invalid_client")
		return
	}
	if exchange {
		challenge, ok := a.codes[r.FormValue("code")]
		delete(a.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != challenge || r.FormValue("redirect_uri") != publicURL+"/link/callback" {
			refuse("invalid_grant")
			return
		}
	} else if r.FormValue("refresh_token") != a.refresh || a.refresh == "" {
		refuse("invalid_grant")
		return
	}
	a.issued++
	a.refresh = fmt.Sprintf("refresh-canary-%d", a.issued)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprintf("access-canary-%d", a.issued), "token_type": "bearer", "refresh_token": a.refresh, "expires_in": 3600, "site": a.site,
	})
}

// consent grants access at address and returns the parameters of the callback.
func (a *authority) consent(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(address, a.URL+"/oauth/authorize?") || q.Get("client_id") != "client-7" || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != publicURL+"/link/callback" || q.Get("scope") != "read write" {
		t.Errorf("consent is asked for at %s", address)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	code := fmt.Sprintf("code-canary-%d", len(a.codes)+a.issued+1)
	a.codes[code] = q.Get("code_challenge")
	return url.Values{"state": {q.Get("state")}, "code": {code}}
}

// fixture is a server with a database, a provider and an authorization server.
type fixture struct {
	*server.Server
	t         *testing.T
	db        *database.DB
	clock     *clock
	authority *authority
	logs      *bytes.Buffer
	file, key string // of db

	mu       sync.Mutex
	calls    []string // "PUT https://acme.example.com/api/users/u1 Bearer x"
	provider func(*engine.Call) (*engine.Reply, error)
}

func (w *fixture) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) {
	w.mu.Lock()
	authorization := ""
	for _, h := range c.Header {
		if h.Name == "Authorization" {
			authorization = h.Value
		}
	}
	w.calls = append(w.calls, c.Method+" "+c.Target()+" "+authorization)
	provider := w.provider
	w.mu.Unlock()
	if provider != nil {
		return provider(c)
	}
	return answers(200, `{"id":"u1","first":"Ada"}`)(c)
}

func (w *fixture) takeCalls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.calls
	w.calls = nil
	return out
}

func newFixture(t *testing.T, withApp bool, opts ...any) *fixture {
	t.Helper()
	w := &fixture{t: t, clock: &clock{at: fixedClock()}, authority: newAuthority(t), logs: &bytes.Buffer{}}
	key, err := accounts.NewKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	w.key = key
	keys, err := accounts.ParseKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(&lockedBuffer{w: w.logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.file = filepath.Join(t.TempDir(), "portolan.db")
	w.db, err = database.OpenSQLite(t.Context(), w.file, database.Options{Keys: keys, Now: w.clock.now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	for text, role := range map[string]accounts.Role{adminToken: accounts.RoleAdmin, callToken: accounts.RoleCall} {
		_, err := w.db.CreateToken(t.Context(), accounts.Actor{Name: "test"}, accounts.StoredToken{
			Token: accounts.Token{ID: accounts.NewID(), Name: string(role), Environment: accounts.DefaultEnvironment, Role: role}, Hash: accounts.HashToken(text),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	apps := map[string]gateway.OAuthApp{}
	if withApp {
		for _, integration := range []string{"example", "reads", "writes"} {
			apps[integration] = gateway.OAuthApp{ClientID: "client-7", ClientSecret: "client-secret-canary", Origin: w.authority.URL}
		}
	}
	unified, _ := models(t)
	keeper := oauth.NewKeeper(w.db, w.authority.Client(), w.clock.now, log)
	w.Server, err = build(exampleCatalog(t), engine.New(w, w.clock.now), unified, w.db, append([]any{
		server.WithClock(w.clock.now), server.WithLogger(log), gateway.WithLogger(log), server.WithStore(w.db), gateway.WithOAuth(keeper, apps), server.WithPublicURL(publicURL),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// lockedBuffer is a buffer for concurrent writers.
type lockedBuffer struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// account creates an account with a grant that expires after an hour.
func (w *fixture) account(change func(*accounts.Account)) accounts.Account {
	w.t.Helper()
	w.authority.mu.Lock()
	w.authority.issued++
	w.authority.refresh = fmt.Sprintf("refresh-canary-%d", w.authority.issued)
	a := accounts.Account{
		Integration: "example", Environment: accounts.DefaultEnvironment, Label: "Acme", Context: accounts.Context{"site": "acme"},
		Grant: &accounts.Grant{
			AccessToken: accounts.Secret(fmt.Sprintf("access-canary-%d", w.authority.issued)), RefreshToken: accounts.Secret(w.authority.refresh),
			Expiry: w.clock.now().Add(time.Hour),
		},
	}
	w.authority.mu.Unlock()
	if change != nil {
		change(&a)
	}
	made, err := w.db.CreateAccount(w.t.Context(), accounts.Actor{Name: "test"}, accounts.NewAccount{Account: a})
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// update makes a unified call of the account.
func (w *fixture) update(id, query string) *httptest.ResponseRecorder {
	return ask(w, "PATCH", "/unified/ticketing/users/u1?integrated_account_id="+id+query, `{"first_name":"Ada"}`, "Authorization", "Bearer "+callToken)
}

// info returns an account from the database.
func (w *fixture) info(id string) accounts.Account {
	w.t.Helper()
	a, err := w.db.Account(w.t.Context(), accounts.DefaultEnvironment, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// checkNoSecrets reports an error if one of texts or the log has a secret.
func (w *fixture) checkNoSecrets(texts ...string) {
	w.t.Helper()
	for _, text := range append(texts, w.logs.String()) {
		if i := strings.Index(text, "canary"); i >= 0 {
			w.t.Errorf("a secret is shown: …%.80s", text[max(0, i-40):])
		}
	}
}
