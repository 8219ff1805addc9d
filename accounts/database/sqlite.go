package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"portolan/accounts"
)

const (
	// applicationID marks a file as Portolan's: "PTLN".
	applicationID = 0x50544c4e
	maxReaders    = 4
	// startTimeout bounds the wait for another process's migrations.
	startTimeout = time.Minute
)

// OpenSQLite opens the database in the file at path. It creates the file if it does not
// exist, and lets only its owner read it. Errors name the path.
func OpenSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	d, err := openSQLite(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("account database %s: %w", path, err)
	}
	return d, nil
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	if err := prepareSQLite(ctx, path, o); err != nil {
		return nil, describe(err)
	}
	writer, err := sql.Open("sqlite", dsn(path, "_txlock=immediate&_busy_timeout=5000"))
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1) // more would only wait for the write lock
	reader, err := sql.Open("sqlite", dsn(path, "_query_only=1&_busy_timeout=5000"))
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxOpenConns(maxReaders)
	reader.SetMaxIdleConns(maxReaders)
	d := &DB{Options: o, write: writer, read: reader, engine: sqliteEngine{writer, reader}}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(describe(err), d.Close())
	}
	return d, nil
}

// dsn returns the driver's name of the file, with the settings of every connection.
func dsn(path, settings string) string {
	return "file:" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?mode=rw&_foreign_keys=1&_synchronous=FULL&" + settings
}

// createFile creates an empty file, or removes other users' rights to an existing one. It
// never opens that file: closing it would release this process's locks.
func createFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = createEmpty(path); !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err = os.Stat(path) // another process was first
	}
	switch {
	case err != nil:
		return errors.Unwrap(err) // without the path, which the caller adds
	case info.IsDir():
		return errors.New("is a directory")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return os.Chmod(path, info.Mode().Perm()&^0o077)
	}
	return nil
}

// createEmpty creates an empty file with its final permissions.
func createEmpty(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".portolan-*")
	if err != nil {
		return errors.Unwrap(err)
	}
	err = errors.Join(f.Close(), os.Link(f.Name(), path))
	if removed := os.Remove(f.Name()); err == nil {
		err = removed
	}
	return err
}

// describe explains SQLite's error codes.
func describe(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("is damaged or not a SQLite database: restore it from a backup (%w)", err)
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("cannot be opened for writing: %w", err)
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("is in use by another process: %w", err)
	}
	return err
}

func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// prepareSQLite checks and migrates the file over one connection.
func prepareSQLite(ctx context.Context, path string, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	db, err := sql.Open("sqlite", dsn(path, "_busy_timeout=60000"))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	fresh, err := checkFile(ctx, db)
	if err != nil {
		return err
	}
	if err := enableWAL(ctx, db); err != nil {
		return err
	}
	// One transaction around all migrations excludes other processes and is atomic. The
	// option keeps the migrator from beginning its own.
	p, err := migrator(goose.DialectSQLite3, "sqlite", db, goose.WithIsolateDDL(true))
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return err
	}
	if fresh {
		_, err = db.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	}
	if err == nil {
		err = migrate(ctx, p, o.Log)
	}
	if err != nil {
		return err // closing the connection rolls back
	}
	_, err = db.ExecContext(ctx, `COMMIT`)
	return err
}

// checkFile reports whether the file is empty. It refuses foreign and damaged files.
func checkFile(ctx context.Context, db *sql.DB) (fresh bool, err error) {
	var id, tables int
	if err := db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_master)`).Scan(&id, &tables); err != nil {
		return false, err
	}
	fresh = id == 0 && tables == 0
	if id != applicationID && !fresh {
		return false, errors.New("is the database of another program")
	}
	var found string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&found); err != nil {
		return false, err
	}
	if found != "ok" {
		return false, fmt.Errorf("is damaged: restore it from a backup (%s)", strings.Join(strings.Fields(strings.ReplaceAll(found, "*** in database main ***", "")), " "))
	}
	return fresh, nil
}

// enableWAL sets the file's journal mode. If another process does so at the same time,
// SQLite returns SQLITE_BUSY without waiting.
func enableWAL(ctx context.Context, db *sql.DB) error {
	for {
		_, err := db.ExecContext(ctx, `PRAGMA journal_mode = WAL`)
		if code(err)&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		if ended := sleep(ctx, pollInterval); ended != nil {
			return errors.Join(err, ended)
		}
	}
}

// pollInterval is the time between two attempts to get a lock of another process.
const pollInterval = 20 * time.Millisecond

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type sqliteEngine struct{ writer, reader *sql.DB }

func (e sqliteEngine) close() error { return errors.Join(e.reader.Close(), e.writer.Close()) }

func (sqliteEngine) retryable(error) bool { return false } // SQLite has waited already

func (sqliteEngine) keyID() string { return `substr(sealed, 1, instr(sealed, '.') - 1)` }

func (sqliteEngine) constraintError(err error) error {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return accounts.ErrConflict
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return accounts.ErrNotFound
	}
	return nil
}

// leaseDuration is how long a lock outlives a process that died.
const leaseDuration = 2 * time.Minute

func (sqliteEngine) exclusive(ctx context.Context, d *DB, name string, do func(context.Context) error) error {
	holder := accounts.NewID()
	for {
		got, err := d.lease(ctx, name, holder)
		if err == nil && !got {
			err = sleep(ctx, pollInterval)
		}
		if ctx.Err() != nil && !got {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", name, err)
		}
		if got {
			break
		}
	}
	defer func() { // even if ctx has ended
		_ = d.transact(context.WithoutCancel(ctx), func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM lease WHERE name = $1 AND holder = $2`, name, holder)
			return err
		}) // if this fails, the lease expires
	}()
	ctx, cancel := context.WithTimeout(ctx, leaseDuration-2*callTimeout)
	defer cancel()
	return do(ctx)
}

// lease reports whether holder got the lock.
func (d *DB) lease(ctx context.Context, name, holder string) (got bool, err error) {
	err = d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := d.clock()
		err := affected(tx.ExecContext(ctx, `INSERT INTO lease (name, holder, expires_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at WHERE lease.expires_at <= $4`,
			name, holder, micros(now.Add(leaseDuration)), micros(now)))
		got = err == nil
		if errors.Is(err, accounts.ErrNotFound) { // another holder has it
			return nil
		}
		return err
	})
	return got, err
}
