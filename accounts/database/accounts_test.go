package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"portolan/accounts"
)

const (
	id1 = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
	id2 = "62f44730-dd91-461e-bd6a-aedd9e0ad79e"
	id3 = "62f44730-dd91-461e-bd6a-aedd9e0ad79f"
)

// at returns the clock's time as a database stores it.
func at(c *clock) time.Time { return c.Now().Truncate(time.Microsecond) }

func testAccount(s storeTest) {
	t, d, c := s.t, s.d, s.c
	start := at(c)
	_, err := d.UpdateEnvironment(t.Context(), ops, "default", accounts.EnvironmentChange{Overrides: &accounts.Overrides{
		"example/crm.contacts.get": {ResponseMapping: "1"}, "example2/crm.contacts.get": {ResponseMapping: "2"},
	}})
	must(t, err)
	made := create(t, d, accounts.Account{
		ID: strings.ToUpper(id1), Label: "Ada's", TenantID: "t1",
		Context:   accounts.Context{"site": "acme", "api_key": "k<&>\x00é", "none": nil, "big": json.Number("12345678901234567890"), "deep": map[string]any{"a": []any{true, nil}}},
		Grant:     &accounts.Grant{AccessToken: "at", RefreshToken: "rt", Expiry: start.Add(time.Hour)},
		Overrides: accounts.Overrides{"crm.contacts.list": {QueryMapping: "q", Replace: true}},
	})
	want := accounts.Account{
		ID: id1, Integration: "example", Environment: "default", Label: "Ada's", TenantID: "t1", Status: accounts.StatusActive,
		Fields:    []accounts.Field{{Name: "api_key", SetAt: start}, {Name: "big", SetAt: start}, {Name: "deep", SetAt: start}, {Name: "site", SetAt: start}},
		Grant:     &accounts.Grant{Expiry: start.Add(time.Hour)},
		Overrides: accounts.Overrides{"crm.contacts.list": {QueryMapping: "q", Replace: true}},
		Version:   1, CreatedAt: start, UpdatedAt: start,
	}
	want.EnvironmentID = environmentID(t, d, "default")
	want.Context = accounts.Context{
		"site": "acme", "api_key": "k<&>\x00é", "big": json.Number("12345678901234567890"), "deep": map[string]any{"a": []any{true, nil}},
	}
	same(t, "made", want, made)
	info, err := d.AccountInfo(t.Context(), "default", strings.ToUpper(id1))
	must(t, err)
	same(t, "info", want, info)
	page, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{})
	must(t, err)
	same(t, "list", accounts.Page[accounts.Account]{Items: []accounts.Account{want}}, page)

	full, err := d.Account(t.Context(), "default", strings.ToUpper(id1))
	must(t, err)
	same(t, "context", map[string]any{
		"site": "acme", "api_key": "k<&>\x00é", "big": json.Number("12345678901234567890"),
		"deep": map[string]any{"a": []any{true, nil}}, "access_token": "at",
	}, map[string]any(full.Context))
	want.Context, full.Context = nil, nil
	want.Grant = &accounts.Grant{AccessToken: "at", RefreshToken: "rt", Expiry: start.Add(time.Hour)}
	want.Inherited = accounts.Overrides{"example/crm.contacts.get": {ResponseMapping: "1"}}
	same(t, "account", want, full)

	for _, id := range []string{id2, "", "not a uuid", id1 + " ", "' OR 1=1 --"} {
		_, err := d.Account(t.Context(), "default", id)
		wantErr(t, id, err, accounts.ErrNotFound)
	}
	if other := create(t, d, accounts.Account{}); len(other.ID) != 36 {
		t.Errorf("made id %q", other.ID)
	}
}

