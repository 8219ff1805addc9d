package database

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"portolan/accounts"
)

const tokenColumns = `id, environment, account_id, name, role, prefix, hash, expires_at, last_used_at, created_at`

// tokenResult is what scanToken reads.
const tokenResult = tokenColumns + `, (SELECT e.id FROM environment e WHERE e.name = api_token.environment) AS environment_id`

// scanToken reads tokenResult. It reads an unknown role as RoleCall.
func scanToken(row interface{ Scan(...any) error }) (accounts.StoredToken, error) {
	var t accounts.StoredToken
	var account sql.NullString
	var hash []byte
	var expiresAt, lastUsedAt, createdAt int64
	err := row.Scan(&t.ID, &t.Environment, &account, &t.Name, &t.Role, &t.Prefix, &hash, &expiresAt, &lastUsedAt, &createdAt, &t.EnvironmentID)
	if t.Role != accounts.RoleAdmin {
		t.Role = accounts.RoleCall
	}
	t.AccountID = account.String
	copy(t.Hash[:], hash)
	t.ExpiresAt, t.LastUsedAt, t.CreatedAt = fromMicros(expiresAt), fromMicros(lastUsedAt), fromMicros(createdAt)
	return t, err
}

// Authenticate returns the Token with this secret, or ErrUnauthorized. It does the same
// work for every token: one lookup by hash and one comparison.
func (d *DB) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	hash := accounts.HashToken(token)
	var t accounts.StoredToken
	err := d.query(ctx, func(ctx context.Context, q querier) (err error) {
		t, err = scanToken(q.QueryRowContext(ctx, `SELECT `+tokenResult+` FROM api_token WHERE hash = $1`, hash[:]))
		if errors.Is(err, sql.ErrNoRows) {
			t, err = accounts.StoredToken{}, nil
		}
		return err
	})
	if err != nil {
		return accounts.Token{}, err
	}
	same := subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1
	alive := t.ExpiresAt.IsZero() || d.clock().Before(t.ExpiresAt)
	if !same || !alive || token == "" {
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return t.Token, nil
}

// Tokens lists the tokens that have not expired, oldest first.
func (d *DB) Tokens(ctx context.Context, environment string, p accounts.PageQuery) (accounts.Page[accounts.Token], error) {
	none := accounts.Page[accounts.Token]{}
	if !isText(environment) {
		return none, nil
	}
	var w where
	w.and("environment = ?", environment)
	w.and("(expires_at = 0 OR expires_at > ?)", micros(d.clock()))
	if err := w.after("created_at, id", p.Cursor); err != nil {
		return none, err
	}
	limit := limitOf(p)
	w.and("TRUE ORDER BY created_at, id LIMIT ?", limit+1)
	var items []accounts.Token
	err := d.query(ctx, func(ctx context.Context, q querier) error {
		items = nil
		return collect(ctx, q, func(rows *sql.Rows) error {
			t, err := scanToken(rows)
			items = append(items, t.Token)
			return err
		}, `SELECT `+tokenResult+` FROM api_token WHERE `+w.text.String(), w.args...)
	})
	if err != nil {
		return none, err
	}
	return pageOf(items, limit, func(t accounts.Token) string { return cursorOf(t.CreatedAt, t.ID) }), nil
}

// Token returns a token, even if it expired recently.
func (d *DB) Token(ctx context.Context, environment, id string) (accounts.Token, error) {
	id, err := canonical(id)
	if err != nil {
		return accounts.Token{}, err
	}
	if !isText(environment) {
		return accounts.Token{}, accounts.ErrNotFound
	}
	var t accounts.StoredToken
	err = d.query(ctx, func(ctx context.Context, q querier) (err error) {
		t, err = scanToken(q.QueryRowContext(ctx, `SELECT `+tokenResult+` FROM api_token WHERE id = $1 AND environment = $2`, id, environment))
		return err
	})
	if err != nil {
		return accounts.Token{}, err
	}
	return t.Token, nil
}

