package database

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"portolan/accounts"
)

const newest = 5

func (p testDatabase) raw(t *testing.T) (*sql.DB, goose.Dialect, string) {
	t.Helper()
	driver, source, dialect, folder := "sqlite", p.sqlite, goose.DialectSQLite3, "sqlite"
	if p.postgres != "" {
		driver, source, dialect, folder = "pgx", p.postgres, goose.DialectPostgres, "postgres"
	}
	db, err := sql.Open(driver, source)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db, dialect, folder
}

// rowsOf holds rows as programs of each version wrote them.
var rowsOf = []string{1: `
	INSERT INTO environment (name, label, version, created_at, updated_at) VALUES ('default', 'D', 1, 1, 1), ('live', 'L', 4, 2, 3);
	INSERT INTO integrated_account (id, environment, integration, label, tenant_id, status, last_error, version, created_at, updated_at)
		VALUES ('` + id1 + `', 'live', 'example', 'Ada', 't1', 'active', '', 5, 10, 11);
	INSERT INTO audit (at, environment, actor, request_id, action, subject, before_json, after_json)
		VALUES (10, 'live', 'ops', '', 'integrated-account.create', '` + id1 + `', 'null', '{}');
	UPDATE revision SET n = 7`, 2: `
	UPDATE integrated_account SET grant_expires_at = 99;
	INSERT INTO link (id, hash, environment, integration, account_id, label, tenant_id, redirect_uri, expires_at, created_at)
		SELECT '` + id3 + `', hash, 'live', 'example', '` + id1 + `', '', '', '', 9000000000000000, 1 FROM api_token`, 3: `
	UPDATE environment SET overrides = '{"example/a.b.c":{"query_mapping":"q"}}';
	INSERT INTO environment (name, label, version, created_at, updated_at) VALUES ('again', '', 1, 5, 5);
	INSERT INTO audit (at, environment, actor, request_id, action, subject, before_json, after_json) VALUES
		(1, 'again', 'ops', '', 'environment.create', 'again', 'null', '{}'), (2, 'again', 'ops', '', 'api-token.create', 'x', 'null', '{}'),
		(3, 'again', 'ops', '', 'environment.delete', 'again', '{}', 'null'), (5, 'again', 'ops', '', 'environment.create', 'again', 'null', '{}')`, 4: `
	INSERT INTO integrated_account (id, environment, integration, label, tenant_id, status, last_error, version, created_at, updated_at)
		VALUES ('` + id1 + `', 'default', 'example', 'Bob', 't1', 'active', '', 1, 10, 11)`, 5: `
	UPDATE environment SET display_name = 'Live', logo = 'data:', allowed_origins = '["https://app.example.com"]' WHERE name = 'live'`}

func TestMigrations(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t := s.t
		sqlite := strings.HasSuffix(t.Name(), "sqlite")
		for from := range newest + 1 {
			t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
				p := newSQLite(t)
				if !sqlite {
					p = newPostgres(t)
				}
				db, dialect, folder := p.raw(t)
				migrator, err := migrator(dialect, folder, db)
				must(t, err)
				for version := 1; version <= from; version++ {
					_, err := migrator.UpTo(t.Context(), int64(version))
					must(t, err)
					if version == 1 { // rows that need Go
						if sqlite {
							_, err = db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
							must(t, err)
						}
					}
					_, err = db.ExecContext(t.Context(), rowsOf[version])
					must(t, err)
					if version == 1 {
						hash := accounts.HashToken("x")
						sealed := keyring(t, keyA).Seal(id1, "k", []byte(`"v"`))
						_, err = db.ExecContext(t.Context(), `INSERT INTO credential (account_id, field, sealed, set_at) VALUES ($1, 'k', $2, 12)`, id1, sealed)
						must(t, err)
						_, err = db.ExecContext(t.Context(), `INSERT INTO api_token (`+tokenColumns+`) VALUES ($1, 'live', $2, 'n', 'call', 'p', $3, 0, 0, 1)`, id2, id1, hash[:])
						must(t, err)
					}
					if version == 2 {
						hash, sealed := accounts.HashToken("x"), keyring(t, keyA).Seal(id3, consentField, []byte(`{"verifier":"v"}`))
						_, err = db.ExecContext(t.Context(), `INSERT INTO consent (link_id, state, sealed, browser) VALUES ($1, $2, $3, $2)`, id3, hash[:], sealed)
						must(t, err)
					}
				}
				must(t, db.Close())
				checkMigrated(t, p, from)
			})
		}
	})
}

