package accounts_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"portolan/accounts"
)

// key returns a key of 32 equal bytes, as ParseKeyring reads it.
func key(id string, of byte) string {
	return id + ":" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{of}, 32))
}

func parse(t *testing.T, text string) *accounts.Keyring {
	t.Helper()
	k, err := accounts.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSeal(t *testing.T) {
	k := parse(t, key("k1", 1))
	seen := map[string]bool{}
	for _, plain := range []string{"", "s3cr3t", "\x00\xff", strings.Repeat("x", 1<<20), "s3cr3t"} {
		sealed := k.Seal("owner", "field", []byte(plain))
		if got, err := k.Open("owner", "field", sealed); err != nil || string(got) != plain {
			t.Errorf("%.10q comes back as %.10q, %v", plain, got, err)
		}
		if !strings.HasPrefix(sealed, "k1.") || accounts.SealedWith(sealed) != "k1" || strings.Contains(sealed, "s3cr3t") || seen[sealed] {
			t.Errorf("sealed as %.50s", sealed)
		}
		seen[sealed] = true
	}
}

func TestOpenRefuses(t *testing.T) {
	k := parse(t, key("k1", 1))
	sealed := k.Seal("owner", "field", []byte("s3cr3t"))
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(sealed, "k1."))
	if err != nil {
		t.Fatal(err)
	}
	type attempt struct {
		keys, owner, field, sealed string
		want                       error
	}
	attempts := map[string]attempt{
		"another owner":        {key("k1", 1), "owner2", "field", sealed, accounts.ErrSeal},
		"another field":        {key("k1", 1), "owner", "field2", sealed, accounts.ErrSeal},
		"shifted boundary":     {key("k1", 1), "ownerf", "ield", sealed, accounts.ErrSeal},
		"no owner":             {key("k1", 1), "", "field", sealed, accounts.ErrSeal},
		"another key, same id": {key("k1", 2), "owner", "field", sealed, accounts.ErrSeal},
		"missing key":          {key("k2", 1), "owner", "field", sealed, accounts.ErrUnknownKey},
		"id of another key":    {key("k1", 1) + "," + key("k2", 2), "owner", "field", "k2" + sealed[2:], accounts.ErrSeal},
		"no key id":            {key("k1", 1), "owner", "field", sealed[3:], accounts.ErrUnknownKey},
		"empty":                {key("k1", 1), "owner", "field", "", accounts.ErrUnknownKey},
		"only a key id":        {key("k1", 1), "owner", "field", "k1.", accounts.ErrSeal},
		"not base64":           {key("k1", 1), "owner", "field", "k1.!!", accounts.ErrSeal},
		"shorter than a nonce": {key("k1", 1), "owner", "field", "k1.AAAA", accounts.ErrSeal},
		"cut":                  {key("k1", 1), "owner", "field", sealed[:len(sealed)-4], accounts.ErrSeal},
		"plain text":           {key("k1", 1), "owner", "field", `"s3cr3t"`, accounts.ErrUnknownKey},
	}
	for i := range raw { // every byte is authenticated
		altered := bytes.Clone(raw)
		altered[i] ^= 1
		attempts[fmt.Sprint("byte ", i)] = attempt{key("k1", 1), "owner", "field", "k1." + base64.RawURLEncoding.EncodeToString(altered), accounts.ErrSeal}
	}
	for name, a := range attempts {
		got, err := parse(t, a.keys).Open(a.owner, a.field, a.sealed)
		if !errors.Is(err, a.want) || got != nil {
			t.Errorf("%s: %q, %v; want %v", name, got, err, a.want)
		}
	}
}

func TestRotatedKeys(t *testing.T) {
	before := parse(t, key("old", 1))
	sealed := before.Seal("o", "f", []byte("v"))
	after := parse(t, key("new", 2)+"\n"+key("old", 1))
	if got, err := after.Open("o", "f", sealed); string(got) != "v" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if after.Newest() != "new" || accounts.SealedWith(after.Seal("o", "f", nil)) != "new" {
		t.Error("the first key is not the newest")
	}
	if !after.Has("old") || !after.Has("new") || after.Has("") || after.Has("o") {
		t.Error("Has is wrong")
	}
	if _, err := before.Open("o", "f", after.Seal("o", "f", nil)); !errors.Is(err, accounts.ErrUnknownKey) || !strings.Contains(err.Error(), `"new"`) {
		t.Errorf("error %v", err)
	}
}

