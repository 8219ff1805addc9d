package database

import (
	"context"

	"portolan/accounts"
)

// The fields under which a grant's tokens are sealed. No credential's name has this prefix.
const (
	grantFields       = "oauth2/"
	accessTokenField  = grantFields + "access_token"
	refreshTokenField = grantFields + "refresh_token"
)

// putGrant replaces a's grant.
func (d *DB) putGrant(ctx context.Context, c *change, a accounts.Account, g accounts.Grant) error {
	if err := d.putSealed(ctx, c, a, accessTokenField, []byte(g.AccessToken.Reveal())); err != nil {
		return err
	}
	if err := d.putSealed(ctx, c, a, refreshTokenField, []byte(g.RefreshToken.Reveal())); err != nil {
		return err
	}
	return affected(c.ExecContext(ctx, `UPDATE integrated_account SET grant_expires_at = $3 WHERE id = $1 AND environment = $2`, a.ID, a.Environment, micros(g.Expiry)))
}

// SetGrant replaces the grant and makes the account active, unless it is disabled.
func (d *DB) SetGrant(ctx context.Context, environment, id string, g accounts.Grant) error {
	id, err := canonical(id)
	if err == nil {
		err = storable(environment)
	}
	if err != nil {
		return err
	}
	return d.change(ctx, accounts.Actor{}, func(ctx context.Context, c *change) error {
		if err := affected(c.ExecContext(ctx, `UPDATE integrated_account SET
			status = CASE WHEN status = 'disabled' THEN status ELSE 'active' END, last_error = '',
			updated_at = CASE WHEN status = 'needs_reauth' THEN $3 ELSE updated_at END WHERE id = $1 AND environment = $2`, id, environment, micros(c.at))); err != nil {
			return err
		}
		c.note(accounts.ChangeAccount, id)
		return d.putGrant(ctx, c, accounts.Account{ID: id, Environment: environment}, g)
	})
}

// NeedsReauth does nothing if the account is not active or refused is not its access token.
func (d *DB) NeedsReauth(ctx context.Context, by accounts.Actor, environment, id string, refused accounts.Secret, lastError string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	if err := storable(environment, lastError); err != nil {
		return err
	}
	return d.change(ctx, by, func(ctx context.Context, c *change) error {
		before, err := oneAccount(ctx, c, environment, id)
		if err != nil {
			return err
		}
		if before.Status != accounts.StatusActive {
			return nil
		}
		token, err := d.accessToken(before)
		if err != nil {
			return err
		}
		if token != refused {
			return nil
		}
		if _, err := c.ExecContext(ctx, `UPDATE integrated_account SET status = $3, last_error = $4, updated_at = $5 WHERE id = $1 AND environment = $2`,
			id, environment, accounts.StatusNeedsReauth, lastError, micros(c.at)); err != nil {
			return err
		}
		_, err = d.accountChanged(ctx, c, "integrated-account.needs-reauth", before.Account, before)
		return err
	})
}

func (d *DB) accessToken(s *accountRow) (accounts.Secret, error) {
	sealed, ok := s.sealed[accessTokenField]
	if !ok {
		return "", nil
	}
	text, err := d.unseal(s.ID, accessTokenField, sealed)
	return accounts.Secret(text), err
}
