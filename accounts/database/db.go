package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"portolan/accounts"
)

// Options are what a DB needs beside its database.
type Options struct {
	Keys *accounts.Keyring // seals and opens every secret
	Now  func() time.Time
	Log  *slog.Logger
}

// DB is an accounts.Store in SQLite or PostgreSQL. It is safe for concurrent use, also by
// several processes on one database.
//
// A value of a credential is sealed under its account's id and its field's name. Every
// error that is not one of package accounts' is ErrUnavailable with the reason.
type DB struct {
	Options
	write  *sql.DB
	read   *sql.DB // the same one on PostgreSQL
	engine engine
	turns  turns
	notify []func([]accounts.Change)
}

var _ accounts.Store = (*DB)(nil)

// engine is what SQLite and PostgreSQL do differently.
type engine interface {
	// cause is ErrConflict for a value that is there already, ErrNotFound for one that
	// refers to nothing; else nil.
	cause(err error) error
	// again reports whether another attempt may do better, and makes ready for it: after a
	// lost connection, a deadlock.
	again(err error) bool
	// keyID is the SQL for the key id of the column "sealed".
	keyID() string
	// exclusive does while no other process does what has the same name.
	exclusive(ctx context.Context, d *DB, name string, do func(context.Context) error) error
	close() error
}

// callTimeout bounds every call whose context gives it longer.
const callTimeout = 5 * time.Second

// attempts is how often something is tried where its error may be gone at once.
const attempts = 3

var (
	errInvalid = errors.New("cannot be stored")
	errDamaged = errors.New("stored value is damaged")
)

func invalid(what string) error { return fmt.Errorf("%w: %s", errInvalid, what) }

// known are the errors that are told as they are.
func known(err error) bool {
	for _, is := range []error{
		accounts.ErrNotFound, accounts.ErrConflict, accounts.ErrUnauthorized, accounts.ErrUnavailable, accounts.ErrCursor,
		accounts.ErrUnknownKey, accounts.ErrSeal, errInvalid, errDamaged,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// told gives err in the terms of package accounts. ctx is the caller's.
func (d *DB) told(ctx context.Context, err error) error {
	switch {
	case err == nil || known(err):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return accounts.ErrNotFound
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	if cause := d.engine.cause(err); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: %w", accounts.ErrUnavailable, err)
}

// querier is a *sql.DB or *sql.Tx.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reading runs fn, which only reads and may be run again.
func (d *DB) reading(ctx context.Context, fn func(ctx context.Context, q querier) error) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	for range attempts {
		if err = fn(bounded, d.read); err == nil || bounded.Err() != nil || !d.engine.again(err) {
			break
		}
	}
	return d.told(ctx, err)
}

// transact runs fn in a transaction, and again where that fails for a passing reason: up to
// the commit nothing has happened.
func (d *DB) transact(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	for range attempts {
		var begun bool
		if begun, err = d.once(bounded, fn); err == nil || begun || bounded.Err() != nil || !d.engine.again(err) {
			break
		}
	}
	return d.told(ctx, err)
}

// once also reports whether the commit was begun, after which nobody knows its outcome.
func (d *DB) once(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) (committing bool, err error) {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := fn(ctx, tx); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// affected turns a statement that found no row into ErrNotFound.
func affected(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return err
	case n == 0:
		return accounts.ErrNotFound
	}
	return nil
}

// collect hands every row to scan.
func collect(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Ready reads the newest change's number.
func (d *DB) Ready(ctx context.Context) error {
	return d.reading(ctx, func(ctx context.Context, q querier) error {
		var n int64
		return q.QueryRowContext(ctx, `SELECT n FROM revision`).Scan(&n)
	})
}

// Close ends the store.
func (d *DB) Close() error { return d.engine.close() }

// Exclusive runs do alone, among this process's callers and among all processes. On SQLite
// do's context ends after two minutes, before its lease does.
func (d *DB) Exclusive(ctx context.Context, name string, do func(context.Context) error) error {
	leave, err := d.turns.take(ctx, name)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", name, err)
	}
	defer leave()
	return d.engine.exclusive(ctx, d, name, do)
}

// Format writes what kind of thing d is: fmt would look past the masks of what it holds.
func (d *DB) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "account database") }

// LogValue gives what Format writes.
func (d *DB) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(d)) }

// clock is the present as the database keeps it.
func (d *DB) clock() time.Time { return d.Now().UTC().Truncate(time.Microsecond) }

// micros is t as a column holds it: 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// canonical gives id in lower case, ErrNotFound where it cannot be one.
func canonical(id string) (string, error) {
	if id = strings.ToLower(id); !uuid.MatchString(id) {
		return "", accounts.ErrNotFound
	}
	return id, nil
}

// isText reports whether PostgreSQL takes these as text; what it does not is on neither.
func isText(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return false
		}
	}
	return true
}

func storable(texts ...string) error {
	if !isText(texts...) {
		return invalid("text that holds NUL or is not UTF-8")
	}
	return nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
