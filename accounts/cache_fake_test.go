package accounts_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/accounts"
)

// fakeStore implements the methods of Store that a Cache uses.
type fakeStore struct {
	accounts.Store
	mu       sync.Mutex
	accounts map[string]accounts.Account
	tokens   map[string]accounts.Token // by secret
	log      []accounts.Change
	notify   func([]accounts.Change)
	err      error // of every call, if set
	reads    int
	onRead   func()     // called during each read, if set
	ctxErrs  chan error // receives the context's error after each read, if set
	touched  []map[string]time.Time
}

func (s *fakeStore) Notify(fn func([]accounts.Change)) { s.notify = fn }

func (s *fakeStore) Ready(context.Context) error { return s.err }

func (s *fakeStore) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	s.mu.Lock()
	a, err, onRead := s.accounts[id], s.err, s.onRead
	s.reads++
	s.mu.Unlock()
	if onRead != nil {
		onRead()
	}
	if s.ctxErrs != nil {
		s.ctxErrs <- ctx.Err()
	}
	if err == nil && a.Environment != environment {
		err = accounts.ErrNotFound
	}
	return a, err
}

func (s *fakeStore) Authenticate(_ context.Context, token string) (accounts.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	t, ok := s.tokens[token]
	switch {
	case s.err != nil:
		return accounts.Token{}, s.err
	case !ok:
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return t, nil
}

func (s *fakeStore) Changes(_ context.Context, after int64) ([]accounts.Change, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := int64(len(s.log))
	return s.log[min(after, latest):], latest, s.err
}

func (s *fakeStore) TouchTokens(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.touched = append(s.touched, used)
	}
	return s.err
}

// change makes a change as another process.
func (s *fakeStore) change(kind accounts.ChangeKind, id string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.log = append(s.log, accounts.Change{Kind: kind, ID: id})
}

// label returns a change that sets an account's label.
func (s *fakeStore) label(id, label string) func() {
	return func() {
		a := s.accounts[id]
		a.Label = label
		s.accounts[id] = a
	}
}

func (s *fakeStore) setError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *fakeStore) readCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

type cacheTest struct {
	*accounts.Cache
	store   *fakeStore
	elapsed atomic.Int64 // since noon
	logs    bytes.Buffer
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// newCacheTest returns a Cache that has polled once. Its store holds account id1 in
// environment default, id2 in production, and two tokens.
func newCacheTest(t *testing.T) *cacheTest {
	t.Helper()
	w := &cacheTest{}
	w.store = &fakeStore{
		accounts: map[string]accounts.Account{
			id1: {ID: id1, Environment: "default", Label: "old", Context: accounts.Context{"api_key": canary}},
			id2: {ID: id2, Environment: "production", Label: "old"},
		},
		tokens: map[string]accounts.Token{
			"ops": {ID: "t1", Environment: "default"},
			"one": {ID: "t2", Environment: "default", AccountID: id1, ExpiresAt: noon.Add(time.Minute)},
		},
	}
	w.Cache = accounts.NewCache(w.store, w.now, slog.New(slog.NewTextHandler(&w.logs, nil)))
	w.Poll(t.Context())
	return w
}

func (w *cacheTest) now() time.Time { return noon.Add(time.Duration(w.elapsed.Load())) }

func (w *cacheTest) advance(d time.Duration) { w.elapsed.Add(int64(d)) }

// labels returns the labels of both accounts.
func (w *cacheTest) labels(t *testing.T) string {
	t.Helper()
	a, err := w.Account(t.Context(), "default", strings.ToUpper(id1))
	b, err2 := w.Account(t.Context(), "production", id2)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return a.Label + " " + b.Label
}

// reads counts the store's reads during do.
func (w *cacheTest) reads(do func()) int {
	before := w.store.readCount()
	do()
	return w.store.readCount() - before
}
