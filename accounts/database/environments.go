package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"

	"portolan/accounts"
)

const environmentColumns = `id, name, display_name, label, logo, allowed_origins, overrides, version, created_at, updated_at`

func scanEnvironment(row interface{ Scan(...any) error }) (accounts.Environment, error) {
	var e accounts.Environment
	var origins, overrides string
	var createdAt, updatedAt int64
	err := row.Scan(&e.ID, &e.Name, &e.DisplayName, &e.Label, &e.Logo, &origins, &overrides, &e.Version, &createdAt, &updatedAt)
	if err != nil {
		return accounts.Environment{}, err
	}
	e.CreatedAt, e.UpdatedAt = fromMicros(createdAt), fromMicros(updatedAt)
	if json.Unmarshal([]byte(origins), &e.AllowedOrigins) != nil {
		return e, fmt.Errorf("allowed origins: %w", accounts.ErrDamaged)
	}
	if len(e.AllowedOrigins) == 0 {
		e.AllowedOrigins = nil
	}
	e.Overrides, err = parseOverrides(overrides)
	return e, err
}

// originsJSON returns origins as a column holds them.
func originsJSON(origins []string) string {
	text, _ := json.Marshal(append([]string{}, origins...)) // texts can be encoded
	return string(text)
}

func oneEnvironment(ctx context.Context, q querier, name string) (accounts.Environment, error) {
	return scanEnvironment(q.QueryRowContext(ctx, `SELECT `+environmentColumns+` FROM environment WHERE name = $1 OR id = $1 ORDER BY name = $1 DESC LIMIT 1`, name))
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

// Environment returns an environment by its name or id.
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

// CreateEnvironment creates an environment.
func (d *DB) CreateEnvironment(ctx context.Context, by accounts.Actor, e accounts.Environment) (made accounts.Environment, err error) {
	if !environmentName.MatchString(e.Name) || accounts.IsUUID(e.Name) {
		return made, invalid("the environment's name does not consist of 1 to 64 of a-z, 0-9 and -, or is a UUID")
	}
	if err := storable(e.DisplayName, e.Label, e.Logo); err != nil {
		return made, err
	}
	overrides, err := overridesJSON(e.Overrides)
	if err != nil {
		return made, err
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		if _, err := c.ExecContext(ctx, `INSERT INTO environment (`+environmentColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8)`,
			accounts.NewID(), e.Name, e.DisplayName, e.Label, e.Logo, originsJSON(e.AllowedOrigins), overrides, micros(c.at)); err != nil {
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
		was = accounts.PublicJSON(withoutLogo(*before))
	}
	c.note(accounts.ChangeEnvironment, name)
	return after, c.audit(ctx, name, action, name, was, accounts.PublicJSON(withoutLogo(after)))
}

// withoutLogo returns e with the start of its logo only, for the audit.
func withoutLogo(e accounts.Environment) accounts.Environment {
	const shown = 64
	if len(e.Logo) > shown {
		e.Logo = e.Logo[:shown] + "…"
	}
	return e
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
		for _, change := range []struct{ to, from *string }{{&e.DisplayName, ch.DisplayName}, {&e.Label, ch.Label}, {&e.Logo, ch.Logo}} {
			if change.from != nil {
				*change.to = *change.from
			}
		}
		if ch.AllowedOrigins != nil {
			e.AllowedOrigins = *ch.AllowedOrigins
		}
		if ch.Overrides != nil {
			e.Overrides = *ch.Overrides
		}
		if err := storable(e.DisplayName, e.Label, e.Logo); err != nil {
			return err
		}
		overrides, err := overridesJSON(e.Overrides)
		if err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, `UPDATE environment SET display_name = $2, label = $3, logo = $4, allowed_origins = $5, overrides = $6,
			version = version + 1, updated_at = $7 WHERE name = $1`,
			name, e.DisplayName, e.Label, e.Logo, originsJSON(e.AllowedOrigins), overrides, micros(c.at)); err != nil {
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
		if err := c.audit(ctx, name, "environment.delete", name, accounts.PublicJSON(withoutLogo(before)), accounts.PublicJSON(nil)); err != nil {
			return err
		}
		return affected(c.ExecContext(ctx, `DELETE FROM environment WHERE name = $1`, name))
	})
}
