package database

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"portolan/accounts"
)

// testHostileText stores text that could break SQL.
func testHostileText(s storeTest) {
	t, d := s.t, s.d
	for _, text := range []string{`'; DROP TABLE credential; --`, `"`, `\`, `$1`, `%s`, "\n\t\r", "\u2028", "😀", strings.Repeat("x", 100_000)} {
		a := create(t, d, accounts.Account{Label: text, TenantID: text, Context: accounts.Context{text: text}})
		got, err := d.Account(t.Context(), "default", a.ID)
		must(t, err)
		if got.Label != text || got.TenantID != text || got.Context[text] != text {
			t.Errorf("%.40q is read as %.40q", text, got.Label)
		}
		page, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{TenantID: text})
		must(t, err)
		same(t, "found again", 1, len(page.Items))
	}
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

var hostileCursors = []string{
	"x", "!!", "=", encode("1"), encode("/"), encode("1/"), encode("/a"), encode("x/a"), encode("1/\x00"), encode("1/\xff"),
	encode("9223372036854775808/a"), encode("1 /a"), encode("1/a") + "\n", encode("1/a") + "==", strings.Repeat("A", 100_000),
}

func testHostileCursors(s storeTest) {
	t, d := s.t, s.d
	for _, text := range append(hostileCursors, "\x00") {
		p := accounts.PageQuery{Cursor: text}
		_, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{PageQuery: p})
		wantErr(t, "accounts "+text, err, accounts.ErrCursor)
		_, err = d.Tokens(t.Context(), "default", p)
		wantErr(t, "tokens "+text, err, accounts.ErrCursor)
		_, err = d.Environments(t.Context(), p)
		wantErr(t, "environments "+text, err, accounts.ErrCursor)
		_, err = d.Audit(t.Context(), accounts.AuditQuery{PageQuery: p})
		wantErr(t, "audit "+text, err, accounts.ErrCursor)
	}
	_, err := d.Audit(t.Context(), accounts.AuditQuery{PageQuery: accounts.PageQuery{Cursor: encode("1/" + id1)}})
	wantErr(t, "another list's", err, accounts.ErrCursor)
	page, err := d.Accounts(t.Context(), "default", accounts.AccountQuery{PageQuery: accounts.PageQuery{Cursor: encode("-9223372036854775808/'")}})
	must(t, err)
	same(t, "an extreme cursor", 0, len(page.Items))
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range hostileCursors {
		f.Add(text)
	}
	f.Add(cursorOf(time.UnixMicro(1), id1))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			wantErr(t, text, err, accounts.ErrCursor)
			return
		}
		if again, err := parseCursor(encode(strconv.FormatInt(c.at, 10) + "/" + c.id)); err != nil || again != c {
			t.Errorf("%q is %v, then %v, %v", text, c, again, err)
		}
	})
}