func testAccountUpdate(s storeTest) {
	t, d, c := s.t, s.d, s.c
	start := at(c)
	create(t, d, accounts.Account{ID: id1, Label: "old", Context: accounts.Context{"a": "1", "b": "2"}})
	c.add(time.Minute)
	label, tenant, status := "new", "t2", accounts.StatusDisabled
	got, err := d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{
		Version: 1, Label: &label, TenantID: &tenant, Status: &status,
		Context:   accounts.Context{"b": "3", "a": nil, "c": "4", "never": nil},
		Overrides: &accounts.Overrides{"x.y.z": {ResponseMapping: "r"}},
		Grant:     &accounts.Grant{AccessToken: "at"},
	})
	must(t, err)
	want := accounts.Account{
		ID: id1, Integration: "example", Environment: "default", EnvironmentID: environmentID(t, d, "default"), Label: "new", TenantID: "t2", Status: accounts.StatusDisabled,
		Fields: []accounts.Field{{Name: "b", SetAt: at(c)}, {Name: "c", SetAt: at(c)}}, Overrides: accounts.Overrides{"x.y.z": {ResponseMapping: "r"}},
		Context: accounts.Context{"b": "3", "c": "4"},
		Grant:   &accounts.Grant{}, Version: 2, CreatedAt: start, UpdatedAt: at(c),
	}
	same(t, "updated", want, got)
	full, err := d.Account(t.Context(), "default", id1)
	must(t, err)
	same(t, "context", map[string]any{"b": "3", "c": "4", "access_token": "at"}, map[string]any(full.Context))

	got, err = d.UpdateAccount(t.Context(), ops, "default", strings.ToUpper(id1), accounts.AccountChange{Overrides: &accounts.Overrides{}})
	must(t, err)
	want.Overrides, want.Version = nil, 3
	same(t, "only overrides", want, got)
	_, err = d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Version: 2, Label: &tenant, Context: accounts.Context{"b": "lost"}})
	wantErr(t, "stale", err, accounts.ErrConflict)
	got, err = d.AccountInfo(t.Context(), "default", id1)
	must(t, err)
	same(t, "after stale", want, got)
}

func testAccountRefusals(s storeTest) {
	t, d := s.t, s.d
	environment(t, d, "other")
	create(t, d, accounts.Account{ID: id1})
	n := func(change func(*accounts.NewAccount)) accounts.NewAccount {
		out := accounts.NewAccount{Account: accounts.Account{ID: id2, Environment: "default", Integration: "example", Context: accounts.Context{"k": "v"}}}
		change(&out)
		return out
	}
	for name, test := range map[string]struct {
		n    accounts.NewAccount
		want error
	}{
		"id is taken":          {n(func(n *accounts.NewAccount) { n.ID = strings.ToUpper(id1) }), accounts.ErrConflict},
		"no such environment":  {n(func(n *accounts.NewAccount) { n.Environment = "none" }), accounts.ErrNotFound},
		"no such link":         {n(func(n *accounts.NewAccount) { n.Link = id3 }), accounts.ErrNotFound},
		"invalid id":           {n(func(n *accounts.NewAccount) { n.ID = "one" }), errInvalid},
		"grant's field":        {n(func(n *accounts.NewAccount) { n.Context = accounts.Context{"a": "b", accessTokenField: "v"} }), errInvalid},
		"empty field":          {n(func(n *accounts.NewAccount) { n.Context = accounts.Context{"": "v"} }), errInvalid},
		"invalid number":       {n(func(n *accounts.NewAccount) { n.Context = accounts.Context{"a": json.Number("s3cr3t")} }), errInvalid},
		"not a JSON value":     {n(func(n *accounts.NewAccount) { n.Context = accounts.Context{"a": make(chan int)} }), errInvalid},
		"NUL in a field":       {n(func(n *accounts.NewAccount) { n.Context = accounts.Context{"a\x00": "v"} }), errInvalid},
		"NUL in the label":     {n(func(n *accounts.NewAccount) { n.Label = "a\x00" }), errInvalid},
		"broken UTF-8 in text": {n(func(n *accounts.NewAccount) { n.TenantID = "\xff" }), errInvalid},
	} {
		_, err := d.CreateAccount(t.Context(), ops, test.n)
		wantErr(t, name, err, test.want)
		if strings.Contains(fmt.Sprint(err), "s3cr3t") {
			t.Errorf("%s: the error shows a value: %v", name, err)
		}
		if _, err := d.AccountInfo(t.Context(), "default", id2); !errors.Is(err, accounts.ErrNotFound) {
			t.Errorf("%s created the account: %v", name, err)
		}
	}
	bad := accounts.Status("gone")
	_, err := d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Status: &bad})
	wantErr(t, "invalid status", err, errInvalid)
	entries, err := d.Audit(t.Context(), accounts.AuditQuery{})
	must(t, err)
	if len(entries.Items) != 2 {
		t.Errorf("%d audit entries", len(entries.Items))
	}
}