// expiredRetention is how long an expired token can be read.
const expiredRetention = 24 * time.Hour

// CreateToken stores a token, with a new id if t has none. It also deletes some tokens that
// expired long ago.
func (d *DB) CreateToken(ctx context.Context, by accounts.Actor, t accounts.StoredToken) (accounts.Token, error) {
	made, err := d.newToken(t)
	if err != nil {
		return accounts.Token{}, err
	}
	err = d.change(ctx, by, func(ctx context.Context, c *change) error {
		if _, err := c.ExecContext(ctx, `DELETE FROM api_token WHERE id IN
			(SELECT id FROM api_token WHERE expires_at > 0 AND expires_at < $1 LIMIT 100)`, micros(c.at.Add(-expiredRetention))); err != nil {
			return err
		}
		made.CreatedAt = c.at
		if _, err := c.ExecContext(ctx, `INSERT INTO api_token (`+tokenColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)`,
			made.ID, made.Environment, orNull(made.AccountID), made.Name, made.Role, made.Prefix, t.Hash[:], micros(made.ExpiresAt), micros(c.at)); err != nil {
			return err
		}
		if err := c.QueryRowContext(ctx, `SELECT id FROM environment WHERE name = $1`, made.Environment).Scan(&made.EnvironmentID); err != nil {
			return err
		}
		action := "api-token.create"
		if made.AccountID != "" {
			action = "integrated-account-token.create"
		}
		c.note(accounts.ChangeToken, made.ID)
		return c.audit(ctx, made.Environment, action, made.ID, accounts.PublicJSON(nil), accounts.PublicJSON(made))
	})
	if err != nil {
		return accounts.Token{}, err
	}
	return made, nil
}

// newToken returns t as it will be stored.
func (d *DB) newToken(t accounts.StoredToken) (accounts.Token, error) {
	made := t.Token
	var err error
	if made.ID == "" {
		made.ID = accounts.NewID()
	}
	if made.ID, err = canonical(made.ID); err != nil {
		return made, invalid("the token's id is not a valid UUID")
	}
	if made.AccountID != "" {
		if made.AccountID, err = canonical(made.AccountID); err != nil {
			return made, err
		}
	}
	switch {
	case made.Role == "":
		made.Role = accounts.RoleCall
	case made.Role != accounts.RoleCall && made.Role != accounts.RoleAdmin:
		return made, invalid("the role is not call or admin")
	case made.Role == accounts.RoleAdmin && made.AccountID != "":
		return made, invalid("a token of one account cannot have the role admin")
	}
	made.LastUsedAt, made.ExpiresAt = time.Time{}, fromMicros(micros(made.ExpiresAt))
	return made, storable(made.Environment, made.Name, made.Prefix)
}

// RevokeToken deletes a token.
func (d *DB) RevokeToken(ctx context.Context, by accounts.Actor, environment, id string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	if !isText(environment) {
		return accounts.ErrNotFound
	}
	return d.change(ctx, by, func(ctx context.Context, c *change) error {
		t, err := scanToken(c.QueryRowContext(ctx, `DELETE FROM api_token WHERE id = $1 AND environment = $2 RETURNING `+tokenResult, id, environment))
		if err != nil {
			return err
		}
		c.note(accounts.ChangeToken, id)
		return c.audit(ctx, environment, "api-token.revoke", id, accounts.PublicJSON(t), accounts.PublicJSON(nil))
	})
}

// TouchTokens stores times of last use, never an earlier one. It ignores unknown ids.
func (d *DB) TouchTokens(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	return d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(used)) { // one order for all processes: no deadlock
			if !isText(id) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE api_token SET last_used_at = $1 WHERE id = $2 AND last_used_at < $1`, micros(used[id]), id); err != nil {
				return err
			}
		}
		return nil
	})
}
