package database

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"

	"portolan/accounts"
)

//go:embed migrations
var migrations embed.FS

// migrator returns a provider of the migrations of one dialect.
func migrator(dialect goose.Dialect, folder string, db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations/"+folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, db, files, append(options, goose.WithDisableGlobalRegistry(true))...)
}

// migrate applies the missing migrations. A newer database is an error.
func migrate(ctx context.Context, p *goose.Provider, log *slog.Logger) error {
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	switch {
	case current > target:
		return fmt.Errorf("its version is %d, this program supports versions up to %d: a newer program has migrated it", current, target)
	case current == target:
		return nil
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range done {
		log.InfoContext(ctx, "migrated the account database", slog.Int64("version", m.Source.Version))
	}
	return nil
}

// addDefaultEnvironment creates the default environment if it does not exist.
func (d *DB) addDefaultEnvironment(ctx context.Context) error {
	return d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO environment (id, name, label, version, created_at, updated_at) VALUES ($1, 'default', '', 1, $2, $2)
			ON CONFLICT (name) DO NOTHING`, accounts.NewID(), micros(d.clock()))
		return err
	})
}

// start prepares d, whose database is migrated.
func (d *DB) start(ctx context.Context) error {
	if err := d.addDefaultEnvironment(ctx); err != nil {
		return err
	}
	return d.checkKeys(ctx)
}
