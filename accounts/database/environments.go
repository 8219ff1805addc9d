package database

import (
	"context"
	"database/sql"
	"regexp"

	"portolan/accounts"
)

const environmentColumns = `id, name, label, overrides, version, created_at, updated_at`

func scanEnvironment(row interface{ Scan(...any) error }) (accounts.Environment, error) {
	var e accounts.Environment
	var overrides string
	var createdAt, updatedAt int64
	err := row.Scan(&e.ID, &e.Name, &e.Label, &overrides, &e.Version, &createdAt, &updatedAt)
	if err != nil {
		return accounts.Environment{}, err
	}
	e.CreatedAt, e.UpdatedAt = fromMicros(createdAt), fromMicros(updatedAt)
	e.Overrides, err = parseOverrides(overrides)
	return e, err
}

func oneEnvironment(ctx context.Context, q querier, name string) (accounts.Environment, error) {
	return scanEnvironment(q.QueryRowContext(ctx, `SELECT `+environmentColumns+` FROM environment WHERE name = $1`, name))
}

// Environments lists the environments, oldest first.
func (d *DB) Environments(ctx context.Context, p accounts.PageQuery) (accounts.Page[accounts.Environment], error) {
	none := accounts.Page[accounts.Environment]{}
	var w where
	w.and("TRUE")
	if err := w.after("created_at, name", p.Cursor); err != nil {
		return none, err
	}
	limit := limitOf(p)
	w.and("TRUE ORDER BY created_at, name LIMIT ?", limit+1)
	var items []accounts.Environment
	err := d.query(ctx, func(ctx context.Context, q querier) error {
		items = nil
		return collect(ctx, q, func(rows *sql.Rows) error {
			e, err := scanEnvironment(rows)
			items = append(items, e)
			return err
		}, `SELECT `+environmentColumns+` FROM environment WHERE `+w.text.String(), w.args...)
	})
	if err != nil {
		return none, err
	}
	return pageOf(items, limit, func(e accounts.Environment) string { return cursorOf(e.CreatedAt, e.Name) }), nil
}

// Environment returns an environment by its name.
func (d *DB) Environment(ctx context.Context, name string) (e accounts.Environment, err error) {
	if !isText(name) {
		return e, accounts.ErrNotFound
	}
	err = d.query(ctx, func(ctx context.Context, q querier) (err error) {
		e, err = oneEnvironment(ctx, q, name)
		return err
	})
	return e, err
}

var environmentName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// CreateEnvironment creates an environment from e's name, label and overrides.
func (d *DB) CreateEnvironment(ctx context.Context, by accounts.Actor, e accounts.Environment) (made accounts.Environment, err error) {
	if !environmentName.MatchString(e.Name) {
		return made, invalid("the environment's name does not consist of 1 to 64 of a-z, 0-9 and -")
	}
	if err := storable(e.Label); err != nil {
		return made, err
	}
	overrides, err := overridesJSON(e.Overrides)
	if err != nil {
		return made, err
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		if _, err := c.ExecContext(ctx, `INSERT INTO environment (`+environmentColumns+`) VALUES ($1, $2, $3, $4, 1, $5, $5)`,
			accounts.NewID(), e.Name, e.Label, overrides, micros(c.at)); err != nil {
			return err
		}
		made, err = c.environmentChanged(ctx, "environment.create", e.Name, nil)
		return err
	})
	return made, err
}

func (c *change) environmentChanged(ctx context.Context, action, name string, before *accounts.Environment) (accounts.Environment, error) {
	after, err := oneEnvironment(ctx, c, name)
	if err != nil {
		return after, err
	}
	was := accounts.PublicJSON(nil)
	if before != nil {
		was = accounts.PublicJSON(before)
	}
	c.note(accounts.ChangeEnvironment, name)
	return after, c.audit(ctx, name, action, name, was, accounts.PublicJSON(after))
}

func (c *change) environmentForUpdate(ctx context.Context, name string, version int64) (accounts.Environment, error) {
	e, err := oneEnvironment(ctx, c, name)
	if err == nil && version != 0 && version != e.Version {
		err = accounts.ErrConflict
	}
	return e, err
}

// UpdateEnvironment applies ch.
func (d *DB) UpdateEnvironment(ctx context.Context, by accounts.Actor, name string, ch accounts.EnvironmentChange) (made accounts.Environment, err error) {
	if !isText(name) {
		return made, accounts.ErrNotFound
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		before, err := c.environmentForUpdate(ctx, name, ch.Version)
		if err != nil {
			return err
		}
		e := before
		if ch.Label != nil {
			e.Label = *ch.Label
		}
		if ch.Overrides != nil {
			e.Overrides = *ch.Overrides
		}
		if err := storable(e.Label); err != nil {
			return err
		}
		overrides, err := overridesJSON(e.Overrides)
		if err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, `UPDATE environment SET label = $2, overrides = $3, version = version + 1, updated_at = $4 WHERE name = $1`,
			name, e.Label, overrides, micros(c.at)); err != nil {
			return err
		}
		made, err = c.environmentChanged(ctx, "environment.update", name, &before)
		return err
	})
	return made, err
}

// DeleteEnvironment deletes the environment with its expired tokens and its links.
func (d *DB) DeleteEnvironment(ctx context.Context, by accounts.Actor, name string, version int64) error {
	if !isText(name) {
		return accounts.ErrNotFound
	}
	return d.change(ctx, by, func(ctx context.Context, c *change) error {
		before, err := c.environmentForUpdate(ctx, name, version)
		if err != nil {
			return err
		}
		if name == accounts.DefaultEnvironment {
			return accounts.ErrConflict
		}
		if _, err := c.ExecContext(ctx, `DELETE FROM api_token WHERE environment = $1 AND expires_at > 0 AND expires_at <= $2`, name, micros(c.at)); err != nil {
			return err
		}
		var used bool
		if err := c.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM integrated_account WHERE environment = $1)
			OR EXISTS (SELECT 1 FROM api_token WHERE environment = $1)`, name).Scan(&used); err != nil {
			return err
		}
		if used {
			return accounts.ErrConflict
		}
		c.note(accounts.ChangeEnvironment, name)
		if err := c.audit(ctx, name, "environment.delete", name, accounts.PublicJSON(before), accounts.PublicJSON(nil)); err != nil {
			return err
		}
		return affected(c.ExecContext(ctx, `DELETE FROM environment WHERE name = $1`, name))
	})
}
