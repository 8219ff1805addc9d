package database

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"portolan/accounts"
)

// TestMain runs the parts of the tests that are processes of their own.
func TestMain(m *testing.M) {
	if task := os.Getenv("PORTOLAN_TEST_CHILD"); task != "" {
		os.Exit(child(task))
	}
	os.Exit(m.Run())
}

// place is where a test's database is, to be opened more than once.
type place struct {
	sqlite   string // the file's path
	postgres string // the URL
}

func (p place) try(ctx context.Context, o Options) (*DB, error) {
	if p.sqlite != "" {
		return OpenSQLite(ctx, p.sqlite, o)
	}
	return OpenPostgres(ctx, p.postgres, o)
}

func (p place) open(tb testing.TB, o Options) *DB {
	tb.Helper()
	d, err := p.try(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// everywhere runs a test over both databases, each time with an empty place.
func everywhere(t *testing.T, test func(visit)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(visit{t, newSQLite(t)}) })
	t.Run("postgres", func(t *testing.T) { test(visit{t, newPostgres(t)}) })
}

// visit is a test's run at one place.
type visit struct {
	t *testing.T
	p place
}

func newSQLite(tb testing.TB) place {
	tb.Helper()
	return place{sqlite: filepath.Join(tb.TempDir(), "portolan.db")}
}

func serverURL() string {
	if text := os.Getenv("PORTOLAN_TEST_POSTGRES"); text != "" {
		return text
	}
	return "postgres://postgres@127.0.0.1:5432/postgres"
}

func newPostgres(tb testing.TB) place {
	tb.Helper()
	var b [8]byte
	_, _ = rand.Read(b[:])
	name := "portolan_test_" + hex.EncodeToString(b[:])
	onServer(tb, `CREATE DATABASE `+name)
	tb.Cleanup(func() { onServer(tb, `DROP DATABASE `+name+` WITH (FORCE)`) })
	u, err := url.Parse(serverURL())
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return place{postgres: u.String()}
}

func onServer(tb testing.TB, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, serverURL())
	if err != nil {
		tb.Fatalf("the tests need PostgreSQL (./test starts it): %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Error(err)
	}
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)} }

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

const (
	keyA = "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	keyB = "b:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
)

func keyring(tb testing.TB, keys ...string) *accounts.Keyring {
	tb.Helper()
	k, err := accounts.ParseKeyring(strings.Join(keys, ","))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func options(tb testing.TB) Options {
	tb.Helper()
	return Options{Keys: keyring(tb, keyA), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

var ops = accounts.Actor{Name: "token ops (ptl_1a2b3c4d)", RequestID: "r-1"}

func create(tb testing.TB, d *DB, a accounts.Account) accounts.Account {
	tb.Helper()
	if a.Environment == "" {
		a.Environment = accounts.DefaultEnvironment
	}
	if a.Integration == "" {
		a.Integration = "example"
	}
	made, err := d.CreateAccount(tb.Context(), ops, accounts.NewAccount{Account: a})
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func environment(tb testing.TB, d *DB, name string) {
	tb.Helper()
	if _, err := d.CreateEnvironment(tb.Context(), ops, accounts.Environment{Name: name}); err != nil {
		tb.Fatal(err)
	}
}

func token(tb testing.TB, d *DB, secret string, tok accounts.Token) accounts.Token {
	tb.Helper()
	if tok.Environment == "" {
		tok.Environment = accounts.DefaultEnvironment
	}
	made, err := d.CreateToken(tb.Context(), ops, accounts.StoredToken{Token: tok, Hash: accounts.HashToken(secret)})
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func same(tb testing.TB, what string, want, got any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantErr(tb testing.TB, what string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
