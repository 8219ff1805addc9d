package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/accounts"
)

const (
	canary = "s3cr3t-canary"
	id     = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
)

// provider is an authorization server that rotates refresh tokens.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	n       int                                          // issued grants
	refresh string                                       // the valid refresh token
	respond func(w http.ResponseWriter, r *http.Request) // replaces the normal response, if set
	types   []string                                     // the grant types of all requests
}

func newProvider(tb testing.TB) *provider {
	tb.Helper()
	p := &provider{refresh: token("refresh", 0)}
	p.Server = httptest.NewServer(p)
	tb.Cleanup(p.Close)
	return p
}

func token(kind string, n int) string { return fmt.Sprintf("%s-%s-%d", canary, kind, n) }

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = r.ParseForm()
	p.types = append(p.types, r.PostForm.Get("grant_type"))
	w.Header().Set("Content-Type", "application/json")
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case p.respond != nil:
		p.respond(w, r)
		return
	case r.PostForm.Get("client_id") != "app" || r.PostForm.Get("client_secret") != canary:
		refuse(w, http.StatusUnauthorized, "invalid_client", "")
		return
	case r.PostForm.Get("grant_type") == "refresh_token" && r.PostForm.Get("refresh_token") == p.refresh:
	case r.PostForm.Get("code") == challenge+canary && r.PostForm.Get("redirect_uri") == "https://portolan.example.com/link/callback":
	default:
		refuse(w, http.StatusBadRequest, "invalid_grant", "token "+r.PostForm.Get("refresh_token")+" is\nrevoked")
		return
	}
	p.n++
	p.refresh = token("refresh", p.n)
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"refresh_token":%q,"expires_in":3600,"token_type":"Bearer","account_number":9007199254740993}`,
		token("access", p.n), p.refresh)
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, description)
}

// setResponse replaces p's responses; status 0 restores the normal ones.
func (p *provider) setResponse(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.respond = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
	if status == 0 {
		p.respond = nil
	}
}

func (p *provider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.types)
}

func (p *provider) app() App {
	return App{AuthorizeURL: p.URL + "/authorize", TokenURL: p.URL + "/token", ClientID: "app", ClientSecret: canary, Scopes: []string{"a", "b"}}
}

// memory is a Store of one account.
type memory struct {
	mu      sync.Mutex
	account accounts.Account
	err     error  // of SetGrant, if set
	onSet   func() // called before SetGrant, if set
	lock    chan struct{}
}

func newMemory(g *accounts.Grant) *memory {
	m := &memory{lock: make(chan struct{}, 1), account: accounts.Account{
		ID: id, Environment: "default", Status: accounts.StatusActive, Context: accounts.Context{"site": "acme"}, Grant: g,
	}}
	if g != nil {
		m.account.Context[accounts.AccessTokenField] = g.AccessToken.Reveal()
	}
	return m
}

func (m *memory) Account(_ context.Context, environment, id string) (accounts.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if environment != m.account.Environment || id != m.account.ID {
		return accounts.Account{}, accounts.ErrNotFound
	}
	return m.account, nil
}

func (m *memory) SetGrant(_ context.Context, _, _ string, g accounts.Grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onSet != nil {
		m.onSet()
	}
	if m.err != nil {
		return m.err
	}
	m.account = withGrant(m.account, g)
	return nil
}

func (m *memory) NeedsReauth(_ context.Context, _ accounts.Actor, _, _ string, refused accounts.Secret, lastError string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.account.Grant.AccessToken == refused {
		m.account.Status, m.account.LastError = accounts.StatusNeedsReauth, lastError
	}
	return nil
}

func (m *memory) Exclusive(ctx context.Context, _ string, do func(context.Context) error) error {
	select {
	case m.lock <- struct{}{}:
		defer func() { <-m.lock }()
		return do(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) read(tb testing.TB) accounts.Account {
	tb.Helper()
	a, err := m.Account(context.WithoutCancel(tb.Context()), "default", id)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// keeperTest is a Keeper with a fake provider and store.
type keeperTest struct {
	*provider
	store   *memory
	keeper  *Keeper
	elapsed atomic.Int64 // since noon
	mu      sync.Mutex
	logs    bytes.Buffer
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// grant returns the initial grant.
func grant(expiry time.Time) *accounts.Grant {
	return &accounts.Grant{AccessToken: accounts.Secret(token("access", 0)), RefreshToken: accounts.Secret(token("refresh", 0)), Expiry: expiry}
}

func newKeeperTest(tb testing.TB, g *accounts.Grant) *keeperTest {
	tb.Helper()
	w := &keeperTest{provider: newProvider(tb), store: newMemory(g)}
	w.keeper = w.newKeeper()
	tb.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if strings.Contains(w.logs.String(), canary) {
			tb.Errorf("the log shows a secret: %s", &w.logs)
		}
	})
	return w
}

// newKeeper returns a Keeper of another replica.
func (w *keeperTest) newKeeper() *Keeper {
	k := NewKeeper(w.store, w.Client(), w.now, slog.New(slog.NewTextHandler(w, nil)))
	k.pauses = make([]time.Duration, 3)
	return k
}

func (w *keeperTest) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.logs.Write(p)
}

func (w *keeperTest) now() time.Time { return noon.Add(time.Duration(w.elapsed.Load())) }

func (w *keeperTest) advance(d time.Duration) { w.elapsed.Add(int64(d)) }
