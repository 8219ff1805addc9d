package server

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"portolan/accounts"
	"portolan/gateway"
)

// adminQuery holds the query parameters of the admin API; a parameter that is absent is zero.
type adminQuery struct {
	accounts.PageQuery
	integration, tenantID, subject, environment string

	status  accounts.Status
	version int64
	verify  bool
}

// readAdminQuery reads a query that may have the parameters in known only. It returns all
// failures at once.
func readAdminQuery(raw string, known []string) (adminQuery, []gateway.Failure) {
	decoded, failures := decodeQuery(raw)
	if len(failures) > 0 {
		return adminQuery{}, failures
	}
	r := paramReader{values: decoded.values}
	for _, name := range slices.Sorted(maps.Keys(decoded.values)) {
		if !slices.Contains(known, name) {
			r.failf(name, gateway.CodeAdditional, "is not a parameter of this route%s", gateway.Suggestion(name, known...))
			delete(decoded.values, name)
		}
	}
	q := adminQuery{
		PageQuery:   accounts.PageQuery{Cursor: cmp.Or(r.text("next_cursor"), r.text("cursor")), Limit: int(r.integer("limit", accounts.MaxPage))},
		integration: r.text("integration"), tenantID: r.text("tenant_id"), subject: r.text("subject"), environment: r.text("environment"),
		status: accounts.Status(r.text("status")), version: r.integer("version", math.MaxInt64), verify: r.boolean("verify"),
	}
	if decoded.values["version"] == "" { // an empty condition must not be ignored
		r.failf("version", gateway.CodeEmpty, "must not be empty")
	}
	switch q.status {
	case "", accounts.StatusActive, accounts.StatusDisabled, accounts.StatusNeedsReauth:
	default:
		r.failEnum("status", string(accounts.StatusActive), string(accounts.StatusNeedsReauth), string(accounts.StatusDisabled))
	}
	return q, r.failures
}

// integer returns a parameter that is a whole number from 1 to most; 0 if it is absent, empty or
// invalid.
func (r *paramReader) integer(name string, most int64) int64 {
	text := r.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		r.failf(name, gateway.CodeRange, "must be a whole number from 1 to %d", most)
		return 0
	}
	return n
}

// integer returns a member of the body that the schema requires to be a whole number; fallback if
// it is absent.
func (a *adminCall) integer(name string, fallback int64) int64 {
	v, ok := a.body[name].(json.Number)
	if !ok {
		return fallback
	}
	if n, err := v.Int64(); err == nil {
		return n
	}
	f, _ := v.Float64() // 9e2 is whole too
	return int64(f)
}