func TestParseKeyring(t *testing.T) {
	for name, text := range map[string]string{
		"one": key("a", 1), "commas": key("a", 1) + "," + key("b", 2), "lines": key("a", 1) + "\r\n\n" + key("b", 2) + "\n",
		"blanks and tabs": "  " + key("a", 1) + " \t,, " + key("b", 2), "comments": "# newest first\n" + key("a", 1) + "\n  # old:key\n" + key("b", 2),
		"longest id": key(strings.Repeat("x", 31)+"_", 1),
	} {
		if _, err := accounts.ParseKeyring(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const secret = "c2VjcmV0LWNhbmFyeS1zZWNyZXQtY2FuYXJ5LXNlY3JldA"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":        {"", []string{"no master key is given"}},
		"only a comment": {"# " + key("a", 1), []string{"no master key is given"}},
		"no id":          {secret, []string{"master key 1 is not <id>:<base64 of 32 bytes>"}},
		"empty id":       {":" + secret, []string{"master key 1 is not"}},
		"the key first":  {secret + ":a", []string{"master key 1 is not"}},
		"id with a dot":  {key("a", 1) + "," + key("a.b", 1), []string{"master key 2 is not"}},
		"id too long":    {key(strings.Repeat("x", 33), 1), []string{"master key 1 is not"}},
		"short":          {"a:" + base64.StdEncoding.EncodeToString(make([]byte, 31)), []string{`master key "a" is not the base64 of 32 bytes`}},
		"long":           {"a:" + base64.StdEncoding.EncodeToString(make([]byte, 33)), []string{`master key "a" is not`}},
		"not base64":     {"a:" + secret + "!", []string{`master key "a" is not`}},
		"no padding":     {strings.TrimRight(key("a", 1), "="), []string{`master key "a" is not`}},
		"twice":          {key("a", 1) + "," + key("a", 2), []string{`master key "a" occurs twice`}},
		"all at once":    {secret + ",b:" + secret + "," + key("c", 1) + "," + key("c", 1), []string{"master key 1 is not", `"b" is not`, `"c" occurs twice`}},
	} {
		k, err := accounts.ParseKeyring(test.text)
		if k != nil || err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %s", name, err, want)
			}
		}
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "AQEBAQ") {
			t.Errorf("%s: the error shows a key: %v", name, err)
		}
	}
}

func TestNewKey(t *testing.T) {
	one, err := accounts.NewKey("2026-03")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := accounts.NewKey("2026-04")
	parse(t, one+"\n"+two)
	if one[8:] == two[8:] {
		t.Error("two keys are the same")
	}
	for _, id := range []string{"", "a b", "a:b", "a.b", "a\n", "ä", strings.Repeat("x", 33)} {
		if text, err := accounts.NewKey(id); err == nil {
			t.Errorf("%q returns %q", id, text)
		}
	}
}

func TestKeyringMask(t *testing.T) {
	for how, printed := range map[string]string{
		"%v": fmt.Sprintf("%v", parse(t, key("a", 65))), "%+v": fmt.Sprintf("%+v", parse(t, key("a", 65))), "%#v": fmt.Sprintf("%#v", parse(t, key("a", 65))),
		"%s": fmt.Sprintf("%s", parse(t, key("a", 65))), "%x": fmt.Sprintf("%x", parse(t, key("a", 65))), "slog": parse(t, key("a", 65)).LogValue().String(),
	} {
		if printed != "1 master keys" {
			t.Errorf("%s prints %s", how, printed)
		}
	}
}

// FuzzParseKeyring: an accepted keyring seals and opens; an error shows no key.
func FuzzParseKeyring(f *testing.F) {
	for _, text := range []string{"", "#", key("a", 1), key("a", 1) + "," + key("b", 2), "a:b", ":", "a:\xff", key("a", 1) + ",\x00", "\u2028" + key("a", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := accounts.ParseKeyring(text)
		if err != nil {
			if _, encoded, ok := strings.Cut(text, ":"); ok && len(encoded) > 20 && strings.Contains(err.Error(), encoded) {
				t.Errorf("the error shows a key: %v", err)
			}
			return
		}
		got, err := k.Open("o", "f", k.Seal("o", "f", []byte("v")))
		if err != nil || string(got) != "v" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
