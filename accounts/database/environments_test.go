package database

import (
	"strings"
	"time"

	"portolan/accounts"
)

func testEnvironments(s storeTest) {
	t, d, c := s.t, s.d, s.c
	start := at(c)
	standard := accounts.Environment{ID: environmentID(t, d, "default"), Name: "default", Version: 1, CreatedAt: start, UpdatedAt: start}
	c.add(time.Second)
	made, err := d.CreateEnvironment(t.Context(), ops, accounts.Environment{Name: "live-1", Label: "Live", Overrides: accounts.Overrides{"a/b.c.d": {Replace: true, QueryMapping: "q"}}})
	must(t, err)
	want := accounts.Environment{Name: "live-1", Label: "Live", Overrides: accounts.Overrides{"a/b.c.d": {Replace: true, QueryMapping: "q"}}, Version: 1, CreatedAt: at(c), UpdatedAt: at(c)}
	if want.ID = made.ID; !accounts.IsUUID(want.ID) || want.ID == standard.ID {
		t.Errorf("id %q", want.ID)
	}
	same(t, "made", want, made)
	page, err := d.Environments(t.Context(), accounts.PageQuery{Limit: 1})
	must(t, err)
	same(t, "page 1", []accounts.Environment{standard}, page.Items)
	page, err = d.Environments(t.Context(), accounts.PageQuery{Limit: 1, Cursor: page.Next})
	must(t, err)
	same(t, "page 2", accounts.Page[accounts.Environment]{Items: []accounts.Environment{want}}, page)

	c.add(time.Second)
	label := "Life"
	got, err := d.UpdateEnvironment(t.Context(), ops, "live-1", accounts.EnvironmentChange{Version: 1, Label: &label})
	must(t, err)
	want.Label, want.Version, want.UpdatedAt = label, 2, at(c)
	same(t, "updated", want, got)
	_, err = d.UpdateEnvironment(t.Context(), ops, "live-1", accounts.EnvironmentChange{Version: 1, Overrides: &accounts.Overrides{}})
	wantErr(t, "stale", err, accounts.ErrConflict)
	got, err = d.Environment(t.Context(), "live-1")
	must(t, err)
	same(t, "read", want, got)
	got, err = d.UpdateEnvironment(t.Context(), ops, "live-1", accounts.EnvironmentChange{Overrides: &accounts.Overrides{}})
	must(t, err)
	same(t, "cleared", accounts.Overrides(nil), got.Overrides)

	_, err = d.CreateEnvironment(t.Context(), ops, accounts.Environment{Name: "live-1"})
	wantErr(t, "twice", err, accounts.ErrConflict)
	for _, name := range []string{"", "Live", "a b", "a/b", "ä", "a\n", strings.Repeat("a", 65)} {
		_, err = d.CreateEnvironment(t.Context(), ops, accounts.Environment{Name: name})
		wantErr(t, name, err, errInvalid)
	}
	for _, name := range []string{"none", "", "a\x00"} {
		_, err = d.Environment(t.Context(), name)
		wantErr(t, name, err, accounts.ErrNotFound)
		_, err = d.UpdateEnvironment(t.Context(), ops, name, accounts.EnvironmentChange{})
		wantErr(t, name, err, accounts.ErrNotFound)
		wantErr(t, name, d.DeleteEnvironment(t.Context(), ops, name, 0), accounts.ErrNotFound)
	}
}

func testEnvironmentDelete(s storeTest) {
	t, d, c := s.t, s.d, s.c
	environment(t, d, "live")
	remove := func() error { return d.DeleteEnvironment(t.Context(), ops, "live", 1) }
	wantErr(t, "default", d.DeleteEnvironment(t.Context(), ops, "default", 0), accounts.ErrConflict)
	wantErr(t, "stale", d.DeleteEnvironment(t.Context(), ops, "live", 2), accounts.ErrConflict)
	a := create(t, d, accounts.Account{Environment: "live"})
	wantErr(t, "holds an account", remove(), accounts.ErrConflict)
	must(t, d.DeleteAccount(t.Context(), ops, "live", a.ID, 0))
	tok := token(t, d, "1", accounts.Token{Environment: "live"})
	wantErr(t, "holds a token", remove(), accounts.ErrConflict)
	must(t, d.RevokeToken(t.Context(), ops, "live", tok.ID))
	token(t, d, "2", accounts.Token{Environment: "live", ExpiresAt: c.Now().Add(time.Minute)})
	wantErr(t, "holds a token that lives", remove(), accounts.ErrConflict)
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken("l"), accounts.Link{Environment: "live", ExpiresAt: c.Now().Add(time.Hour)}))
	c.add(time.Minute)
	must(t, remove())
	wantErr(t, "gone", remove(), accounts.ErrNotFound)
	_, err := d.Link(t.Context(), accounts.HashToken("l"))
	wantErr(t, "its link", err, accounts.ErrNotFound)
	_, err = d.CreateAccount(t.Context(), ops, accounts.NewAccount{Account: accounts.Account{Environment: "live"}})
	wantErr(t, "its account", err, accounts.ErrNotFound)
}

// An environment that is made again does not see the audit of the earlier one of its name.
func testEnvironmentAgain(s storeTest) {
	t, d := s.t, s.d
	environment(t, d, "live")
	first := environmentID(t, d, "live")
	create(t, d, accounts.Account{ID: id1, Environment: "live"})
	must(t, d.DeleteAccount(t.Context(), ops, "live", id1, 0))
	must(t, d.DeleteEnvironment(t.Context(), ops, "live", 0))
	seen := func(environment string, want ...string) {
		t.Helper()
		page, err := d.Audit(t.Context(), accounts.AuditQuery{Environment: environment})
		must(t, err)
		same(t, environment, want, actions(page.Items))
	}
	all := []string{"environment.delete", "integrated-account.delete", "integrated-account.create", "environment.create"}
	seen("live", all...) // as long as the name is free
	environment(t, d, "live")
	seen("live", "environment.create")
	seen(environmentID(t, d, "live"), "environment.create")
	seen(first, all...)
}
