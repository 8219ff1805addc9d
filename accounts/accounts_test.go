package accounts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

const (
	id1    = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
	id2    = "62f44730-dd91-461e-bd6a-aedd9e0ad79e"
	canary = "s3cr3t-canary-of-the-tests"
)

func newMemory(t *testing.T) *accounts.Memory {
	t.Helper()
	m, err := accounts.NewMemory([]accounts.StoredToken{
		{Token: accounts.Token{Name: "ci"}, Hash: accounts.HashToken(canary)},
		{Token: accounts.Token{Name: "live", Environment: "production"}, Hash: accounts.HashToken("other")},
	}, []accounts.Account{
		{ID: strings.ToUpper(id1), Integration: "example", Context: accounts.Context{"api_key": canary}},
		{ID: id2, Integration: "example", Environment: "production"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAuthenticate(t *testing.T) {
	m := newMemory(t)
	for token, want := range map[string]accounts.Token{
		canary:       {Name: "ci", Environment: "default"},
		"other":      {Name: "live", Environment: "production"},
		"":           {},
		"othe":       {},
		"other\n":    {},
		"OTHER":      {},
		canary + "x": {},
	} {
		got, err := m.Authenticate(t.Context(), token)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", token, diff)
		}
		if refused := want == (accounts.Token{}); errors.Is(err, accounts.ErrUnauthorized) != refused {
			t.Errorf("%q: error %v", token, err)
		}
	}
	// An empty token is refused even if the store holds its hash.
	empty, err := accounts.NewMemory([]accounts.StoredToken{{Hash: accounts.HashToken("")}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Authenticate(t.Context(), ""); !errors.Is(err, accounts.ErrUnauthorized) {
		t.Errorf("empty token: error %v", err)
	}
}

func TestAccount(t *testing.T) {
	m := newMemory(t)
	if err := m.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		environment, id string
		found           bool
	}{
		{"default", id1, true},
		{"default", strings.ToUpper(id1), true},
		{"production", id2, true},
		{"production", id1, false},
		{"default", id2, false},
		{"", id1, false},
		{"default", "", false},
		{"default", "62f44730-dd91-461e-bd6a-aedd9e0ad790", false},
	} {
		got, err := m.Account(t.Context(), tt.environment, tt.id)
		if errors.Is(err, accounts.ErrNotFound) == tt.found || (got.ID == strings.ToLower(tt.id)) != tt.found && tt.id != "" {
			t.Errorf("%+v: got %+v, %v", tt, got, err)
		}
	}
}

func TestNewMemoryCopies(t *testing.T) {
	list := []any{map[string]any{"a": "old"}}
	given := []accounts.Account{{ID: id1, Integration: "example", Context: accounts.Context{"list": list}}}
	m, err := accounts.NewMemory(nil, given)
	if err != nil {
		t.Fatal(err)
	}
	list[0].(map[string]any)["a"] = "new"
	given[0].Context["more"] = true
	got, err := m.Account(t.Context(), "default", id1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"list": []any{map[string]any{"a": "old"}}}
	if diff := cmp.Diff(want, map[string]any(got.Context)); diff != "" {
		t.Error(diff)
	}
}

func TestNewMemoryRefuses(t *testing.T) {
	_, err := accounts.NewMemory([]accounts.StoredToken{
		{Token: accounts.Token{Name: "ci"}, Hash: accounts.HashToken(canary)},
		{Token: accounts.Token{Name: "ci2"}, Hash: accounts.HashToken(canary)},
	}, []accounts.Account{{ID: id1}, {ID: strings.ToUpper(id1)}, {ID: "seven"}})
	want := "tokens \"ci\" and \"ci2\" are the same\naccount id " + id1 + " occurs twice\naccount id \"seven\" is not a valid UUID"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestConcurrent(t *testing.T) {
	m := newMemory(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				token, err := m.Authenticate(t.Context(), canary)
				account, err2 := m.Account(t.Context(), token.Environment, id1)
				if err != nil || err2 != nil || account.Context["api_key"] != canary {
					t.Error(token, err, account, err2)
				}
			}
		})
	}
	wg.Wait()
}

// bytesOf returns the bytes of s in decimal, as %v and %d print them.
func bytesOf(s string) string { return strings.Trim(fmt.Sprintf("%d", []byte(s)), "[]") }

// No way of printing an account, a token or a store shows a secret.
func TestNothingPrintsSecrets(t *testing.T) {
	file, found := accounts.LoadFile("a.yaml", []byte(`format: portolan/accounts/v1
tokens: [{name: ci, token: `+canary+`}]
accounts: [{id: `+id1+`, integration: example, context: {api_key: `+canary+`, deep: [{x: "${KEY}"}]}}]
`), func(string) (string, bool) { return canary, true }, accounts.Options{})
	if len(found) > 0 {
		t.Fatal(found)
	}
	account := file.Accounts[0]
	memory, err := accounts.NewMemory(file.Tokens, []accounts.Account{account.Account})
	if err != nil {
		t.Fatal(err)
	}
	hash := accounts.HashToken(canary)
	secrets := []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), bytesOf(canary),
		fmt.Sprintf("%x", hash[:]), bytesOf(string(hash[:])), "0x73, 0x33", fmt.Sprintf("%#x, %#x", hash[0], hash[1]),
	}
	for name, v := range map[string]any{
		"context": account.Context, "account": account.Account, "pointer": &account.Account, "file account": account,
		"hash": hash, "token": file.Tokens[0], "tokens": file.Tokens, "file": file, "store": memory, "store inside": struct{ Store any }{memory},
		"map": map[string]any{"a": account}, "list": []any{account.Context, file.Tokens[0]},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			fmt.Fprintln(&out, v)
			if s, ok := v.(fmt.Stringer); ok {
				out.WriteString(s.String())
			}
			if s, ok := v.(fmt.GoStringer); ok {
				out.WriteString(s.GoString())
			}
			encoded, err := json.Marshal(v)
			if err != nil {
				t.Error(err)
			}
			out.Write(encoded)
			slog.New(slog.NewTextHandler(&out, nil)).Info("text", slog.Any("v", v), slog.Group("g", slog.Any("v", v)))
			slog.New(slog.NewJSONHandler(&out, nil)).Info("json", slog.Any("v", v), slog.Group("g", slog.Any("v", v)))
			for _, secret := range secrets {
				if strings.Contains(out.String(), secret) {
					t.Errorf("shows %q in %s", secret, &out)
				}
			}
		})
	}
}