// Two environments can have an account of the same id. Neither learns of the other's, nor changes it.
func testSameID(s storeTest) {
	t, d, c := s.t, s.d, s.c
	environment(t, d, "other")
	both := []string{"default", "other"}
	for _, name := range both {
		create(t, d, accounts.Account{ID: id1, Environment: name, Context: accounts.Context{"k": name}, Grant: &accounts.Grant{AccessToken: "at"}})
		c.add(time.Second)
		token(t, d, "pta"+name, accounts.Token{AccountID: id1, Environment: name})
	}
	label := "mine"
	_, err := d.UpdateAccount(t.Context(), ops, "other", id1, accounts.AccountChange{Label: &label, Context: accounts.Context{"k": "new", "l": "more"}})
	must(t, err)
	must(t, d.SetGrant(t.Context(), "other", id1, accounts.Grant{AccessToken: "at2", Expiry: c.Now()}))
	must(t, d.NeedsReauth(t.Context(), ops, "other", id1, "at2", "refused"))
	if _, err = d.Reseal(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	seen := func(name string) []any {
		a, err := d.Account(t.Context(), name, id1)
		must(t, err)
		page, err := d.Accounts(t.Context(), name, accounts.AccountQuery{})
		must(t, err)
		return []any{a.Label, a.Status, a.Context["k"], a.Context["l"], a.Grant.AccessToken.Reveal(), a.Grant.Expiry.IsZero(), len(page.Items)}
	}
	want := []any{"", accounts.StatusActive, "default", nil, "at", true, 1}
	same(t, "other", []any{"mine", accounts.StatusNeedsReauth, "new", "more", "at2", false, 1}, seen("other"))
	same(t, "default", want, seen("default"))
	must(t, d.DeleteAccount(t.Context(), ops, "other", id1, 0))
	same(t, "default, when the other one is deleted", want, seen("default"))
	for i, name := range both {
		_, err := d.Authenticate(t.Context(), "pta"+name)
		wantErr(t, "token in "+name, err, []error{nil, accounts.ErrUnauthorized}[i])
	}
}

func testAccountDelete(s storeTest) {
	t, d, c := s.t, s.d, s.c
	create(t, d, accounts.Account{ID: id1, Context: accounts.Context{"k": "v"}, Grant: &accounts.Grant{AccessToken: "a"}})
	token(t, d, "pta", accounts.Token{ID: id2, AccountID: id1})
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken("l"), accounts.Link{ID: id3, Environment: "default", Integration: "example", AccountID: id1, ExpiresAt: c.Now().Add(time.Hour)}))
	wantErr(t, "stale", d.DeleteAccount(t.Context(), ops, "default", id1, 7), accounts.ErrConflict)
	_, n, err := d.Changes(t.Context(), 0)
	must(t, err)
	must(t, d.DeleteAccount(t.Context(), ops, "default", strings.ToUpper(id1), 1))
	changes, _, err := d.Changes(t.Context(), n)
	must(t, err)
	same(t, "changes", []accounts.Change{{Kind: accounts.ChangeToken, ID: id2}, {Kind: accounts.ChangeAccount, ID: id1}}, changes)
	wantErr(t, "again", d.DeleteAccount(t.Context(), ops, "default", id1, 0), accounts.ErrNotFound)
	_, err = d.Account(t.Context(), "default", id1)
	wantErr(t, "account", err, accounts.ErrNotFound)
	_, err = d.Authenticate(t.Context(), "pta")
	wantErr(t, "its token", err, accounts.ErrUnauthorized)
	_, err = d.Link(t.Context(), accounts.HashToken("l"))
	wantErr(t, "its link", err, accounts.ErrNotFound)
	used, err := d.KeysInUse(t.Context())
	must(t, err)
	same(t, "its secrets", map[string]int{}, used)
}

