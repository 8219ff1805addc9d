package database

import (
	"time"

	"portolan/accounts"
)

func testGrant(s storeTest) {
	t, d, c := s.t, s.d, s.c
	create(t, d, accounts.Account{ID: id1, Context: accounts.Context{"access_token": "own", "k": "v"}})
	full := func() accounts.Account {
		t.Helper()
		a, err := d.Account(t.Context(), "default", id1)
		must(t, err)
		return a
	}
	same(t, "without a grant", map[string]any{"access_token": "own", "k": "v"}, map[string]any(full().Context))
	created := at(c)
	c.add(time.Minute)
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "at1", RefreshToken: "rt1", Expiry: c.Now().Add(time.Hour)}))
	a := full()
	same(t, "grant", &accounts.Grant{AccessToken: "at1", RefreshToken: "rt1", Expiry: at(c).Add(time.Hour)}, a.Grant)
	same(t, "context", map[string]any{"access_token": "at1", "k": "v"}, map[string]any(a.Context))
	same(t, "version, updated", []any{int64(1), created}, []any{a.Version, a.UpdatedAt})
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "at2"}))
	same(t, "replaced completely", &accounts.Grant{AccessToken: "at2"}, full().Grant)
	same(t, "fields", 2, len(full().Fields))
	for _, id := range []string{id2, "none"} {
		wantErr(t, id, d.SetGrant(t.Context(), "default", id, accounts.Grant{}), accounts.ErrNotFound)
	}
	// A renewal does not enable a disabled account.
	disabled := accounts.StatusDisabled
	_, err := d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Status: &disabled})
	must(t, err)
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "at3"}))
	same(t, "disabled", disabled, full().Status)
}

func testNeedsReauth(s storeTest) {
	t, d, c := s.t, s.d, s.c
	portolan := accounts.Actor{Name: "portolan"}
	create(t, d, accounts.Account{ID: id1, Grant: &accounts.Grant{AccessToken: "at1", RefreshToken: "rt"}})
	info := func() accounts.Account {
		t.Helper()
		a, err := d.AccountInfo(t.Context(), "default", id1)
		must(t, err)
		return a
	}
	must(t, d.NeedsReauth(t.Context(), portolan, "default", id1, "at0", "refused"))
	same(t, "another access token", accounts.StatusActive, info().Status)
	c.add(time.Minute)
	must(t, d.NeedsReauth(t.Context(), portolan, "default", id1, "at1", "refused"))
	must(t, d.NeedsReauth(t.Context(), portolan, "default", id1, "at1", "refused again"))
	a := info()
	same(t, "refused", []any{accounts.StatusNeedsReauth, "refused", int64(1), at(c)}, []any{a.Status, a.LastError, a.Version, a.UpdatedAt})
	entries, err := d.Audit(t.Context(), accounts.AuditQuery{Subject: id1})
	must(t, err)
	same(t, "audit, once", []string{"integrated-account.needs-reauth", "integrated-account.create"}, actions(entries.Items))
	same(t, "actor", "portolan", entries.Items[0].Actor)
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: "at2"}))
	a = info()
	same(t, "connected again", []any{accounts.StatusActive, ""}, []any{a.Status, a.LastError})

	must(t, d.NeedsReauth(t.Context(), portolan, "default", id1, "at2", "refused"))
	active := accounts.StatusActive
	a, err = d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Status: &active})
	must(t, err)
	same(t, "made active", []any{active, ""}, []any{a.Status, a.LastError})
	disabled := accounts.StatusDisabled
	_, err = d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Status: &disabled})
	must(t, err)
	must(t, d.NeedsReauth(t.Context(), portolan, "default", id1, "at2", "refused"))
	same(t, "stays disabled", disabled, info().Status)
	wantErr(t, "none", d.NeedsReauth(t.Context(), portolan, "default", id2, "", ""), accounts.ErrNotFound)
}
