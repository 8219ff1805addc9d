package database

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/accounts"
)

// everyRow returns the content of a database as bytes.
func everyRow(t *testing.T, p testDatabase, d *DB) []byte {
	t.Helper()
	var out []byte
	if p.sqlite != "" {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			raw, err := os.ReadFile(p.sqlite + suffix)
			must(t, err)
			out = append(out, raw...)
		}
		return out
	}
	for _, table := range []string{"environment", "integrated_account", "credential", "api_token", "audit", "revision", "change", "link", "consent"} {
		must(t, collect(t.Context(), d.read, func(rows *sql.Rows) error {
			var text string
			err := rows.Scan(&text)
			out = append(out, text...)
			return err
		}, `SELECT row_to_json(r)::text FROM `+table+` r`))
	}
	return out
}

func TestSealedAtRest(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		const canary = "c4n4rys3cr3tv4lue"
		d := p.open(t, options(t))
		everyChange(t, d, time.Now(), canary)
		raw := everyRow(t, p, d)
		if !bytes.Contains(raw, []byte(id1)) || !bytes.Contains(raw, []byte("a.")) {
			t.Fatal("everyRow lacks rows")
		}
		for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), encode(canary)[:20], strings.Repeat("A", 20)} {
			if bytes.Contains(raw, []byte(form)) {
				t.Errorf("the database holds %s", form)
			}
		}
		used, err := d.KeysInUse(t.Context())
		must(t, err)
		same(t, "sealed: 3 fields, 2 of the grant, 1 consent", map[string]int{"a": 6}, used)
	})
}

// TestMovedValue: a value moved to another account or field cannot be opened.
func TestMovedValue(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		d := p.open(t, options(t))
		create(t, d, accounts.Account{ID: id1, Context: accounts.Context{"k": "1"}})
		create(t, d, accounts.Account{ID: id2, Context: accounts.Context{"k": "2", "l": "3"}})
		for _, where := range []string{`account_id = '` + id2 + `' AND field = 'k'`, `account_id = '` + id2 + `' AND field = 'l'`} {
			_, err := d.write.ExecContext(t.Context(), `UPDATE credential SET sealed = (SELECT sealed FROM credential WHERE account_id = '`+id1+`') WHERE `+where)
			must(t, err)
			_, err = d.Account(t.Context(), "default", id2)
			wantErr(t, where, err, accounts.ErrSeal)
			info, infoErr := d.AccountInfo(t.Context(), "default", id2)
			same(t, "what can be read nevertheless", []any{accounts.Context(nil), 2, nil}, []any{info.Context, len(info.Fields), infoErr})
			if errors.Is(err, accounts.ErrNotFound) || errors.Is(err, accounts.ErrUnavailable) {
				t.Error("got", err)
			}
			_, err = d.Reseal(t.Context(), 10)
			must(t, err) // all are sealed with the newest key
		}
		_, err := d.Account(t.Context(), "default", id1)
		must(t, err)
	})
}

func TestRotation(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		old := p.open(t, options(t))
		const n = 30
		for i := range n {
			create(t, old, accounts.Account{Context: accounts.Context{"k": fmt.Sprint("v", i)}, Grant: &accounts.Grant{AccessToken: "at"}})
		}
		must(t, old.CreateLink(t.Context(), ops, linkHash, accounts.Link{
			ID: id3, Environment: "default", Preset: accounts.Context{"k": "v"}, ExpiresAt: time.Now().Add(time.Hour),
		}))
		must(t, old.BeginConsent(t.Context(), id3, state, accounts.Link{Verifier: "v"}))
		must(t, old.Close())

		o := options(t)
		o.Keys = keyring(t, keyB)
		_, err := p.try(t.Context(), o)
		wantErr(t, "a removed key", err, accounts.ErrUnknownKey)
		if want := fmt.Sprintf(`%d stored values are encrypted with a master key that is missing: "a"`, 3*n+2); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		o.Keys = keyring(t, "a:"+strings.TrimPrefix(keyB, "b:"))
		_, err = p.try(t.Context(), o)
		wantErr(t, "another key of the same id", err, accounts.ErrSeal)
		if want := fmt.Sprintf(`%d stored values are encrypted with a master key "a" that differs from the given one`, 3*n+2); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		o.Keys = keyring(t, keyB, keyA)
		d, other := p.open(t, o), p.open(t, o)
		page, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{PageQuery: accounts.PageQuery{Limit: n}})
		must(t, err)

		// Two rotations run while accounts are read and changed.
		var rotate, load sync.WaitGroup
		stop := make(chan struct{})
		last := make([]string, n)
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				a := i % n
				last[a] = fmt.Sprint("new", i)
				if _, err := other.UpdateAccount(t.Context(), ops, "default", page.Items[a].ID, accounts.AccountChange{Context: accounts.Context{"k": last[a]}}); err != nil {
					t.Error(err)
				}
				if _, err := d.Account(t.Context(), "default", page.Items[(i*7)%n].ID); err != nil {
					t.Error(err)
				}
			}
		})
		for _, d := range []*DB{d, other} {
			rotate.Go(func() {
				for {
					switch resealed, err := d.Reseal(t.Context(), 7); {
					case err != nil:
						t.Error(err)
						return
					case resealed > 7:
						t.Error("a batch of", resealed)
					case resealed == 0:
						return
					}
				}
			})
		}
		rotate.Wait()
		close(stop)
		load.Wait()
		used, err := d.KeysInUse(t.Context())
		must(t, err)
		same(t, "keys", map[string]int{"b": 3*n + 2}, used)
		must(t, d.Close())
		must(t, other.Close())
		o.Keys = keyring(t, keyB)
		d = p.open(t, o)
		for i, a := range page.Items {
			full, err := d.Account(t.Context(), "default", a.ID)
			must(t, err)
			if last[i] != "" {
				same(t, "the newest value", any(last[i]), full.Context["k"])
			}
			same(t, "grant", "at", full.Grant.AccessToken.Reveal())
		}
		l, err := d.TakeConsent(t.Context(), state)
		must(t, err)
		same(t, "consent", "v", l.Verifier.Reveal())
	})
}
