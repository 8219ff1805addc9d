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

// kept is the database of a server with its cache; both are nil where there is none.
type kept struct {
	db    *database.DB
	cache *accounts.Cache
	close func()
}

// keep opens the database that the flags ask for: a lasting one, none if all accounts are
// in a file, or under --sandbox one that ends with the process.
func (c *serveCommand) keep(ctx context.Context, p *process, log *slog.Logger) (*kept, error) {
	var db *database.DB
	var err error
	remove := func() {}
	switch {
	case c.given() || !c.Sandbox && c.Accounts == "":
		db, err = c.open(ctx, p, log)
		if c.Sandbox && errors.Is(err, errNoKey) {
			err = usagef("%w (under --sandbox too: what a throw-away key sealed in a lasting database, nobody could read later)", err)
		}
	case c.Accounts == "":
		db, remove, err = openThrowAway(ctx, p, log)
	default:
		return &kept{close: remove}, nil
	}
	if err != nil {
		return nil, err
	}
	k := &kept{db: db, cache: accounts.NewCache(db, p.now, log)}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // longer than ctx: calls in flight still need it
	done := make(chan struct{})
	go func() { defer close(done); k.cache.Run(running) }()
	k.close = func() {
		stop()
		<-done // last-used times are written
		_ = db.Close()
		remove()
	}
	return k, nil
}

// openThrowAway opens a database that nobody can read later; remove takes it away.
func openThrowAway(ctx context.Context, p *process, log *slog.Logger) (db *database.DB, remove func(), err error) {
	key, err := accounts.NewKey("sandbox")
	if err != nil {
		return nil, nil, err
	}
	keys, err := accounts.ParseKeyring(key)
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp("", "portolan-sandbox-")
	if err != nil {
		return nil, nil, fmt.Errorf("folder of the sandbox's database: %w", err)
	}
	remove = func() { _ = os.RemoveAll(folder) } // what is left holds nothing that can be read
	db, err = database.OpenSQLite(ctx, filepath.Join(folder, databaseFile), database.Options{Keys: keys, Now: p.now, Log: log})
	if err != nil {
		remove()
		return nil, nil, err
	}
	return db, remove, nil
}
