package database

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"portolan/accounts"
)

// everyChange makes a change of each kind, with canary in place of every secret.
func everyChange(t *testing.T, d *DB, now time.Time, canary string) {
	t.Helper()
	secret := accounts.Secret(canary)
	environment(t, d, "live")
	label := "label"
	_, err := d.UpdateEnvironment(t.Context(), ops, "live", accounts.EnvironmentChange{Label: &label})
	must(t, err)
	create(t, d, accounts.Account{
		ID: id1, Context: accounts.Context{"api_key": canary, "deep": map[string]any{canary: canary}},
		Grant: &accounts.Grant{AccessToken: secret, RefreshToken: secret},
	})
	_, err = d.UpdateAccount(t.Context(), ops, "default", id1, accounts.AccountChange{Label: &label, Context: accounts.Context{"other": canary}, Grant: &accounts.Grant{AccessToken: secret}})
	must(t, err)
	must(t, d.SetGrant(t.Context(), "default", id1, accounts.Grant{AccessToken: secret, RefreshToken: secret}))
	must(t, d.NeedsReauth(t.Context(), accounts.Actor{Name: "portolan"}, "default", id1, secret, "refused"))
	token(t, d, canary, accounts.Token{ID: id1, Name: "ci", Prefix: "ptl_1"})
	token(t, d, canary+"2", accounts.Token{ID: id2, AccountID: id1})
	must(t, d.RevokeToken(t.Context(), ops, "default", id1))
	l := accounts.Link{ID: id3, Environment: "default", Integration: "example", ExpiresAt: now.Add(time.Hour)}
	must(t, d.CreateLink(t.Context(), ops, accounts.HashToken(canary), l))
	must(t, d.BeginConsent(t.Context(), id3, accounts.HashToken(canary), accounts.Link{Verifier: secret, Context: accounts.Context{"k": canary}}))
}

func testAudit(s storeTest) {
	t, d, c := s.t, s.d, s.c
	const canary = "c4n4ry"
	everyChange(t, d, c.Now(), canary)
	must(t, d.DeleteAccount(t.Context(), ops, "default", id1, 0))
	must(t, d.DeleteEnvironment(t.Context(), ops, "live", 0))
	var all []accounts.AuditEntry
	q := accounts.AuditQuery{PageQuery: accounts.PageQuery{Limit: 4}}
	for {
		page, err := d.Audit(t.Context(), q)
		must(t, err)
		all = append(all, page.Items...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	same(t, "actions", []string{
		"environment.delete", "integrated-account.delete", "link.create", "api-token.revoke", "integrated-account-token.create", "api-token.create",
		"integrated-account.needs-reauth", "integrated-account.update", "integrated-account.create", "environment.update", "environment.create",
	}, actions(all))
	text, err := json.Marshal(all)
	must(t, err)
	hash := accounts.HashToken(canary)
	for _, secret := range []string{canary, string(hash[:])} {
		if strings.Contains(string(text), secret) {
			t.Error("the audit shows a secret")
		}
	}
	first := all[len(all)-3]
	var after map[string]any
	must(t, json.Unmarshal(first.After, &after))
	same(t, "after", "example", after["integration"])
	first.After = nil
	same(t, "entry", accounts.AuditEntry{
		ID: first.ID, At: at(c), Environment: "default", EnvironmentID: environmentID(t, d, "default"), Actor: ops.Name, RequestID: "r-1",
		Action: "integrated-account.create", Subject: id1, Before: json.RawMessage("null"),
	}, first)
	var before, later map[string]any
	must(t, json.Unmarshal(all[7].Before, &before))
	must(t, json.Unmarshal(all[7].After, &later))
	same(t, "update", []any{"", 1.0, "label", 2.0}, []any{before["label"], before["version"], later["label"], later["version"]})
	same(t, "delete leaves null", "null", string(all[1].After))

	for name, test := range map[string]struct {
		q    accounts.AuditQuery
		want int
	}{
		"environment": {accounts.AuditQuery{Environment: "live"}, 3},
		"subject":     {accounts.AuditQuery{Subject: id2}, 1},
		"both":        {accounts.AuditQuery{Environment: "live", Subject: id1}, 0},
		"NUL":         {accounts.AuditQuery{Subject: "\x00"}, 0},
	} {
		page, err := d.Audit(t.Context(), test.q)
		must(t, err)
		same(t, name, test.want, len(page.Items))
	}
}

func printed(v any) []string {
	return []string{fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), fmt.Sprintf("%s", v), slog.AnyValue(v).Resolve().String()}
}

func testMasks(s storeTest) {
	t, d := s.t, s.d
	const secret = "AAAAAAAA" // of the master key
	for _, text := range printed(d) {
		if strings.Contains(text, secret) || strings.Contains(text, "postgres://") {
			t.Errorf("a DB prints %s", text)
		}
	}
}
