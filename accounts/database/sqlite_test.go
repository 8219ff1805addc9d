package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portolan/accounts"
)

func TestSQLiteFile(t *testing.T) {
	for _, name := range []string{"portolan.db", "a b%20c?d#e.db", "ü:x.db"} {
		p := testDatabase{sqlite: filepath.Join(t.TempDir(), name)}
		d := p.open(t, options(t))
		create(t, d, accounts.Account{ID: id1})
		for _, suffix := range []string{"", "-wal", "-shm"} {
			info, err := os.Stat(p.sqlite + suffix)
			must(t, err)
			same(t, suffix, os.FileMode(0o600), info.Mode().Perm())
		}
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
			for _, pool := range []*sql.DB{d.write, d.read} {
				var got string
				must(t, pool.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&got))
				same(t, pragma, want, got)
			}
		}
		must(t, d.Close())
		must(t, os.Chmod(p.sqlite, 0o644))
		p.open(t, options(t))
		info, err := os.Stat(p.sqlite)
		must(t, err)
		same(t, "permissions", os.FileMode(0o600), info.Mode().Perm())
	}
}

// TestSQLiteUnusable opens unusable files: the error says why, and they stay unchanged.
func TestSQLiteUnusable(t *testing.T) {
	whole := func() []byte {
		p := newSQLite(t)
		d := p.open(t, options(t))
		for range 50 {
			create(t, d, accounts.Account{Label: strings.Repeat("x", 1000)})
		}
		must(t, d.Close())
		raw, err := os.ReadFile(p.sqlite)
		must(t, err)
		return raw
	}()
	another := func() []byte {
		path := filepath.Join(t.TempDir(), "another.db")
		db, err := sql.Open("sqlite", path)
		must(t, err)
		_, err = db.ExecContext(t.Context(), `CREATE TABLE t (a); INSERT INTO t VALUES (1)`)
		must(t, err)
		must(t, db.Close())
		raw, err := os.ReadFile(path)
		must(t, err)
		return raw
	}()
	zeroed := append([]byte(nil), whole...)
	clear(zeroed[4096 : len(zeroed)/2])
	last := append([]byte(nil), whole...)
	clear(last[len(last)-4096:])
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"last page":       {last, "is damaged: restore it from a backup ("},
		"text":            {[]byte("accounts:\n  - id: 1\n"), "damaged or not a SQLite database"},
		"random":          {[]byte(strings.Repeat("\xde\xad", 5000)), "damaged or not a SQLite database"},
		"half-written":    {whole[:len(whole)/2], "damaged"},
		"its first page":  {whole[:4096], "damaged"},
		"half a page":     {whole[:2048], "damaged"},
		"zeroes inside":   {zeroed, "damaged"},
		"another program": {another, "is the database of another program"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSQLite(t)
			must(t, os.WriteFile(p.sqlite, test.content, 0o600))
			_, err := p.try(t.Context(), options(t))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), p.sqlite) {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			after, err := os.ReadFile(p.sqlite)
			must(t, err)
			if string(after) != string(test.content) {
				t.Error("the file was changed")
			}
		})
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for path, want := range map[string]string{
		folder:                                "is a directory",
		filepath.Join(folder, "none", "a.db"): "no such file or directory",
		filepath.Join(file, "a.db"):           "not a directory",
		"/dev/null":                           "is not a regular file",
		"/proc/portolan.db":                   "account database /proc/portolan.db",
	} {
		_, err := testDatabase{sqlite: path}.try(t.Context(), options(t))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
	testDatabase{sqlite: file}.open(t, options(t)) // an empty file
}

func TestSQLiteFull(t *testing.T) {
	d := newSQLite(t).open(t, options(t))
	create(t, d, accounts.Account{ID: id1})
	var pages int
	must(t, d.write.QueryRowContext(t.Context(), `PRAGMA page_count`).Scan(&pages))
	var limit int
	must(t, d.write.QueryRowContext(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)).Scan(&limit))
	big := accounts.NewAccount{Account: accounts.Account{ID: id2, Environment: "default", Label: strings.Repeat("x", 100_000)}}
	_, err := d.CreateAccount(t.Context(), ops, big)
	wantErr(t, "full", err, accounts.ErrUnavailable)
	if !strings.Contains(fmt.Sprint(err), "database or disk is full") {
		t.Errorf("error %v", err)
	}
	_, err = d.AccountInfo(t.Context(), "default", id2)
	wantErr(t, "not in part", err, accounts.ErrNotFound)
	_, err = d.AccountInfo(t.Context(), "default", id1)
	must(t, err)
	_, err = d.write.ExecContext(t.Context(), `PRAGMA max_page_count = 1000000`)
	must(t, err)
	_, err = d.CreateAccount(t.Context(), ops, big)
	must(t, err)
}

func TestSQLiteBusy(t *testing.T) {
	p := newSQLite(t)
	d, other := p.open(t, options(t)), p.open(t, options(t))
	create(t, d, accounts.Account{ID: id1})
	tx, err := other.write.BeginTx(t.Context(), nil)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	wantErr(t, "busy", d.SetGrant(ctx, "default", id1, accounts.Grant{}), accounts.ErrUnavailable)
	_, err = d.Account(t.Context(), "default", id1)
	must(t, err) // readers do not wait
	must(t, tx.Rollback())
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{}))
}

func TestClosed(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		d := p.open(t, options(t))
		must(t, d.Close())
		wantErr(t, "read", d.Ready(t.Context()), accounts.ErrUnavailable)
		wantErr(t, "write", d.SetGrant(t.Context(), "default", id1, accounts.Grant{}), accounts.ErrUnavailable)
		if err := d.Exclusive(t.Context(), "a", func(context.Context) error { return nil }); !errors.Is(err, accounts.ErrUnavailable) {
			t.Error(err)
		}
	})
}
