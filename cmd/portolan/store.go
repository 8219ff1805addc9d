package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"portolan/accounts"
	"portolan/accounts/database"
)

const (
	defaultData   = "portolan-data"
	databaseFile  = "portolan.db"
	maxKeysFile   = 1 << 20
	databaseRetry = 250 * time.Millisecond
)

// storeFlags select the database and the keys of its secrets.
type storeFlags struct {
	Data           string        `placeholder:"DIR" help:"Directory of the SQLite database, created if it does not exist; portolan-data by default."`
	DatabaseURL    string        `placeholder:"URL" help:"PostgreSQL database (postgres://...) instead of --data. Use PORTOLAN_DATABASE_URL to keep its password out of the process list."`
	DatabaseWait   time.Duration `default:"10s" help:"How long to wait for PostgreSQL to start."`
	MasterKeysFile string        `placeholder:"FILE" help:"File of the master keys, newest first, as printed by portolan keys new; PORTOLAN_MASTER_KEYS by default."`
}

var errNoKey = errors.New("no master key is configured")

// configured reports whether a database is selected.
func (f storeFlags) configured() bool { return f.Data != "" || f.DatabaseURL != "" }

// open opens the database, and creates or migrates it if needed.
func (f storeFlags) open(ctx context.Context, p *process, keys *accounts.Keyring, log *slog.Logger) (*database.DB, error) {
	options := database.Options{Keys: keys, Now: p.now, Log: log}
	if f.DatabaseURL != "" {
		return f.openPostgres(ctx, options, p.now().Add(f.DatabaseWait))
	}
	if err := os.MkdirAll(f.directory(), 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	return database.OpenSQLite(ctx, filepath.Join(f.directory(), databaseFile), options)
}

// directory is the directory of the SQLite database.
func (f storeFlags) directory() string { return cmp.Or(f.Data, defaultData) }

// openPostgres opens a database. It waits until the given time if the server is still starting.
func (f storeFlags) openPostgres(ctx context.Context, options database.Options, until time.Time) (*database.DB, error) {
	for first := true; ; first = false {
		db, err := database.OpenPostgres(ctx, f.DatabaseURL, options)
		if !errors.Is(err, accounts.ErrUnavailable) || !options.Now().Before(until) {
			return db, err
		}
		if first {
			options.Log.WarnContext(ctx, "waiting for the database", slog.String("reason", err.Error()))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("stopped while waiting for the database: %w", err)
		case <-time.After(databaseRetry):
		}
	}
}

// keyring reads the master keys of the database. Its errors show no key.
func (f storeFlags) keyring(p *process) (*accounts.Keyring, error) {
	if f.Data != "" && f.DatabaseURL != "" {
		return nil, usagef("--data and --database-url (or PORTOLAN_DATA and PORTOLAN_DATABASE_URL) exclude each other")
	}
	text, _ := p.lookup(masterKeysVariable)
	variable, from := strings.TrimSpace(text) != "", masterKeysVariable
	switch {
	case variable && f.MasterKeysFile != "":
		return nil, usagef("--master-keys-file and %s exclude each other", masterKeysVariable)
	case f.MasterKeysFile != "":
		var err error
		if text, err = readKeysFile(f.MasterKeysFile); err != nil {
			return nil, usagef("--master-keys-file: %w", err)
		}
		from = f.MasterKeysFile
	case !variable:
		return nil, usagef("%w, and the database needs one to encrypt secrets: create it with `portolan keys new` "+
			"and set it in %s or in the file of --master-keys-file", errNoKey, masterKeysVariable)
	}
	keys, err := accounts.ParseKeyring(text)
	if err != nil {
		return nil, usagef("%s: %w", from, err)
	}
	return keys, nil
}

// readKeysFile reads a file of keys, and refuses one that other users can read.
func readKeysFile(name string) (string, error) {
	file, err := os.Open(name) //nolint:gosec // G304: the caller names the file
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by other users (mode %04o): chmod 600 %s", name, mode, name)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeysFile))
	if err != nil {
		return "", err
	}
	return string(text), nil
}
