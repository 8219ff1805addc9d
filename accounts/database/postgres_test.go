package database

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
)

// terminate ends all other sessions on d's database.
func terminate(t *testing.T, d *DB) {
	t.Helper()
	_, err := d.read.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(t, err)
}

// TestPostgresUsable runs first in ./test, which looks for a usable server.
func TestPostgresUsable(t *testing.T) { newPostgres(t).open(t, options(t)) }

// TestPostgresSessionsEnd: calls succeed after the server ended all sessions.
func TestPostgresSessionsEnd(t *testing.T) {
	p := newPostgres(t)
	d, killer := p.open(t, options(t)), p.open(t, options(t))
	create(t, d, accounts.Account{ID: id1})
	for range 3 {
		var wg sync.WaitGroup
		for range 8 { // so that several sessions are idle when they end
			wg.Go(func() { _ = d.Ready(t.Context()) })
		}
		wg.Wait()
		terminate(t, killer)
		_, err := d.Account(t.Context(), "default", id1)
		must(t, err)
		terminate(t, killer)
		must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "a"}))
	}
}

// cuttableProxy is a TCP proxy to the server whose connections a test can cut.
type cuttableProxy struct {
	net.Listener
	to    string
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func newCuttableProxy(t *testing.T, to string) *cuttableProxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	c := &cuttableProxy{Listener: l, to: to}
	go c.serve()
	t.Cleanup(func() { _ = l.Close(); c.set(true) })
	return c
}

func (c *cuttableProxy) serve() {
	for {
		in, err := c.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		c.mu.Lock()
		if err != nil || c.cut {
			_ = in.Close()
			if err == nil {
				_ = out.Close()
			}
			c.mu.Unlock()
			continue
		}
		c.conns = append(c.conns, in, out)
		c.mu.Unlock()
		go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	}
}

func (c *cuttableProxy) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

func TestPostgresLost(t *testing.T) {
	p := newPostgres(t)
	u, err := url.Parse(p.postgres)
	must(t, err)
	c := newCuttableProxy(t, u.Host)
	u.Host = c.Addr().String()
	d := testDatabase{postgres: u.String()}.open(t, options(t))
	create(t, d, accounts.Account{ID: id1})
	token(t, d, "x", accounts.Token{})
	for range 2 {
		c.set(true)
		for name, call := range map[string]func() error{
			"Ready":        func() error { return d.Ready(t.Context()) },
			"Authenticate": func() error { _, err := d.Authenticate(t.Context(), "unknown"); return err },
			"Account":      func() error { _, err := d.Account(t.Context(), "default", id2); return err },
			"SetGrant":     func() error { return d.SetGrant(t.Context(), "default", id1, accounts.Grant{}) },
			"Changes":      func() error { _, _, err := d.Changes(t.Context(), 0); return err },
			"Exclusive": func() error {
				return d.Exclusive(t.Context(), "a", func(context.Context) error { t.Error("got the lock"); return nil })
			},
		} {
			err := call()
			wantErr(t, name, err, accounts.ErrUnavailable)
			if errors.Is(err, accounts.ErrUnauthorized) || errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		c.set(false)
		must(t, d.Ready(t.Context()))
		_, err := d.Authenticate(t.Context(), "x")
		must(t, err)
		must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "a"}))
		must(t, d.Exclusive(t.Context(), "a", func(context.Context) error { return nil }))
	}
	_, err = testDatabase{postgres: "postgres://u:s3cr3t@" + strings.Replace(c.Addr().String(), "127.0.0.1", "127.0.0.2", 1) + "/x"}.try(t.Context(), options(t))
	wantErr(t, "down at the start", err, accounts.ErrUnavailable)
	for _, bad := range []string{"postgres://u:s3cr3t@host:port/x", "postgres://u:s3cr3t@127.0.0.1:1/x?sslmode=none", "s3cr3t=%zz"} {
		_, err := testDatabase{postgres: bad}.try(t.Context(), options(t))
		if err == nil || strings.Contains(err.Error(), "u:s3cr3t") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestPostgresHeld: a call does not wait forever for a row lock.
func TestPostgresHeld(t *testing.T) {
	p := newPostgres(t)
	d, other := p.open(t, options(t)), p.open(t, options(t))
	create(t, d, accounts.Account{ID: id1})
	tx, err := other.write.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), `UPDATE revision SET n = n + 1`)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantErr(t, "held", d.SetGrant(ctx, "default", id1, accounts.Grant{}), accounts.ErrUnavailable)
	must(t, tx.Rollback())
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{}))
	var timeout string
	must(t, d.read.QueryRowContext(t.Context(), `SHOW statement_timeout`).Scan(&timeout))
	same(t, "statement_timeout", "5s", timeout)
}

// TestPostgresResealYields: Reseal does not overwrite a concurrent change.
func TestPostgresResealYields(t *testing.T) {
	p, o := newPostgres(t), options(t)
	create(t, p.open(t, o), accounts.Account{ID: id1, Context: accounts.Context{"k": "old"}})
	o.Keys = keyring(t, keyB, keyA)
	d := p.open(t, o)
	tx, err := d.write.BeginTx(t.Context(), nil)
	must(t, err)
	_, err = tx.ExecContext(t.Context(), `UPDATE credential SET sealed = $1`, keyring(t, keyA).Seal(id1, "k", []byte(`"new"`)))
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := d.Reseal(t.Context(), 10); err != nil {
			t.Error(err)
		}
	})
	for waiting := false; !waiting; {
		must(t, d.read.QueryRowContext(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting))
	}
	must(t, tx.Commit())
	wg.Wait()
	a, err := d.Account(t.Context(), "default", id1)
	must(t, err)
	same(t, "value", any("new"), a.Context["k"])
	resealed, err := d.Reseal(t.Context(), 10)
	must(t, err)
	same(t, "left for the next batch", 1, resealed)
}

// TestPostgresWaiters: callers that wait for the same name share one connection.
func TestPostgresWaiters(t *testing.T) {
	d := newPostgres(t).open(t, options(t))
	engine, ok := d.engine.(*postgresEngine)
	if !ok {
		t.Fatal("no PostgreSQL")
	}
	const waiters = 50
	var wg sync.WaitGroup
	var once sync.Once
	for range waiters {
		wg.Go(func() {
			err := d.Exclusive(t.Context(), "a", func(context.Context) error {
				once.Do(func() {
					for all := false; !all; {
						d.mutexes.mu.Lock()
						all = d.mutexes.byName["a"].callers == waiters
						d.mutexes.mu.Unlock()
					}
				})
				same(t, "connections", int32(1), engine.locks.Stat().AcquiredConns())
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
