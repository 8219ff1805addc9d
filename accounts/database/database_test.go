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
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"portolan/accounts"
)

// TestMain runs child processes of tests.
func TestMain(m *testing.M) {
	if task := os.Getenv("PORTOLAN_TEST_CHILD"); task != "" {
		os.Exit(child(task))
	}
	os.Exit(m.Run())
}

// testDatabase is the address of a database that a test can open more than once.
type testDatabase struct {
	sqlite   string // the file's path
	postgres string // the URL
}

func (p testDatabase) try(ctx context.Context, o Options) (*DB, error) {
	if p.sqlite != "" {
		return OpenSQLite(ctx, p.sqlite, o)
	}
	return OpenPostgres(ctx, p.postgres, o)
}

func (p testDatabase) open(tb testing.TB, o Options) *DB {
	tb.Helper()
	d, err := p.try(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

// onBothDatabases runs a test with an empty database of each kind.
func onBothDatabases(t *testing.T, test func(databaseTest)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(databaseTest{t, newSQLite(t)}) })
	t.Run("postgres", func(t *testing.T) { test(databaseTest{t, newPostgres(t)}) })
}

type databaseTest struct {
	t *testing.T
	p testDatabase
}

func newSQLite(tb testing.TB) testDatabase {
	tb.Helper()
	return testDatabase{sqlite: filepath.Join(tb.TempDir(), "portolan.db")}
}

func serverURL() string {
	if text := os.Getenv("PORTOLAN_TEST_POSTGRES"); text != "" {
		return text
	}
	return "postgres://postgres@127.0.0.1:5432/postgres"
}

func newPostgres(tb testing.TB) testDatabase {
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
	return testDatabase{postgres: u.String()}
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

// clock is the time elapsed since noon.
type clock struct{ elapsed atomic.Int64 }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func (c *clock) Now() time.Time { return noon.Add(time.Duration(c.elapsed.Load())) }

func (c *clock) add(d time.Duration) { c.elapsed.Add(int64(d)) }

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

func environmentID(tb testing.TB, d *DB, name string) string {
	tb.Helper()
	e, err := d.Environment(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return e.ID
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