func testAccountPages(s storeTest) {
	t, d, c := s.t, s.d, s.c
	environment(t, d, "other")
	create(t, d, accounts.Account{Environment: "other"})
	var want []string
	for i := range 7 {
		if i%3 == 0 { // so that several have the same time
			c.add(time.Second)
		}
		a := accounts.Account{Integration: []string{"example", "second"}[i%2], TenantID: fmt.Sprint("t", i%3), Context: accounts.Context{"a": 1, "b": 2}}
		want = append(want, create(t, d, a).ID)
	}
	for _, block := range [][]string{want[0:3], want[3:6]} {
		slices.Sort(block)
	}
	for limit := 1; limit <= 8; limit++ {
		var got []string
		q := accounts.AccountQuery{PageQuery: accounts.PageQuery{Limit: limit}}
		for range 10 {
			page, err := d.Accounts(t.Context(), "default", q)
			must(t, err)
			if len(page.Items) > limit || len(page.Items) == 0 {
				t.Fatalf("limit %d: %d items", limit, len(page.Items))
			}
			for _, a := range page.Items {
				got = append(got, a.ID)
				same(t, "context", 2, len(a.Context))
				same(t, "fields", 2, len(a.Fields))
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
		same(t, fmt.Sprint("limit ", limit), want, got)
	}
	disabled := accounts.StatusDisabled
	_, err := d.UpdateAccount(t.Context(), ops, "default", want[6], accounts.AccountChange{Status: &disabled})
	must(t, err)
	for name, test := range map[string]struct {
		q    accounts.AccountQuery
		want int
	}{
		"integration":         {accounts.AccountQuery{Integration: "example"}, 4},
		"tenant":              {accounts.AccountQuery{TenantID: "t0"}, 3},
		"both":                {accounts.AccountQuery{Integration: "example", TenantID: "t0"}, 2},
		"active":              {accounts.AccountQuery{Status: accounts.StatusActive}, 6},
		"disabled":            {accounts.AccountQuery{Status: disabled, TenantID: "t0"}, 1},
		"nothing":             {accounts.AccountQuery{TenantID: "' OR '1'='1"}, 0},
		"not a wildcard":      {accounts.AccountQuery{TenantID: "%"}, 0},
		"more than there are": {accounts.AccountQuery{PageQuery: accounts.PageQuery{Limit: 1 << 30}}, 7},
	} {
		page, err := d.Accounts(t.Context(), "default", test.q)
		must(t, err)
		same(t, name, test.want, len(page.Items))
	}
	// A page never has more than MaxPage.
	same(t, "limits", []int{accounts.DefaultPage, accounts.DefaultPage, 3, accounts.MaxPage}, []int{
		limitOf(accounts.PageQuery{}), limitOf(accounts.PageQuery{Limit: -1}), limitOf(accounts.PageQuery{Limit: 3}), limitOf(accounts.PageQuery{Limit: 501}),
	})
}

func testLostUpdate(s storeTest) {
	t, d := s.t, s.d
	create(t, d, accounts.Account{ID: id1, Label: ""})
	const writers, each = 4, 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				a, err := d.AccountInfo(t.Context(), "default", id1)
				if err != nil {
					t.Error(err)
					return
				}
				label := a.Label + "x"
				_, err = d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{
					Version: a.Version, Label: &label, Context: accounts.Context{fmt.Sprintf("w%d-%d", w, done): "v"},
				})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, accounts.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	a, err := d.AccountInfo(t.Context(), "default", id1)
	must(t, err)
	same(t, "label, fields, version", []int{writers * each, writers * each, writers*each + 1}, []int{len(a.Label), len(a.Fields), int(a.Version)})
}

// testEnvironmentIsolation calls every method on an entry of another environment.
func testEnvironmentIsolation(s storeTest) {
	t, d, c := s.t, s.d, s.c
	environment(t, d, "other")
	create(t, d, accounts.Account{ID: id1, Context: accounts.Context{"k": "v"}})
	token(t, d, "ptl", accounts.Token{ID: id2})
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken("l"), accounts.Link{ID: id3, Environment: "default", Integration: "example", ExpiresAt: c.Now().Add(time.Hour)}))
	label := "taken"
	for name, call := range map[string]func(environment string) error{
		"Account":     func(e string) error { _, err := d.Account(t.Context(), e, id1); return err },
		"AccountInfo": func(e string) error { _, err := d.AccountInfo(t.Context(), e, id1); return err },
		"UpdateAccount": func(e string) error {
			_, err := d.UpdateAccount(t.Context(), ops, e, id1, accounts.AccountChange{Label: &label})
			return err
		},
		"DeleteAccount": func(e string) error { return d.DeleteAccount(t.Context(), ops, e, id1, 0) },
		"Token":         func(e string) error { _, err := d.Token(t.Context(), e, id2); return err },
		"RevokeToken":   func(e string) error { return d.RevokeToken(t.Context(), ops, e, id2) },
		"CreateToken": func(e string) error {
			_, err := d.CreateToken(t.Context(), ops, accounts.StoredToken{Token: accounts.Token{Environment: e, AccountID: id1}, Hash: accounts.HashToken(e)})
			return err
		},
		"CreateLink": func(e string) error {
			return d.CreateLink(t.Context(), ops, accounts.HashToken(e), accounts.Link{Environment: e, Integration: "example", AccountID: id1, ExpiresAt: c.Now().Add(time.Hour)})
		},
		"a link of another": func(e string) error {
			_, err := d.CreateAccount(t.Context(), ops, accounts.NewAccount{Account: accounts.Account{Environment: e, Integration: "example"}, Link: id3})
			return err
		},
	} {
		for _, e := range []string{"other", "none", "", "Default", "default\x00"} {
			err := call(e)
			if refused := strings.Contains(e, "\x00") && errors.Is(err, errInvalid); !refused && !errors.Is(err, accounts.ErrNotFound) {
				t.Errorf("%s in %q: error %v", name, e, err)
			}
		}
	}
	a, err := d.AccountInfo(t.Context(), "default", id1)
	must(t, err)
	same(t, "account", int64(1), a.Version)
	_, err = d.Link(t.Context(), accounts.HashToken("l"))
	must(t, err)
	for _, e := range []string{"other", "none", "", "default\x00"} {
		list, err := d.Accounts(t.Context(), e, accounts.AccountQuery{})
		must(t, err)
		tokens, err := d.Tokens(t.Context(), e, accounts.PageQuery{})
		must(t, err)
		if len(list.Items)+len(tokens.Items) > 0 {
			t.Errorf("%q lists %d accounts, %d tokens", e, len(list.Items), len(tokens.Items))
		}
	}
	entries, err := d.Audit(t.Context(), accounts.AuditQuery{Environment: "other"})
	must(t, err)
	same(t, "audit", []string{"environment.create"}, actions(entries.Items))
}

func actions(entries []accounts.AuditEntry) (out []string) {
	for _, e := range entries {
		out = append(out, e.Action)
	}
	return out
}

// testContexts: a cancelled call returns Canceled, one without time ErrUnavailable.
func testContexts(s storeTest) {
	t, d := s.t, s.d
	create(t, d, accounts.Account{ID: id1})
	for name, call := range map[string]func(context.Context) error{
		"read":  func(ctx context.Context) error { _, err := d.Account(ctx, "default", id1); return err },
		"write": func(ctx context.Context) error { return d.SetGrant(ctx, "default", id1, accounts.Grant{}) },
	} {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, name, call(cancelled), context.Canceled)
		if errors.Is(call(cancelled), accounts.ErrUnavailable) {
			t.Errorf("%s, cancelled: got ErrUnavailable", name)
		}
		over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		wantErr(t, name, call(over), accounts.ErrUnavailable)
	}
}
