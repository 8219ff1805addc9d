package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"net/url"
	"slices"

	"portolan/accounts"
)

const linkColumns = `id, environment, integration, model, account_id, label, tenant_id, redirect_uri, keep_context, sealed, expires_at, created_at`

func (d *DB) scanLink(row interface{ Scan(...any) error }) (accounts.Link, error) {
	var l accounts.Link
	var account sql.NullString
	var sealed string
	var expiresAt, createdAt int64
	err := row.Scan(&l.ID, &l.Environment, &l.Integration, &l.Model, &account, &l.Label, &l.TenantID, &l.RedirectURI, &l.KeepContext, &sealed, &expiresAt, &createdAt)
	l.AccountID, l.ExpiresAt, l.CreatedAt = account.String, fromMicros(expiresAt), fromMicros(createdAt)
	if err == nil && sealed != "" {
		l.Preset, err = d.unsealObject(l.ID, presetField, sealed)
	}
	return l, err
}

// unsealObject opens a sealed JSON object.
func (d *DB) unsealObject(owner, field, sealed string) (map[string]any, error) {
	text, err := d.unseal(owner, field, sealed)
	if err != nil {
		return nil, err
	}
	value, err := decodeValue(text)
	object, _ := value.(map[string]any)
	return object, err
}

// publicLink is a link in the audit, with its redirect_uri without query and fragment,
// which may hold the caller's secrets.
type publicLink struct{ accounts.Link }

func (l publicLink) Public() map[string]any {
	redirect := ""
	if u, err := url.Parse(l.RedirectURI); err == nil {
		redirect = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return map[string]any{
		"id": l.ID, "environment": l.Environment, "integration": l.Integration, "unified_model_id": orNull(l.Model), "integrated_account_id": orNull(l.AccountID),
		"label": l.Label, "tenant_id": l.TenantID, "redirect_uri": redirect, "context": slices.Sorted(maps.Keys(l.Preset)),
		"persist_previous_context": l.KeepContext, "expires_at": l.ExpiresAt, "created_at": l.CreatedAt,
	}
}

// CreateLink stores a link. It also deletes expired links and their consents.
func (d *DB) CreateLink(ctx context.Context, by accounts.Actor, hash accounts.Hash, l accounts.Link) (err error) {
	if l.ID == "" {
		l.ID = accounts.NewID()
	}
	if l.ID, err = canonical(l.ID); err != nil {
		return invalid("the link's id is not a valid UUID")
	}
	if l.AccountID != "" {
		if l.AccountID, err = canonical(l.AccountID); err != nil {
			return err
		}
	}
	if err := storable(l.Environment, l.Integration, l.Model, l.Label, l.TenantID, l.RedirectURI); err != nil {
		return err
	}
	sealed := ""
	if len(l.Preset) > 0 {
		text, err := json.Marshal(map[string]any(l.Preset))
		if err != nil { // its text may show a value
			return invalid("a field of the context is not a JSON value")
		}
		sealed = d.Keys.Seal(l.ID, presetField, text)
	}
	return d.change(ctx, by, func(ctx context.Context, c *change) error {
		if _, err := c.ExecContext(ctx, `DELETE FROM link WHERE expires_at <= $1`, micros(c.at)); err != nil {
			return err
		}
		l.CreatedAt, l.ExpiresAt = c.at, fromMicros(micros(l.ExpiresAt))
		if _, err := c.ExecContext(ctx, `INSERT INTO link (hash, `+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			hash[:], l.ID, l.Environment, l.Integration, l.Model, orNull(l.AccountID), l.Label, l.TenantID, l.RedirectURI, l.KeepContext, sealed, micros(l.ExpiresAt), micros(c.at)); err != nil {
			return err
		}
		return c.audit(ctx, l.Environment, "link.create", l.ID, accounts.PublicJSON(nil), accounts.PublicJSON(publicLink{l}))
	})
}

// Link returns a link without its consent.
func (d *DB) Link(ctx context.Context, hash accounts.Hash) (l accounts.Link, err error) {
	err = d.query(ctx, func(ctx context.Context, q querier) (err error) {
		l, err = d.scanLink(q.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM link WHERE hash = $1 AND expires_at > $2`, hash[:], micros(d.clock())))
		return err
	})
	return l, err
}

// useLink deletes a link. It returns ErrNotFound if the link is for another account.
func (c *change) useLink(ctx context.Context, id, environment, integration, account string) error {
	id, err := canonical(id)
	if err != nil {
		return err
	}
	return affected(c.ExecContext(ctx, `DELETE FROM link
		WHERE id = $1 AND environment = $2 AND integration IN ($3, '') AND COALESCE(account_id, '') = $4 AND expires_at > $5`,
		id, environment, integration, account, micros(c.at)))
}

// The fields under which a consent, and the preset values of a link, are sealed; the owner is the link's id.
const (
	consentField = "consent"
	presetField  = "context"
)

// consent is the sealed part of a consent.
type consent struct {
	Integration string         `json:"integration"`
	Verifier    string         `json:"verifier"`
	Context     map[string]any `json:"context"`
}

// BeginConsent stores a consent. It returns ErrNotFound if the link is used or expired.
func (d *DB) BeginConsent(ctx context.Context, linkID string, state accounts.Hash, l accounts.Link) error {
	id, err := canonical(linkID)
	if err != nil {
		return err
	}
	text, err := json.Marshal(consent{l.Integration, l.Verifier.Reveal(), l.Context})
	if err != nil { // its text may show a value
		return invalid("a field of the consent is not a JSON value")
	}
	return d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var found int
		if err := tx.QueryRowContext(ctx, `SELECT 1 FROM link WHERE id = $1 AND expires_at > $2`, id, micros(d.clock())).Scan(&found); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO consent (link_id, state, sealed, browser) VALUES ($1, $2, $3, $4)
			ON CONFLICT (link_id) DO UPDATE SET state = excluded.state, sealed = excluded.sealed, browser = excluded.browser`,
			id, state[:], d.Keys.Seal(id, consentField, text), l.Browser[:])
		return err
	})
}

// TakeConsent returns and deletes a consent: only one of several callers gets it.
func (d *DB) TakeConsent(ctx context.Context, state accounts.Hash) (accounts.Link, error) {
	var l accounts.Link
	var sealed string
	var browser []byte
	err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `DELETE FROM consent WHERE state = $1 RETURNING link_id, sealed, browser`, state[:]).Scan(&id, &sealed, &browser)
		if err != nil {
			return err
		}
		l, err = d.scanLink(tx.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM link WHERE id = $1 AND expires_at > $2`, id, micros(d.clock())))
		return err
	})
	if err != nil {
		return accounts.Link{}, err
	}
	fields, err := d.unsealObject(l.ID, consentField, sealed)
	if err != nil {
		return accounts.Link{}, err
	}
	if chosen, _ := fields["integration"].(string); chosen != "" { // by the customer
		l.Integration = chosen
	}
	verifier, _ := fields["verifier"].(string)
	l.Verifier = accounts.Secret(verifier)
	l.Context, _ = fields["context"].(map[string]any)
	copy(l.Browser[:], browser)
	return l, nil
}
