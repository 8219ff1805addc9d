package accounts_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
)

// fakeStore is as much of a Store as a Cache asks of one.
type fakeStore struct {
	accounts.Store
	mu       sync.Mutex
	accounts map[string]accounts.Account
	tokens   map[string]accounts.Token // by secret
	log      []accounts.Change
	notify   func([]accounts.Change)
	away     error
	reads    int
	read     func()     // between a read and its answer, where set
	left     chan error // of a read's context at its end, where set
	touched  []map[string]time.Time
}

func (s *fakeStore) Notify(fn func([]accounts.Change)) { s.notify = fn }

func (s *fakeStore) Ready(context.Context) error { return s.away }

func (s *fakeStore) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	s.mu.Lock()
	a, err, read := s.accounts[id], s.away, s.read
	s.reads++
	s.mu.Unlock()
	if read != nil {
		read()
	}
	if s.left != nil {
		s.left <- ctx.Err()
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
	case s.away != nil:
		return accounts.Token{}, s.away
	case !ok:
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return t, nil
}

func (s *fakeStore) Changes(_ context.Context, after int64) ([]accounts.Change, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := int64(len(s.log))
	return s.log[min(after, latest):], latest, s.away
}

func (s *fakeStore) TouchTokens(_ context.Context, used map[string]time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		s.touched = append(s.touched, used)
	}
	return s.away
}

// change is one of another process.
func (s *fakeStore) change(kind accounts.ChangeKind, id string, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.log = append(s.log, accounts.Change{Kind: kind, ID: id})
}

// label sets an account's label, which tells the states of one apart.
func (s *fakeStore) label(id, label string) func() {
	return func() {
		a := s.accounts[id]
		a.Label = label
		s.accounts[id] = a
	}
}

func (s *fakeStore) lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

func (s *fakeStore) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

type cacheWorld struct {
	*accounts.Cache
	store *fakeStore
	mu    sync.Mutex
	clock time.Time
	logs  bytes.Buffer
}

// newCacheWorld gives a Cache of id1 in environment default and id2 in production, each
// with a token of its own, that has polled just now.
func newCacheWorld(t *testing.T) *cacheWorld {
	t.Helper()
	w := &cacheWorld{clock: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)}
	w.store = &fakeStore{
		accounts: map[string]accounts.Account{
			id1: {ID: id1, Environment: "default", Label: "old", Context: accounts.Context{"api_key": canary}},
			id2: {ID: id2, Environment: "production", Label: "old"},
		},
		tokens: map[string]accounts.Token{
			"ops": {ID: "t1", Environment: "default"},
			"one": {ID: "t2", Environment: "default", AccountID: id1, ExpiresAt: w.clock.Add(time.Minute)},
		},
	}
	w.Cache = accounts.NewCache(w.store, w.now, slog.New(slog.NewTextHandler(&w.logs, nil)))
	w.Poll(t.Context())
	return w
}

func (w *cacheWorld) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *cacheWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// labels reads both accounts.
func (w *cacheWorld) labels(t *testing.T) string {
	t.Helper()
	a, err := w.Account(t.Context(), "default", strings.ToUpper(id1))
	b, err2 := w.Account(t.Context(), "production", id2)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return a.Label + " " + b.Label
}

// asks is how often do asks the store.
func (w *cacheWorld) asks(do func()) int {
	before := w.store.asked()
	do()
	return w.store.asked() - before
}
