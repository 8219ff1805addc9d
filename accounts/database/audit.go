package database

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"

	"portolan/accounts"
)

// Audit lists the entries, newest first.
func (d *DB) Audit(ctx context.Context, q accounts.AuditQuery) (accounts.Page[accounts.AuditEntry], error) {
	none := accounts.Page[accounts.AuditEntry]{}
	if !isText(q.Environment, q.Subject) {
		return none, nil
	}
	var w where
	w.and("TRUE")
	if q.Environment != "" {
		w.and(`environment_id = COALESCE((SELECT id FROM environment WHERE name = ?),
			(SELECT environment_id FROM audit WHERE environment = ? ORDER BY id DESC LIMIT 1), ?)`, q.Environment, q.Environment, q.Environment)
	}
	if q.Subject != "" {
		w.and("subject = ?", q.Subject)
	}
	if q.Cursor != "" {
		c, err := parseCursor(q.Cursor)
		if err != nil {
			return none, err
		}
		id, err := strconv.ParseInt(c.id, 10, 64)
		if err != nil {
			return none, accounts.ErrCursor
		}
		w.and("id < ?", id)
	}
	limit := limitOf(q.PageQuery)
	w.and("TRUE ORDER BY id DESC LIMIT ?", limit+1)
	var items []accounts.AuditEntry
	err := d.query(ctx, func(ctx context.Context, db querier) error {
		items = nil
		return collect(ctx, db, func(rows *sql.Rows) error {
			var e accounts.AuditEntry
			var at int64
			var before, after string
			err := rows.Scan(&e.ID, &at, &e.Environment, &e.EnvironmentID, &e.Actor, &e.RequestID, &e.Action, &e.Subject, &before, &after)
			e.At, e.Before, e.After = fromMicros(at), json.RawMessage(before), json.RawMessage(after)
			items = append(items, e)
			return err
		}, `SELECT id, at, environment, environment_id, actor, request_id, action, subject, before_json, after_json FROM audit WHERE `+w.text.String(), w.args...)
	})
	if err != nil {
		return none, err
	}
	return pageOf(items, limit, func(e accounts.AuditEntry) string { return cursorOf(e.At, strconv.FormatInt(e.ID, 10)) }), nil
}
