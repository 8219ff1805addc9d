package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/plain"
)

// putContext merges fields into a's; nil deletes a field. It goes in the order of
// their names, as Reseal does, so that the two cannot deadlock.
func (d *DB) putContext(ctx context.Context, c *change, a accounts.Account, fields accounts.Context) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "" || strings.HasPrefix(name, grantFields) || !isText(name) {
			return invalid(fmt.Sprintf("%q is not a valid credential name", name))
		}
		if fields[name] == nil {
			if _, err := c.ExecContext(ctx, `DELETE FROM credential WHERE account_id = $1 AND environment = $2 AND field = $3`, a.ID, a.Environment, name); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(fields[name])
		if err != nil { // its text may show the value
			return invalid(fmt.Sprintf("credential %q is not a JSON value", name))
		}
		if err := d.putSealed(ctx, c, a, name, text); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) putSealed(ctx context.Context, c *change, a accounts.Account, field string, text []byte) error {
	_, err := c.ExecContext(ctx, `INSERT INTO credential (account_id, environment, field, sealed, set_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (account_id, environment, field) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at`,
		a.ID, a.Environment, field, d.Keys.Seal(a.ID, field, text), micros(c.at))
	return err
}

// unseal opens a value. The error names its field and owner.
func (d *DB) unseal(owner, field, sealed string) ([]byte, error) {
	text, err := d.Keys.Open(owner, field, sealed)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", field, owner, err)
	}
	return text, nil
}

// unsealAccount sets Context, Inherited and the Grant's tokens.
func (d *DB) unsealAccount(s *accountRow) error {
	s.Context = make(accounts.Context, len(s.sealed))
	for field, sealed := range s.sealed {
		text, err := d.unseal(s.ID, field, sealed)
		if err != nil {
			return err
		}
		switch {
		case field == accessTokenField && s.Grant != nil:
			s.Grant.AccessToken = accounts.Secret(text)
		case field == refreshTokenField && s.Grant != nil:
			s.Grant.RefreshToken = accounts.Secret(text)
		default:
			if s.Context[field], err = decodeValue(text); err != nil {
				return fmt.Errorf("%s of %s: %w", field, s.ID, err)
			}
		}
	}
	if s.Grant != nil {
		s.Context[accounts.AccessTokenField] = s.Grant.AccessToken.Reveal()
	}
	all, err := parseOverrides(s.inherited)
	if err != nil {
		return err
	}
	for key, override := range all {
		if strings.HasPrefix(key, s.Integration+"/") {
			if s.Inherited == nil {
				s.Inherited = accounts.Overrides{}
			}
			s.Inherited[key] = override
		}
	}
	return nil
}

func decodeValue(text []byte) (any, error) {
	doc, err := plain.Decode(text, plain.Options{Lenient: true})
	if err != nil { // its text may show the value
		return nil, accounts.ErrDamaged
	}
	return doc.Value, nil
}

func overridesJSON(o accounts.Overrides) (string, error) {
	if len(o) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", invalid("the overrides are not valid JSON")
	}
	return string(text), nil
}

// parseOverrides parses overrides; nil if there are none.
func parseOverrides(text string) (o accounts.Overrides, err error) {
	if text == "{}" {
		return nil, nil
	}
	if json.Unmarshal([]byte(text), &o) != nil {
		return nil, fmt.Errorf("overrides: %w", accounts.ErrDamaged)
	}
	return o, nil
}

// sealedValues selects all sealed values with their owners and fields.
const sealedValues = `SELECT account_id AS owner, environment, field, sealed, 'credential' AS kind FROM credential
	UNION ALL SELECT link_id, '', 'consent', sealed, 'consent' FROM consent
	UNION ALL SELECT id, '', 'context', sealed, 'link' FROM link WHERE sealed <> ''`

