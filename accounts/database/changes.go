package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"portolan/accounts"
)

// retainedChanges is how many revisions back Changes can list single changes.
const retainedChanges = 10_000

// change is a transaction whose changes are published to other caches.
type change struct {
	*sql.Tx
	by    accounts.Actor
	at    time.Time
	n     int64
	notes []accounts.Change
}

// change runs fn in a transaction with a revision number. After the commit it notifies.
func (d *DB) change(ctx context.Context, by accounts.Actor, fn func(ctx context.Context, c *change) error) error {
	if err := storable(by.Name, by.RequestID); err != nil {
		return err
	}
	var c *change
	err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		c = &change{Tx: tx, by: by, at: d.clock()}
		// First: the lock on this row serialises all changes.
		if err := tx.QueryRowContext(ctx, `UPDATE revision SET n = n + 1 RETURNING n`).Scan(&c.n); err != nil {
			return err
		}
		if err := fn(ctx, c); err != nil {
			return err
		}
		return c.record(ctx)
	})
	if err != nil || len(c.notes) == 0 {
		return err
	}
	for _, fn := range d.notify {
		fn(c.notes)
	}
	return nil
}

// note adds a changed entry.
func (c *change) note(kind accounts.ChangeKind, id string) {
	c.notes = append(c.notes, accounts.Change{Kind: kind, ID: id})
}

func (c *change) record(ctx context.Context) error {
	for _, note := range c.notes {
		if _, err := c.ExecContext(ctx, `INSERT INTO change (n, kind, id) VALUES ($1, $2, $3)`, c.n, note.Kind, note.ID); err != nil {
			return err
		}
	}
	if c.n%100 != 0 { // prune now and then
		return nil
	}
	_, err := c.ExecContext(ctx, `DELETE FROM change WHERE n <= $1`, c.n-retainedChanges)
	return err
}

// audit adds the audit entry of this change.
func (c *change) audit(ctx context.Context, environment, action, subject string, before, after json.RawMessage) error {
	_, err := c.ExecContext(ctx, `INSERT INTO audit (at, environment, environment_id, actor, request_id, action, subject, before_json, after_json)
		VALUES ($1, $2, (SELECT id FROM environment WHERE name = $2), $3, $4, $5, $6, $7, $8)`,
		micros(c.at), environment, c.by.Name, c.by.RequestID, action, subject, string(before), string(after))
	return err
}

// Notify registers fn to be called after each change of this process.
func (d *DB) Notify(fn func([]accounts.Change)) { d.notify = append(d.notify, fn) }

// Changes returns the changes of all processes after a revision, and the latest revision.
func (d *DB) Changes(ctx context.Context, after int64) (changes []accounts.Change, latest int64, err error) {
	err = d.query(ctx, func(ctx context.Context, q querier) error {
		changes = nil
		return collect(ctx, q, func(rows *sql.Rows) error {
			var kind, id sql.NullString
			if err := rows.Scan(&latest, &kind, &id); err != nil {
				return err
			}
			if kind.Valid {
				changes = append(changes, accounts.Change{Kind: accounts.ChangeKind(kind.String), ID: id.String})
			}
			return nil
		}, `SELECT r.n, c.kind, c.id FROM revision r LEFT JOIN change c ON c.n > $1 ORDER BY c.n`, after)
	})
	if err != nil {
		return nil, 0, err
	}
	if after > latest || after < latest-retainedChanges { // a restored backup, or pruned
		return []accounts.Change{{Kind: accounts.ChangeAll}}, latest, nil
	}
	return changes, latest, nil
}
