package database

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"portolan/accounts"
)

const (
	maxConnections     = 16 // unless the URL sets pool_max_conns
	maxLockConnections = 8  // additional connections that hold locks of Exclusive
)

// OpenPostgres opens the database at address, "postgres://user:password@host:port/name".
// Errors never show the password.
func OpenPostgres(ctx context.Context, address string, o Options) (*DB, error) {
	if err := checkAddress(address); err != nil {
		return nil, fmt.Errorf("account database: %w", err)
	}
	d, err := openPostgres(ctx, address, o)
	if err != nil {
		return nil, fmt.Errorf("account database: %w", err)
	}
	return d, nil
}

// checkAddress refuses an address whose password contains @, :, /, ? or # without encoding:
// errors could show a part of it as the host or the name.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	at := strings.Count(address, "@") // one of two is in the password, and so is one that is not after a user
	if err != nil || at > 1 || at == 1 && u.User == nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" ||
		strings.ContainsAny(strings.TrimPrefix(u.EscapedPath(), "/"), "/:@") {
		return errors.New("the address is not postgres://user:password@host:port/name " +
			"(percent-encode special characters of the password: %40 for @, %2F for /, %3A for :, %3F for ?, %23 for #)")
	}
	return nil
}

func openPostgres(ctx context.Context, address string, o Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.ConnectTimeout = callTimeout
	if !strings.Contains(address, "pool_max_conns") {
		config.MaxConns = maxConnections
	}
	if err := migratePostgres(ctx, config, o); err != nil {
		return nil, err
	}
	settings := config.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":  "portolan",
		"statement_timeout": strconv.FormatInt(callTimeout.Milliseconds(), 10),
		// A lost client must not keep its locks.
		"idle_in_transaction_session_timeout": strconv.FormatInt(2*callTimeout.Milliseconds(), 10),
		"tcp_keepalives_idle":                 "10",
		"tcp_keepalives_interval":             "5",
		"tcp_keepalives_count":                "3",
	} {
		if settings[name] == "" {
			settings[name] = value
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	own := config.Copy() // locks held long, by slow providers, must not use up pool
	own.MaxConns, own.MinConns, own.MinIdleConns = maxLockConnections, 0, 0
	locks, err := pgxpool.NewWithConfig(ctx, own)
	if err != nil {
		pool.Close()
		return nil, err
	}
	db := stdlib.OpenDBFromPool(pool)
	d := &DB{Options: o, write: db, read: db, engine: &postgresEngine{db, pool, locks}}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// migratePostgres migrates over a separate connection without a statement timeout. goose's
// advisory lock excludes other processes.
func migratePostgres(ctx context.Context, config *pgxpool.Config, o Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(startTimeout.Seconds())))
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.ConnConfig.Copy())
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", accounts.ErrUnavailable, err)
	}
	p, err := migrator(goose.DialectPostgres, "postgres", db, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	return migrate(ctx, p, o.Log)
}

type postgresEngine struct {
	db    *sql.DB
	pool  *pgxpool.Pool
	locks *pgxpool.Pool
}

func (e *postgresEngine) close() error {
	err := e.db.Close()
	e.pool.Close()
	e.locks.Close()
	return err
}

func (*postgresEngine) keyID() string { return `split_part(sealed, '.', 1)` }

func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func (*postgresEngine) constraintError(err error) error {
	switch sqlState(err) {
	case "23505": // unique_violation
		return accounts.ErrConflict
	case "23503": // foreign_key_violation
		return accounts.ErrNotFound
	}
	return nil
}

func (e *postgresEngine) retryable(err error) bool {
	if isDomainError(err) || errors.Is(err, sql.ErrNoRows) {
		return false
	}
	state := sqlState(err)
	if state == "40001" || state == "40P01" { // serialization_failure, deadlock_detected
		return true
	}
	// Without an answer, or if the server closes the connection, others are lost too.
	lost := state == "" || strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "08")
	if lost {
		e.pool.Reset()
		e.locks.Reset()
	}
	return lost
}

func (e *postgresEngine) exclusive(ctx context.Context, _ *DB, name string, do func(context.Context) error) error {
	key := lockKey(name)
	conn, err := e.lock(ctx, key)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	} else if err != nil {
		err = fmt.Errorf("%w: %w", accounts.ErrUnavailable, err)
	}
	if err != nil {
		return fmt.Errorf("wait for %s: %w", name, err)
	}
	defer func() { // even if ctx has ended
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		var unlocked bool
		if err := conn.QueryRow(ctx, `SELECT pg_advisory_unlock($1)`, key).Scan(&unlocked); err != nil || !unlocked {
			_ = conn.Conn().Close(ctx) // ending the session releases the lock
		}
		conn.Release()
	}()
	return do(ctx)
}

// lock waits for the lock until ctx ends. The statement timeout ends each single wait, so
// that a waiter whose client is lost does not stay.
func (e *postgresEngine) lock(ctx context.Context, key int64) (*pgxpool.Conn, error) {
	for tries := 0; ; tries++ {
		conn, err := e.locks.Acquire(ctx)
		if err != nil {
			return nil, err
		}
		if _, err = conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, key); err == nil {
			return conn, nil
		}
		_ = conn.Conn().Close(ctx) // it may hold the lock
		conn.Release()
		timedOut := sqlState(err) == "57014" // query_canceled
		if ctx.Err() != nil || !timedOut && (tries >= attempts || !e.retryable(err)) {
			return nil, err
		}
	}
}

// lockKey returns the key of a name's advisory lock.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("portolan/" + name))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // G115: any 64 bits do
}
