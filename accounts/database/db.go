package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"portolan/accounts"
)

// Options are the dependencies of a DB.
type Options struct {
	Keys *accounts.Keyring // seals all credentials
	Now  func() time.Time
	Log  *slog.Logger
}

// DB is an accounts.Store in SQLite or PostgreSQL. It is safe for concurrent use, also by
// several processes on one database.
//
// A credential is sealed under its account's id and its field's name. Every unexpected
// error wraps ErrUnavailable and the cause.
type DB struct {
	Options
	write   *sql.DB
	read    *sql.DB // the same as write on PostgreSQL
	engine  engine
	mutexes keyedMutex
	notify  []func([]accounts.Change)
}

var _ accounts.Store = (*DB)(nil)

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	// constraintError returns ErrConflict for a violated unique constraint, ErrNotFound for
	// a violated foreign key, else nil.
	constraintError(err error) error
	// retryable reports whether a retry may succeed: after a lost connection or a deadlock.
	// It drops lost connections.
	retryable(err error) bool
	// keyID returns the SQL expression for the key id of the column "sealed".
	keyID() string
	// exclusive runs do while holding the lock of this name over all processes.
	exclusive(ctx context.Context, d *DB, name string, do func(context.Context) error) error
	close() error
}

// callTimeout bounds every call.
const callTimeout = 5 * time.Second

// attempts is how often a call with retryable errors is tried.
const attempts = 3

var errInvalid = errors.New("cannot be stored")

func invalid(what string) error { return fmt.Errorf("%w: %s", errInvalid, what) }

// isDomainError reports whether err is returned to callers unchanged.
func isDomainError(err error) bool {
	for _, is := range []error{
		accounts.ErrNotFound, accounts.ErrConflict, accounts.ErrUnauthorized, accounts.ErrUnavailable, accounts.ErrCursor,
		accounts.ErrUnknownKey, accounts.ErrSeal, errInvalid, accounts.ErrDamaged,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// translate maps err to an error of package accounts. ctx is the caller's.
func (d *DB) translate(ctx context.Context, err error) error {
	switch {
	case err == nil || isDomainError(err):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return accounts.ErrNotFound
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	}
	if violation := d.engine.constraintError(err); violation != nil {
		return violation
	}
	return fmt.Errorf("%w: %w", accounts.ErrUnavailable, err)
}

// querier is a *sql.DB or *sql.Tx.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// query runs fn, which must only read, with retries.
func (d *DB) query(ctx context.Context, fn func(ctx context.Context, q querier) error) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	for range attempts {
		if err = fn(bounded, d.read); err == nil || bounded.Err() != nil || !d.engine.retryable(err) {
			break
		}
	}
	return d.translate(ctx, err)
}

// transact runs fn in a transaction. It retries unless the commit has begun.
func (d *DB) transact(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	bounded, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var err error
	for range attempts {
		var committing bool
		if committing, err = d.tryTransact(bounded, fn); err == nil || committing || bounded.Err() != nil || !d.engine.retryable(err) {
			break
		}
	}
	return d.translate(ctx, err)
}

// tryTransact reports whether the commit has begun: its outcome is then unknown.
func (d *DB) tryTransact(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) (committing bool, err error) {
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // no effect after a commit
	if err := fn(ctx, tx); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// affected returns ErrNotFound for a statement that affected no row.
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

// collect calls scan for each row.
func collect(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err returns its error
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Ready reads the latest revision.
func (d *DB) Ready(ctx context.Context) error {
	return d.query(ctx, func(ctx context.Context, q querier) error {
		var n int64
		return q.QueryRowContext(ctx, `SELECT n FROM revision`).Scan(&n)
	})
}

// Close closes the database.
func (d *DB) Close() error { return d.engine.close() }

// Exclusive runs do while holding the lock of this name, over all callers and processes. On
// SQLite the context of do ends after almost two minutes, before the lease expires.
func (d *DB) Exclusive(ctx context.Context, name string, do func(context.Context) error) error {
	unlock, err := d.mutexes.lock(ctx, name)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", name, err)
	}
	defer unlock()
	return d.engine.exclusive(ctx, d, name, do)
}

// Format writes a fixed text: fmt would print unexported fields without their masks.
func (d *DB) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "account database") }

// LogValue returns what Format writes.
func (d *DB) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(d)) }

// clock returns the current time as the database stores it.
func (d *DB) clock() time.Time { return d.Now().UTC().Truncate(time.Microsecond) }

// micros returns t as a column holds it, in microseconds; 0 for the zero time.
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

// canonical returns id in lower case, or ErrNotFound if it is not a valid UUID.
func canonical(id string) (string, error) {
	if id = strings.ToLower(id); !accounts.IsUUID(id) {
		return "", accounts.ErrNotFound
	}
	return id, nil
}

// isText reports whether PostgreSQL accepts these texts. SQLite gets no others either.
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
		return invalid("a text contains NUL or is not UTF-8")
	}
	return nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