func checkMigrated(t *testing.T, p testDatabase, from int) {
	t.Helper()
	d := p.open(t, options(t))
	must(t, d.Ready(t.Context()))
	if from == 0 {
		create(t, d, accounts.Account{Context: accounts.Context{"k": "v"}})
		return
	}
	a, err := d.Account(t.Context(), "live", id1)
	must(t, err)
	same(t, "account", []any{"Ada", int64(5), int64(10), "v"}, []any{a.Label, a.Version, a.CreatedAt.UnixMicro(), a.Context["k"]})
	same(t, "grant", from >= 2, a.Grant != nil)
	same(t, "overrides", from >= 3, a.Inherited != nil)
	tok, err := d.Authenticate(t.Context(), "x")
	must(t, err)
	same(t, "token", id1, tok.AccountID)
	if from >= 2 {
		l, err := d.Link(t.Context(), accounts.HashToken("x"))
		must(t, err)
		same(t, "link", id1, l.AccountID)
		l, err = d.TakeConsent(t.Context(), accounts.HashToken("x"))
		must(t, err)
		same(t, "consent", "v", l.Verifier.Reveal())
	}
	if from >= 3 {
		entries, err := d.Audit(t.Context(), accounts.AuditQuery{Environment: "again"})
		must(t, err)
		same(t, "the audit of an environment that was made again", []string{"environment.create"}, actions(entries.Items))
	}
	if from >= 4 {
		other, err := d.AccountInfo(t.Context(), "default", id1)
		must(t, err)
		same(t, "the same id in another environment", []any{"Bob", 0}, []any{other.Label, len(other.Fields)})
	}
	if from >= 5 {
		e, err := d.Environment(t.Context(), "live")
		must(t, err)
		same(t, "how it shows itself", []any{"Live", "data:", []string{"https://app.example.com"}}, []any{e.DisplayName, e.Logo, e.AllowedOrigins})
	}
	e, err := d.Environment(t.Context(), "default")
	must(t, err)
	same(t, "environment", "D", e.Label)
	label := "new"
	_, err = d.UpdateAccount(t.Context(), ops, "live", id1, accounts.AccountChange{Label: &label, Grant: &accounts.Grant{AccessToken: "at"}})
	must(t, err)
	changes, n, err := d.Changes(t.Context(), 7)
	must(t, err)
	same(t, "changes", []any{1, int64(8)}, []any{len(changes), n})
	entries, err := d.Audit(t.Context(), accounts.AuditQuery{Subject: id1})
	must(t, err)
	same(t, "audit", []string{"integrated-account.update", "integrated-account.create"}, actions(entries.Items))
}

// TestMigrationsMatch: both databases have the same versions, and no down migrations.
func TestMigrationsMatch(t *testing.T) {
	var found []string
	must(t, fs.WalkDir(migrations, ".", func(path string, e fs.DirEntry, err error) error {
		if e.IsDir() || err != nil {
			return err
		}
		text, err := fs.ReadFile(migrations, path)
		if strings.Contains(string(text), "+goose Down") {
			t.Errorf("%s has a down migration", path)
		}
		found = append(found, path)
		return err
	}))
	same(t, "files", 2*newest, len(found))
	for i := range newest {
		same(t, "names", strings.TrimPrefix(found[i], "migrations/postgres"), strings.TrimPrefix(found[i+newest], "migrations/sqlite"))
	}
}

func TestNewerVersion(t *testing.T) {
	onBothDatabases(t, func(s databaseTest) {
		t, p := s.t, s.p
		must(t, p.open(t, options(t)).Close())
		db, _, _ := p.raw(t)
		applied := "TRUE"
		if p.sqlite != "" {
			applied = "1"
		}
		_, err := db.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9, `+applied+`)`)
		must(t, err)
		must(t, db.Close())
		_, err = p.try(t.Context(), options(t))
		if err == nil || !strings.Contains(err.Error(), "its version is 9, this program supports versions up to "+fmt.Sprint(newest)) {
			t.Errorf("error %v", err)
		}
	})
}

// TestOpenAtOnce opens a database in four processes and four goroutines at the same time.
// The child processes begin when their standard input ends.
func TestOpenAtOnce(t *testing.T) {
	for _, from := range []int64{0, 1} { // empty, and an earlier version
		onBothDatabases(t, func(s databaseTest) {
			t, p := s.t, s.p
			db, dialect, folder := p.raw(t)
			if from > 0 {
				m, err := migrator(dialect, folder, db)
				must(t, err)
				_, err = m.UpTo(t.Context(), from)
				must(t, err)
				if p.sqlite != "" {
					_, err = db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
					must(t, err)
				}
			}
			openAtOnce(t, p)
			var versions, environments int
			must(t, db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM goose_db_version WHERE version_id > 0), (SELECT count(*) FROM environment)`).Scan(&versions, &environments))
			same(t, "versions, environments", []int{newest, 1}, []int{versions, environments})
		})
	}
}

func openAtOnce(t *testing.T, p testDatabase) {
	t.Helper()
	var begin []func()
	var wait []func() error
	for range 4 {
		cmd := childCommand(t, p, "open")
		in, err := cmd.StdinPipe()
		must(t, err)
		out, err := cmd.StdoutPipe()
		must(t, err)
		cmd.Stderr = os.Stderr
		must(t, cmd.Start())
		_, err = bufio.NewReader(out).ReadString('\n') // it is ready
		must(t, err)
		begin, wait = append(begin, func() { _ = in.Close() }), append(wait, cmd.Wait)
	}
	var wg sync.WaitGroup
	o := options(t)
	for range 4 {
		wg.Go(func() {
			d, err := p.try(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			_ = d.Close()
		})
	}
	for _, begin := range begin {
		begin()
	}
	wg.Wait()
	for _, wait := range wait {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
}

// TestMigrationFails: failed migrations leave nothing behind.
func TestMigrationFails(t *testing.T) {
	p := newSQLite(t)
	db, _, _ := p.raw(t)
	_, err := db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA application_id = %d; CREATE TABLE link (conflicting INTEGER)`, applicationID))
	must(t, err)
	_, err = p.try(t.Context(), options(t))
	if err == nil || !strings.Contains(err.Error(), "table link already exists") {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `DROP TABLE link`)
	must(t, err)
	p.open(t, options(t))
}

func childCommand(t *testing.T, p testDatabase, task string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "PORTOLAN_TEST_CHILD="+task, "PORTOLAN_TEST_SQLITE="+p.sqlite, "PORTOLAN_TEST_URL="+p.postgres)
	return cmd
}