// KeysInUse returns the number of sealed values by key id.
func (d *DB) KeysInUse(ctx context.Context) (map[string]int, error) {
	var out map[string]int
	err := d.query(ctx, func(ctx context.Context, q querier) error {
		out = map[string]int{}
		return collect(ctx, q, func(rows *sql.Rows) error {
			var id string
			var n int
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			out[id] = n
			return nil
		}, `SELECT key_id, count(*) FROM (SELECT `+d.engine.keyID()+` AS key_id FROM (`+sealedValues+`) v) k GROUP BY key_id`)
	})
	return out, err
}

// checkKeys returns an error if a key in use is missing from the keyring, or if the keyring
// has another key under its id.
func (d *DB) checkKeys(ctx context.Context) error {
	used, err := d.KeysInUse(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, id := range slices.Sorted(maps.Keys(used)) {
		if !d.Keys.Has(id) {
			problems = append(problems, fmt.Errorf("%d stored values are %w: %q", used[id], accounts.ErrUnknownKey, id))
			continue
		}
		opened, err := d.opensAny(ctx, id)
		if err != nil {
			return err
		}
		if !opened {
			problems = append(problems, fmt.Errorf("%d stored values are encrypted with a master key %q that differs from the given one: %w", used[id], id, accounts.ErrSeal))
		}
	}
	return errors.Join(problems...)
}

// keySamples is how many values are tried per key: a single one may be damaged.
const keySamples = 3

// opensAny reports whether the key opens any of a few values sealed under its id.
func (d *DB) opensAny(ctx context.Context, id string) (opened bool, err error) {
	err = d.query(ctx, func(ctx context.Context, q querier) error {
		opened = false
		return collect(ctx, q, func(rows *sql.Rows) error {
			var owner, field, sealed string
			if err := rows.Scan(&owner, &field, &sealed); err != nil {
				return err
			}
			_, err := d.Keys.Open(owner, field, sealed)
			opened = opened || err == nil
			return nil
		}, `SELECT owner, field, sealed FROM (`+sealedValues+`) v WHERE `+d.engine.keyID()+` = $1 LIMIT $2`, id, keySamples)
	})
	return opened, err
}

// Reseal seals up to batch values with the newest key and returns how many of them were not.
// A value that is changed concurrently is left alone. The error names a value that cannot
// be opened.
func (d *DB) Reseal(ctx context.Context, batch int) (resealed int, err error) {
	type value struct {
		owner, environment, field, sealed, kind string
	}
	err = d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var values []value
		prefix := d.Keys.Newest() + "."
		if err := collect(ctx, tx, func(rows *sql.Rows) error {
			var v value
			err := rows.Scan(&v.owner, &v.environment, &v.field, &v.sealed, &v.kind)
			values = append(values, v)
			return err
		}, `SELECT owner, environment, field, sealed, kind FROM (`+sealedValues+`) v WHERE substr(sealed, 1, $1) <> $2
			ORDER BY owner, environment, field LIMIT $3`, len(prefix), prefix, max(batch, 1)); err != nil {
			return err
		}
		for _, v := range values {
			text, err := d.unseal(v.owner, v.field, v.sealed)
			if err != nil {
				return err
			}
			sealed := d.Keys.Seal(v.owner, v.field, text)
			switch v.kind {
			case "consent":
				_, err = tx.ExecContext(ctx, `UPDATE consent SET sealed = $1 WHERE link_id = $2 AND sealed = $3`, sealed, v.owner, v.sealed)
			case "link":
				_, err = tx.ExecContext(ctx, `UPDATE link SET sealed = $1 WHERE id = $2 AND sealed = $3`, sealed, v.owner, v.sealed)
			default:
				_, err = tx.ExecContext(ctx, `UPDATE credential SET sealed = $1 WHERE account_id = $2 AND environment = $3 AND field = $4 AND sealed = $5`,
					sealed, v.owner, v.environment, v.field, v.sealed)
			}
			if err != nil {
				return err
			}
		}
		resealed = len(values)
		return nil
	})
	return resealed, err
}
