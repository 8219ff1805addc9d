package main

import (
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

// storeFlags say where accounts and tokens are kept, and what opens their secrets.
type storeFlags struct {
	Data           string        `placeholder:"DIR" help:"Folder of the database portolan.db, made where it is missing; portolan-data by default."`
	DatabaseURL    string        `placeholder:"URL" help:"PostgreSQL (postgres://...) in place of --data. PORTOLAN_DATABASE_URL keeps its password out of the process list."`
	DatabaseWait   time.Duration `default:"10s" help:"How long to wait for a PostgreSQL that is not up yet."`
	MasterKeysFile string        `placeholder:"FILE" help:"Keys that seal the secrets, newest first, as portolan keys new prints them; else PORTOLAN_MASTER_KEYS."`
}

var errNoKey = errors.New("no master key is given")

// given says that a database was asked for.
func (f storeFlags) given() bool { return f.Data != "" || f.DatabaseURL != "" }

// open opens the database, which is made and brought up to date where that is needed.
func (f storeFlags) open(ctx context.Context, p *process, log *slog.Logger) (*database.DB, error) {
	if f.Data != "" && f.DatabaseURL != "" {
		return nil, usagef("--data and --database-url are two places (or PORTOLAN_DATA and PORTOLAN_DATABASE_URL); give one")
	}
	keys, err := f.keyring(p)
	if err != nil {
		return nil, err
	}
	options := database.Options{Keys: keys, Now: p.now, Log: log}
	if f.DatabaseURL != "" {
		return f.openPostgres(ctx, options, p.now().Add(f.DatabaseWait))
	}
	folder := f.Data
	if folder == "" {
		folder = defaultData
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return database.OpenSQLite(ctx, filepath.Join(folder, databaseFile), options)
}

// openPostgres waits for a database server that starts at the same time as this process.
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

// keyring reads the master keys. Its errors show none.
func (f storeFlags) keyring(p *process) (*accounts.Keyring, error) {
	text, _ := p.lookup(masterKeysVariable)
	variable, from := strings.TrimSpace(text) != "", masterKeysVariable
	switch {
	case variable && f.MasterKeysFile != "":
		return nil, usagef("master keys are given twice, by --master-keys-file and in %s; give them once", masterKeysVariable)
	case f.MasterKeysFile != "":
		var err error
		if text, err = readKeysFile(f.MasterKeysFile); err != nil {
			return nil, usagef("--master-keys-file: %w", err)
		}
		from = f.MasterKeysFile
	case !variable:
		return nil, usagef("%w, and a database needs one to seal its secrets: `portolan keys new` makes one; "+
			"give it in %s or by --master-keys-file FILE", errNoKey, masterKeysVariable)
	}
	keys, err := accounts.ParseKeyring(text)
	if err != nil {
		return nil, usagef("%s: %w", from, err)
	}
	return keys, nil
}

// readKeysFile refuses a file that others may read.
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
		return "", fmt.Errorf("%s can be read by others (mode %04o): chmod 600 %s", name, mode, name)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeysFile))
	if err != nil {
		return "", err
	}
	return string(text), nil
}
