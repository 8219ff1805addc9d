package accounts_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

// printings returns v printed in every way that could leak it.
func printings(t *testing.T, v any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v", "%10v", "%.2s"} {
		args := []any{v}
		if verb == "%T %v" {
			args = append(args, v)
		}
		out[verb] = fmt.Sprintf(verb, args...)
	}
	out["Sprint"] = fmt.Sprint(v)
	out["Errorf"] = fmt.Errorf("bad: %v", v).Error()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out["json"] = string(text)
	var plain, asJSON bytes.Buffer
	slog.New(slog.NewTextHandler(&plain, nil)).Info("x", slog.Any("v", v), slog.Group("g", slog.Any("v", v)))
	slog.New(slog.NewJSONHandler(&asJSON, nil)).Info("x", slog.Any("v", v), slog.Group("g", slog.Any("v", v)))
	out["slog text"], out["slog json"] = plain.String(), asJSON.String()
	return out
}

// numbers returns b as fmt prints bytes.
func numbers(b any) string { return strings.Trim(fmt.Sprint(b), "[]") }

func TestMasks(t *testing.T) {
	const text = "s3cr3t-c4n4ry"
	hash := accounts.HashToken(text)
	forms := []string{
		text, hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))), hex.EncodeToString(hash[:]),
		strings.ToUpper(hex.EncodeToString(hash[:])), numbers([]byte(text)), numbers(hash[:]), string(hash[:]),
	}
	secret, context := accounts.Secret(text), accounts.Context{text: text, "nested": map[string]any{text: []any{text}}}
	grant := accounts.Grant{AccessToken: secret, RefreshToken: secret}
	link := accounts.Link{Verifier: secret, Context: context, Browser: hash}
	for name, v := range map[string]any{
		"secret": secret, "*secret": &secret, "secrets": []accounts.Secret{secret}, "by name": map[string]accounts.Secret{"a": secret},
		"any":     []any{secret},
		"context": context, "*context": &context, "contexts": []accounts.Context{context},
		"hash": hash, "*hash": &hash, "hashes": []accounts.Hash{hash},
		"grant": grant, "account": accounts.Account{Context: context, Grant: &grant}, "accounts": []accounts.Account{{Context: context, Grant: &grant}},
		"new account": accounts.NewAccount{Account: accounts.Account{Context: context}}, "change": accounts.AccountChange{Context: context, Grant: &grant},
		"token": accounts.StoredToken{Hash: hash}, "link": link, "*link": &link, "page": accounts.Page[accounts.Link]{Items: []accounts.Link{link}},
	} {
		for how, printed := range printings(t, v) {
			for _, form := range forms {
				if strings.Contains(printed, form) {
					t.Errorf("%s by %s shows %s: %s", name, how, form, printed)
				}
			}
		}
	}
	for _, v := range []any{secret, context, hash} {
		if got := printings(t, v); got["%v"] != "***" || got["%q"] != "***" || got["json"] != `"***"` || !strings.Contains(got["slog text"], "v=*** g.v=***") {
			t.Errorf("%T prints as %v", v, got)
		}
	}
	if secret.Reveal() != text {
		t.Error("the text is lost")
	}
}

func TestNewSecret(t *testing.T) {
	form := regexp.MustCompile(`^ptl_[0-9a-f]{8}_[A-Za-z0-9_-]{43}$`) // 256 bits
	seen := map[string]bool{}
	for range 100 {
		secret, prefix := accounts.NewSecret("ptl")
		text := secret.Reveal()
		if !form.MatchString(text) || !strings.HasPrefix(text, prefix+"_") || len(prefix) != len("ptl_1a2b3c4d") || seen[text] || seen[prefix] {
			t.Fatalf("%s, %s", text, prefix)
		}
		seen[text], seen[prefix] = true, true
	}
}

func TestNewID(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`) // RFC 9562 §5.4
	seen := map[string]bool{}
	for range 100 {
		id := accounts.NewID()
		if !form.MatchString(id) || seen[id] {
			t.Fatal(id)
		}
		seen[id] = true
	}
}

// TestPublic: no secret is shown, and every field is always present.
func TestPublic(t *testing.T) {
	const text = "s3cr3t-c4n4ry"
	account := accounts.Account{ID: id1, Status: accounts.StatusActive, Context: accounts.Context{"k": text}, Grant: &accounts.Grant{AccessToken: text}}
	for want, v := range map[string]interface{ Public() map[string]any }{
		`{"created_at":"0001-01-01T00:00:00Z","credentials":[],"environment":"","environment_id":"","id":"` + id1 + `","integration":"","label":"","last_error":null,"overrides":{},` +
			`"status":"active","tenant_id":"","updated_at":"0001-01-01T00:00:00Z","version":0}`: account,
		`{"created_at":"0001-01-01T00:00:00Z","created_by":null,"environment":"","environment_id":"","expires_at":null,"id":"",` +
			`"integrated_account_id":null,"last_used_at":null,"name":"","prefix":"","role":"","updated_at":"0001-01-01T00:00:00Z"}`: accounts.StoredToken{Hash: accounts.HashToken(text)},
		`{"allowed_origins":[],"created_at":"0001-01-01T00:00:00Z","id":"","label":"","logo":null,"name":"e","overrides":{},"slug":"e",` +
			`"team_id":null,"updated_at":"0001-01-01T00:00:00Z","version":0}`: accounts.Environment{Name: "e"},
		`null`: nil,
	} {
		if diff := cmp.Diff(want, string(accounts.PublicJSON(v))); diff != "" {
			t.Errorf("%T: %s", v, diff)
		}
	}
}
