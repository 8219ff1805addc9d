package database

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"portolan/accounts"
)

// accountRow is an account with its sealed credentials.
type accountRow struct {
	accounts.Account
	inherited string            // all overrides of its environment
	sealed    map[string]string // by field, the grant's tokens included
}

// selectAccounts returns the accounts that satisfy a condition on a (integrated_account),
// oldest first. It is one statement, so the result is consistent.
func selectAccounts(ctx context.Context, q querier, condition string, args ...any) ([]*accountRow, error) {
	var out []*accountRow
	err := collect(ctx, q, func(rows *sql.Rows) error {
		var s accountRow
		var overrides string
		var createdAt, updatedAt int64
		var field, sealed sql.NullString
		var grantExpiresAt, setAt sql.NullInt64
		if err := rows.Scan(&s.ID, &s.Environment, &s.EnvironmentID, &s.Integration, &s.Label, &s.TenantID, &s.Status, &s.LastError, &overrides,
			&s.Version, &createdAt, &updatedAt, &grantExpiresAt, &s.inherited, &field, &sealed, &setAt); err != nil {
			return err
		}
		if len(out) == 0 || out[len(out)-1].ID != s.ID || out[len(out)-1].Environment != s.Environment {
			var err error
			if s.Overrides, err = parseOverrides(overrides); err != nil {
				return err
			}
			s.CreatedAt, s.UpdatedAt = fromMicros(createdAt), fromMicros(updatedAt)
			if grantExpiresAt.Valid {
				s.Grant = &accounts.Grant{Expiry: fromMicros(grantExpiresAt.Int64)}
			}
			s.sealed = map[string]string{}
			out = append(out, &s)
		}
		if last := out[len(out)-1]; field.Valid {
			last.sealed[field.String] = sealed.String
			if !strings.HasPrefix(field.String, grantFields) {
				last.Fields = append(last.Fields, accounts.Field{Name: field.String, SetAt: fromMicros(setAt.Int64)})
			}
		}
		return nil
	}, `SELECT a.id, a.environment, e.id, a.integration, a.label, a.tenant_id, a.status, a.last_error, a.overrides,
			a.version, a.created_at, a.updated_at, a.grant_expires_at, e.overrides, c.field, c.sealed, c.set_at
		FROM integrated_account a
		JOIN environment e ON e.name = a.environment
		LEFT JOIN credential c ON c.account_id = a.id AND c.environment = a.environment
		WHERE `+condition+` ORDER BY a.created_at, a.id, a.environment`, args...)
	for _, s := range out { // not ORDER BY: the databases sort text differently
		slices.SortFunc(s.Fields, func(a, b accounts.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return out, err
}

// oneAccount returns an account by its canonical id, or ErrNotFound.
func oneAccount(ctx context.Context, q querier, environment, id string) (*accountRow, error) {
	found, err := selectAccounts(ctx, q, `a.id = $1 AND a.environment = $2`, id, environment)
	if err == nil && len(found) == 0 {
		err = accounts.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// account returns an account by its id, in any case of letters.
func (d *DB) account(ctx context.Context, environment, id string) (s *accountRow, err error) {
	if id, err = canonical(id); err != nil {
		return nil, err
	}
	if !isText(environment) {
		return nil, accounts.ErrNotFound
	}
	err = d.query(ctx, func(ctx context.Context, q querier) (err error) {
		s, err = oneAccount(ctx, q, environment, id)
		return err
	})
	return s, err
}

// Account returns the account with its credentials unsealed.
func (d *DB) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	s, err := d.account(ctx, environment, id)
	if err == nil {
		err = d.unsealAccount(s)
	}
	if err != nil {
		return accounts.Account{}, err
	}
	return s.Account, nil
}

// info returns the account as AccountInfo does.
func (d *DB) info(s *accountRow) accounts.Account {
	a := s.Account
	a.Context = accounts.Context{}
	for _, f := range s.Fields {
		text, err := d.unseal(s.ID, f.Name, s.sealed[f.Name])
		if err == nil {
			a.Context[f.Name], err = decodeValue(text)
		}
		if err != nil {
			a.Context = nil
			break
		}
	}
	return a
}

// AccountInfo returns the account; its Grant holds the expiry only.
func (d *DB) AccountInfo(ctx context.Context, environment, id string) (accounts.Account, error) {
	s, err := d.account(ctx, environment, id)
	if err != nil {
		return accounts.Account{}, err
	}
	return d.info(s), nil
}

// Accounts lists accounts as AccountInfo returns them.
func (d *DB) Accounts(ctx context.Context, environment string, q accounts.AccountQuery) (accounts.Page[accounts.Account], error) {
	none := accounts.Page[accounts.Account]{}
	if !isText(environment, q.Integration, q.TenantID, string(q.Status)) {
		return none, nil
	}
	var w where
	w.and("environment = ?", environment)
	for _, filter := range [...]struct{ column, value string }{
		{"integration", q.Integration}, {"tenant_id", q.TenantID}, {"status", string(q.Status)},
	} {
		if filter.value != "" {
			w.and(filter.column+" = ?", filter.value)
		}
	}
	if err := w.after("created_at, id", q.Cursor); err != nil {
		return none, err
	}
	limit := limitOf(q.PageQuery)
	w.and("TRUE ORDER BY created_at, id LIMIT ?", limit+1)
	var found []*accountRow
	err := d.query(ctx, func(ctx context.Context, db querier) (err error) {
		found, err = selectAccounts(ctx, db, `(a.id, a.environment) IN (SELECT id, environment FROM integrated_account WHERE `+w.text.String()+`)`, w.args...)
		return err
	})
	if err != nil {
		return none, err
	}
	items := make([]accounts.Account, len(found))
	for i, s := range found {
		items[i] = d.info(s)
	}
	return pageOf(items, limit, func(a accounts.Account) string { return cursorOf(a.CreatedAt, a.ID) }), nil
}

// CreateAccount returns the account as AccountInfo does.
func (d *DB) CreateAccount(ctx context.Context, by accounts.Actor, n accounts.NewAccount) (made accounts.Account, err error) {
	a := n.Account
	if a.ID == "" {
		a.ID = accounts.NewID()
	}
	if a.ID, err = canonical(a.ID); err != nil {
		return made, invalid("the account's id is not a valid UUID")
	}
	if err := storable(a.Environment, a.Integration, a.Label, a.TenantID); err != nil {
		return made, err
	}
	overrides, err := overridesJSON(a.Overrides)
	if err != nil {
		return made, err
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		if n.Link != "" {
			if err := c.useLink(ctx, n.Link, a.Environment, a.Integration, ""); err != nil {
				return err
			}
		}
		if _, err := c.ExecContext(ctx, `INSERT INTO integrated_account
			(id, environment, integration, label, tenant_id, status, last_error, overrides, version, created_at, updated_at)
			VALUES ($1, $2, $3, $4, $5, $6, '', $7, 1, $8, $8)`,
			a.ID, a.Environment, a.Integration, a.Label, a.TenantID, accounts.StatusActive, overrides, micros(c.at)); err != nil {
			return err
		}
		if err := d.putContext(ctx, c, a, a.Context); err != nil {
			return err
		}
		if a.Grant != nil {
			if err := d.putGrant(ctx, c, a, *a.Grant); err != nil {
				return err
			}
		}
		made, err = d.accountChanged(ctx, c, "integrated-account.create", a, nil)
		return err
	})
	return made, err
}

// accountChanged records the change of account a since before and returns the new state.
func (d *DB) accountChanged(ctx context.Context, c *change, action string, a accounts.Account, before *accountRow) (accounts.Account, error) {
	after, err := oneAccount(ctx, c, a.Environment, a.ID)
	if err != nil {
		return accounts.Account{}, err
	}
	c.note(accounts.ChangeAccount, a.ID)
	was := accounts.PublicJSON(nil)
	if before != nil {
		was = accounts.PublicJSON(before)
	}
	return d.info(after), c.audit(ctx, a.Environment, action, a.ID, was, accounts.PublicJSON(after))
}

// accountForUpdate returns an account, or ErrConflict if version is neither 0 nor its own.
func (c *change) accountForUpdate(ctx context.Context, environment, id string, version int64) (*accountRow, error) {
	s, err := oneAccount(ctx, c, environment, id)
	if err == nil && version != 0 && version != s.Version {
		err = accounts.ErrConflict
	}
	return s, err
}

// UpdateAccount returns the account as AccountInfo does.
func (d *DB) UpdateAccount(ctx context.Context, by accounts.Actor, environment, id string, ch accounts.AccountChange) (made accounts.Account, err error) {
	if id, err = canonical(id); err != nil {
		return made, err
	}
	if !isText(environment) {
		return made, accounts.ErrNotFound
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		before, err := c.accountForUpdate(ctx, environment, id, ch.Version)
		if err != nil {
			return err
		}
		if ch.Link != "" {
			if err := c.useLink(ctx, ch.Link, environment, before.Integration, id); err != nil {
				return err
			}
		}
		a := before.Account
		if err := apply(&a, ch); err != nil {
			return err
		}
		overrides, err := overridesJSON(a.Overrides)
		if err != nil {
			return err
		}
		if _, err := c.ExecContext(ctx, `UPDATE integrated_account
			SET label = $2, tenant_id = $3, status = $4, last_error = $5, overrides = $6, version = version + 1, updated_at = $7 WHERE id = $1 AND environment = $8`,
			id, a.Label, a.TenantID, a.Status, a.LastError, overrides, micros(c.at), environment); err != nil {
			return err
		}
		if err := d.putContext(ctx, c, a, ch.Context); err != nil {
			return err
		}
		if ch.Grant != nil {
			if err := d.putGrant(ctx, c, a, *ch.Grant); err != nil {
				return err
			}
		}
		made, err = d.accountChanged(ctx, c, "integrated-account.update", a, before)
		return err
	})
	return made, err
}

// apply applies ch to a, except for Context and Grant.
func apply(a *accounts.Account, ch accounts.AccountChange) error {
	if ch.Label != nil {
		a.Label = *ch.Label
	}
	if ch.TenantID != nil {
		a.TenantID = *ch.TenantID
	}
	if ch.Overrides != nil {
		a.Overrides = *ch.Overrides
	}
	if ch.Status != nil {
		switch a.Status = *ch.Status; a.Status {
		case accounts.StatusActive:
			a.LastError = ""
		case accounts.StatusNeedsReauth, accounts.StatusDisabled:
		default:
			return invalid("the status is not active, needs_reauth or disabled")
		}
	}
	return storable(a.Label, a.TenantID)
}

// DeleteAccount deletes the account with its credentials, tokens and links.
func (d *DB) DeleteAccount(ctx context.Context, by accounts.Actor, environment, id string, version int64) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	if !isText(environment) {
		return accounts.ErrNotFound
	}
	return d.change(ctx, by, func(ctx context.Context, c *change) error {
		before, err := c.accountForUpdate(ctx, environment, id, version)
		if err != nil {
			return err
		}
		if err := collect(ctx, c, func(rows *sql.Rows) error {
			var token string
			if err := rows.Scan(&token); err != nil {
				return err
			}
			c.note(accounts.ChangeToken, token)
			return nil
		}, `SELECT id FROM api_token WHERE account_id = $1 AND environment = $2`, id, environment); err != nil {
			return err
		}
		if err := affected(c.ExecContext(ctx, `DELETE FROM integrated_account WHERE id = $1 AND environment = $2`, id, environment)); err != nil {
			return err
		}
		c.note(accounts.ChangeAccount, id)
		return c.audit(ctx, environment, "integrated-account.delete", id, accounts.PublicJSON(before), accounts.PublicJSON(nil))
	})
}
