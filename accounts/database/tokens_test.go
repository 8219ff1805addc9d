package database

import (
	"fmt"
	"strings"
	"time"

	"portolan/accounts"
)

func testAuthenticate(s storeTest) {
	t, d, c := s.t, s.d, s.c
	create(t, d, accounts.Account{ID: id1})
	ci := token(t, d, "ptl_ci", accounts.Token{Name: "ci", Prefix: "ptl_1"})
	admin := token(t, d, "ptl_admin", accounts.Token{Name: "ops", Role: accounts.RoleAdmin})
	short := token(t, d, "pta", accounts.Token{Name: "short", AccountID: strings.ToUpper(id1), ExpiresAt: c.Now().Add(time.Minute)})
	same(t, "made", accounts.Token{
		ID: short.ID, Name: "short", Environment: "default", EnvironmentID: environmentID(t, d, "default"), Role: accounts.RoleCall, AccountID: id1,
		ExpiresAt: c.Now().Add(time.Minute).Truncate(time.Microsecond), CreatedAt: at(c),
	}, short)
	for secret, want := range map[string]accounts.Token{"ptl_ci": ci, "ptl_admin": admin, "pta": short, "": {}, "ptl": {}, "PTA": {}, "ptb": {}, "pta\x00": {}} {
		got, err := d.Authenticate(t.Context(), secret)
		same(t, secret, want, got)
		if want == (accounts.Token{}) {
			wantErr(t, secret, err, accounts.ErrUnauthorized)
		}
	}
	c.add(time.Minute) // exactly its expiry
	_, err := d.Authenticate(t.Context(), "pta")
	wantErr(t, "expired", err, accounts.ErrUnauthorized)
	must(t, d.RevokeToken(t.Context(), ops, "default", ci.ID))
	_, err = d.Authenticate(t.Context(), "ptl_ci")
	wantErr(t, "revoked", err, accounts.ErrUnauthorized)
	wantErr(t, "revoked twice", d.RevokeToken(t.Context(), ops, "default", ci.ID), accounts.ErrNotFound)

	// Rows of another program: an unknown role is RoleCall, and the empty token is refused
	// even if its hash is stored.
	for i, role := range []string{"", "Admin", "root"} {
		hash := accounts.HashToken(fmt.Sprint("raw", i))
		_, err := d.write.ExecContext(t.Context(), `INSERT INTO api_token (`+tokenColumns+`) VALUES ($1, 'default', NULL, '', $2, '', $3, 0, 0, 0)`,
			accounts.NewID(), role, hash[:])
		must(t, err)
		got, err := d.Authenticate(t.Context(), fmt.Sprint("raw", i))
		must(t, err)
		same(t, role, accounts.RoleCall, got.Role)
	}
	nothing := accounts.HashToken("")
	_, err = d.write.ExecContext(t.Context(), `INSERT INTO api_token (`+tokenColumns+`) VALUES ($1, 'default', NULL, '', 'admin', '', $2, 0, 0, 0)`, accounts.NewID(), nothing[:])
	must(t, err)
	_, err = d.Authenticate(t.Context(), "")
	wantErr(t, "empty", err, accounts.ErrUnauthorized)
}

func testTokens(s storeTest) {
	t, d, c := s.t, s.d, s.c
	first := token(t, d, "1", accounts.Token{Name: "one"})
	c.add(time.Second)
	second := token(t, d, "2", accounts.Token{Name: "two", ExpiresAt: c.Now().Add(time.Hour)})
	c.add(time.Second)
	third := token(t, d, "3", accounts.Token{ID: strings.ToUpper(id1), Name: "three"})
	same(t, "id", id1, third.ID)
	page, err := d.Tokens(t.Context(), "default", accounts.PageQuery{Limit: 2})
	must(t, err)
	same(t, "page 1", []accounts.Token{first, second}, page.Items)
	page, err = d.Tokens(t.Context(), "default", accounts.PageQuery{Limit: 2, Cursor: page.Next})
	must(t, err)
	same(t, "page 2", accounts.Page[accounts.Token]{Items: []accounts.Token{third}}, page)
	got, err := d.Token(t.Context(), "default", strings.ToUpper(second.ID))
	must(t, err)
	same(t, "one", second, got)
	c.add(time.Hour)
	page, err = d.Tokens(t.Context(), "default", accounts.PageQuery{})
	must(t, err)
	same(t, "unexpired", []accounts.Token{first, third}, page.Items)
	c.add(48 * time.Hour) // long ago: deleted by the next CreateToken
	fourth := token(t, d, "4", accounts.Token{})
	_, err = d.Token(t.Context(), "default", second.ID)
	wantErr(t, "deleted", err, accounts.ErrNotFound)
	_, err = d.Token(t.Context(), "default", first.ID)
	must(t, err)

	for name, test := range map[string]struct {
		secret string
		tok    accounts.Token
		want   error
	}{
		"same secret":     {"4", accounts.Token{Environment: "default"}, accounts.ErrConflict},
		"same id":         {"5", accounts.Token{ID: fourth.ID, Environment: "default"}, accounts.ErrConflict},
		"no environment":  {"5", accounts.Token{Environment: "none"}, accounts.ErrNotFound},
		"no account":      {"5", accounts.Token{Environment: "default", AccountID: id2}, accounts.ErrNotFound},
		"invalid account": {"5", accounts.Token{Environment: "default", AccountID: "x"}, accounts.ErrNotFound},
		"invalid role":    {"5", accounts.Token{Environment: "default", Role: "root"}, errInvalid},
		"account's admin": {"5", accounts.Token{Environment: "default", AccountID: id2, Role: accounts.RoleAdmin}, errInvalid},
		"NUL in the name": {"5", accounts.Token{Environment: "default", Name: "\x00"}, errInvalid},
		"invalid id":      {"5", accounts.Token{Environment: "default", ID: "x"}, errInvalid},
	} {
		_, err := d.CreateToken(t.Context(), ops, accounts.StoredToken{Token: test.tok, Hash: accounts.HashToken(test.secret)})
		wantErr(t, name, err, test.want)
	}
	_, err = d.Authenticate(t.Context(), "5")
	wantErr(t, "refused ones", err, accounts.ErrUnauthorized)
	for _, id := range []string{id3, "none"} {
		_, err = d.Token(t.Context(), "default", id)
		wantErr(t, "none", err, accounts.ErrNotFound)
		wantErr(t, "none", d.RevokeToken(t.Context(), ops, "default", id), accounts.ErrNotFound)
	}
}

func testTouch(s storeTest) {
	t, d, c := s.t, s.d, s.c
	tok := token(t, d, "1", accounts.Token{})
	_, n, err := d.Changes(t.Context(), 0)
	must(t, err)
	used := at(c).Add(time.Minute)
	must(t, d.TouchTokens(t.Context(), map[string]time.Time{tok.ID: used, id1: used, "\x00": used}))
	must(t, d.TouchTokens(t.Context(), map[string]time.Time{tok.ID: used.Add(-time.Hour)})) // a replica whose clock is behind
	must(t, d.TouchTokens(t.Context(), nil))
	got, err := d.Token(t.Context(), "default", tok.ID)
	must(t, err)
	same(t, "last used", used, got.LastUsedAt)
	_, after, err := d.Changes(t.Context(), 0)
	must(t, err)
	same(t, "no change", n, after)
}
