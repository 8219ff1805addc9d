package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan/accounts"
)

// demoStore is a store that lists the read-only demo accounts before its own. Changing a demo
// account fails with accounts.ErrReadOnly.
type demoStore struct {
	accounts.Store
	demo []accounts.Account // by id
}

// demoCursor is the prefix of cursors of pages that begin with a demo account or right after the
// last one. Cursors of a database do not have this prefix.
const demoCursor = "demo."

// newDemoStore returns a demoStore whose demo accounts, all of one environment, were created at now.
func newDemoStore(store accounts.Store, demo []accounts.Account, environmentID string, now time.Time) demoStore {
	now = now.UTC().Truncate(time.Microsecond)
	s := demoStore{Store: store, demo: slices.Clone(demo)}
	for i := range s.demo {
		a := &s.demo[i]
		a.ReadOnly, a.EnvironmentID = true, environmentID
		a.Label, a.Status, a.Version, a.CreatedAt, a.UpdatedAt = "Demo", accounts.StatusActive, 1, now, now
		for _, name := range slices.Sorted(maps.Keys(a.Context)) {
			a.Fields = append(a.Fields, accounts.Field{Name: name, SetAt: now})
		}
	}
	slices.SortFunc(s.demo, func(a, b accounts.Account) int { return strings.Compare(a.ID, b.ID) })
	return s
}

// find returns the demo account with this id, ignoring case.
func (s demoStore) find(environment, id string) (accounts.Account, bool) {
	i := slices.IndexFunc(s.demo, func(a accounts.Account) bool { return a.Environment == environment && strings.EqualFold(a.ID, id) })
	if i < 0 {
		return accounts.Account{}, false
	}
	return s.demo[i], true
}

// Account returns a demo account, with the overrides of its environment, or one of the store.
func (s demoStore) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	a, ok := s.find(environment, id)
	if !ok {
		return s.Store.Account(ctx, environment, id)
	}
	inherited, err := s.Environment(ctx, environment)
	if err != nil {
		return accounts.Account{}, err
	}
	a.Inherited = inherited.Overrides
	return a, nil
}

// AccountInfo returns a demo account, or one of the store.
func (s demoStore) AccountInfo(ctx context.Context, environment, id string) (accounts.Account, error) {
	if a, ok := s.find(environment, id); ok {
		return a, nil
	}
	return s.Store.AccountInfo(ctx, environment, id)
}

// Accounts lists the demo accounts, then those of the store.
func (s demoStore) Accounts(ctx context.Context, environment string, q accounts.AccountQuery) (accounts.Page[accounts.Account], error) {
	number, isDemo := strings.CutPrefix(q.Cursor, demoCursor)
	if q.Cursor != "" && !isDemo {
		return s.Store.Accounts(ctx, environment, q)
	}
	demo := s.matching(environment, q)
	start := 0
	if isDemo {
		var err error
		if start, err = strconv.Atoi(number); err != nil || start < 0 || start > len(demo) {
			return accounts.Page[accounts.Account]{}, accounts.ErrCursor
		}
	}
	limit := q.Limit
	if limit < 1 {
		limit = accounts.DefaultPage
	}
	page := accounts.Page[accounts.Account]{Items: demo[start:min(start+limit, len(demo))]}
	rest := q
	rest.Cursor, rest.Limit = "", limit-len(page.Items)
	full := rest.Limit == 0
	if full {
		page.Next = demoCursor + strconv.Itoa(start+limit)
		if start+limit < len(demo) {
			return page, nil
		}
		rest.Limit = 1 // shows whether there is another page
	}
	stored, err := s.Store.Accounts(ctx, environment, rest)
	switch {
	case err != nil:
		return accounts.Page[accounts.Account]{}, err
	case !full:
		page.Items, page.Next = append(page.Items, stored.Items...), stored.Next
	case len(stored.Items) == 0:
		page.Next = ""
	}
	return page, nil
}

// matching returns the demo accounts that q selects.
func (s demoStore) matching(environment string, q accounts.AccountQuery) []accounts.Account {
	var out []accounts.Account
	for _, a := range s.demo {
		if a.Environment == environment && (q.Integration == "" || q.Integration == a.Integration) &&
			(q.TenantID == "" || q.TenantID == a.TenantID) && (q.Status == "" || q.Status == a.Status) {
			out = append(out, a)
		}
	}
	return out
}

// CreateAccount refuses the id of a demo account of the environment.
func (s demoStore) CreateAccount(ctx context.Context, by accounts.Actor, n accounts.NewAccount) (accounts.Account, error) {
	if _, taken := s.find(n.Environment, n.ID); taken {
		return accounts.Account{}, accounts.ErrConflict
	}
	return s.Store.CreateAccount(ctx, by, n)
}

// UpdateAccount refuses a demo account.
func (s demoStore) UpdateAccount(ctx context.Context, by accounts.Actor, environment, id string, c accounts.AccountChange) (accounts.Account, error) {
	if _, ok := s.find(environment, id); ok {
		return accounts.Account{}, accounts.ErrReadOnly
	}
	return s.Store.UpdateAccount(ctx, by, environment, id, c)
}

// DeleteAccount refuses a demo account.
func (s demoStore) DeleteAccount(ctx context.Context, by accounts.Actor, environment, id string, version int64) error {
	if _, ok := s.find(environment, id); ok {
		return accounts.ErrReadOnly
	}
	return s.Store.DeleteAccount(ctx, by, environment, id, version)
}

// CreateToken refuses a token for a demo account, which the database does not have.
func (s demoStore) CreateToken(ctx context.Context, by accounts.Actor, t accounts.StoredToken) (accounts.Token, error) {
	if _, ok := s.find(t.Environment, t.AccountID); ok {
		return accounts.Token{}, accounts.ErrReadOnly
	}
	return s.Store.CreateToken(ctx, by, t)
}

// CreateLink refuses a link that reconnects a demo account.
func (s demoStore) CreateLink(ctx context.Context, by accounts.Actor, hash accounts.Hash, l accounts.Link) error {
	if _, ok := s.find(l.Environment, l.AccountID); ok {
		return accounts.ErrReadOnly
	}
	return s.Store.CreateLink(ctx, by, hash, l)
}
