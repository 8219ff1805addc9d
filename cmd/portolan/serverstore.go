package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"portolan/accounts"
	"portolan/accounts/database"
)

// serverStore is the database of a server and what reads it. All are nil if there is none.
type serverStore struct {
	db    *database.DB
	admin accounts.Store // db; if it is temporary, with the demo accounts
	cache *accounts.Cache
	close func()
}

// databaseKeys returns the master keys of the configured database; nil if there is none.
func (c *serveCommand) databaseKeys(p *process) (*accounts.Keyring, error) {
	if !c.configured() && (c.Sandbox || c.Accounts != "") {
		return nil, nil
	}
	keys, err := c.keyring(p)
	if c.Sandbox && errors.Is(err, errNoKey) {
		err = usagef("%w (--sandbox needs one too: a persistent database cannot be read later with a temporary key)", err)
	}
	return keys, err
}

// openStore opens the database that keys are for. Without keys, --accounts uses no database, and
// --sandbox a temporary one.
func (c *serveCommand) openStore(ctx context.Context, p *process, keys *accounts.Keyring, demo []accounts.Account, log *slog.Logger) (*serverStore, error) {
	var db *database.DB
	var err error
	remove := func() {}
	switch {
	case keys != nil:
		db, err = c.open(ctx, p, keys, log)
	case c.Accounts == "":
		db, remove, err = openTemporary(ctx, p, log)
	default:
		return &serverStore{close: remove}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &serverStore{db: db, admin: db}
	if !c.persistent() {
		environment, err := db.Environment(ctx, accounts.DefaultEnvironment)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		s.admin = newDemoStore(db, demo, environment.ID, p.now())
	}
	s.cache = accounts.NewCache(s.admin, p.now, log)
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // calls in flight use the cache after the end of ctx
	done := make(chan struct{})
	go func() { defer close(done); s.cache.Run(running) }()
	s.close = func() {
		stop()
		<-done // the times of last use are saved
		_ = db.Close()
		remove()
	}
	return s, nil
}

// openTemporary opens a database whose key exists in this process only. remove deletes its files.
func openTemporary(ctx context.Context, p *process, log *slog.Logger) (db *database.DB, remove func(), err error) {
	key, err := accounts.NewKey("sandbox")
	if err != nil {
		return nil, nil, err
	}
	keys, err := accounts.ParseKeyring(key)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "portolan-sandbox-")
	if err != nil {
		return nil, nil, fmt.Errorf("directory of the sandbox database: %w", err)
	}
	remove = func() { _ = os.RemoveAll(dir) } // remaining files are encrypted with a lost key
	db, err = database.OpenSQLite(ctx, filepath.Join(dir, databaseFile), database.Options{Keys: keys, Now: p.now, Log: log})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return db, remove, nil
}
