package accounts_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/source"
)

func lookup(name string) (string, bool) {
	value, ok := map[string]string{"TOKEN": "t0ken-of-the-tests==", "KEY": canary, "EMPTY": "", "NESTED": "${KEY}", "BROKEN": canary + "\n"}[name]
	return value, ok
}

func TestLoadFile(t *testing.T) {
	const src = `# who may call
format: portolan/accounts/v1
tokens:
  - {name: ci, token: "${TOKEN}"}
  - name: büro
    sha256: 5E884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
    environment: production
accounts:
  - {id: 62F44730-dd91-461e-bd6a-aedd9e0ad79d, integration: example, base_url: "http://127.0.0.1:9000/api/v1/",
     context: {key: "a ${KEY}-${EMPTY}$b", größe: 9007199254740993, plain: 1.50, yes: true, none: null, day: 2026-01-02,
       list: ["${NESTED}", {x: ""}]}}
  - id: 62f44730-dd91-461e-bd6a-aedd9e0ad79e
    integration: other
    environment: 2026
`
	file, found := accounts.LoadFile("a.yaml", []byte(src), lookup, accounts.Options{AllowInsecureUpstreams: true})
	if len(found) > 0 {
		t.Fatal(found)
	}
	wantTokens := []accounts.StoredToken{
		{Token: accounts.Token{Name: "ci", Environment: "default"}, Hash: accounts.HashToken("t0ken-of-the-tests==")},
		{Token: accounts.Token{Name: "büro", Environment: "production"}, Hash: accounts.HashToken("password")},
	}
	if diff := cmp.Diff(wantTokens, file.Tokens); diff != "" {
		t.Error(diff)
	}
	want := []accounts.Account{
		{
			ID: id1, Integration: "example", Environment: "default", BaseURL: "http://127.0.0.1:9000/api/v1/",
			Context: accounts.Context{
				"key": "a " + canary + "-$b", "größe": json.Number("9007199254740993"), "plain": json.Number("1.50"), "yes": true, "none": nil,
				"day": "2026-01-02", "list": []any{"${KEY}", map[string]any{"x": ""}},
			},
		},
		{ID: id2, Integration: "other", Environment: "2026", Context: accounts.Context{}},
	}
	for i, a := range file.Accounts {
		if diff := cmp.Diff(want[i], a.Account); diff != "" || len(file.Accounts) != len(want) {
			t.Error(diff)
		}
	}
	for key, place := range map[string]string{
		"": "a.yaml:9:5", "integration": "a.yaml:9:61", "context": "a.yaml:10:15", "context.größe": "a.yaml:10:51", "nothing": "a.yaml:9:5",
	} {
		if got := file.Accounts[0].At(key).String(); got != place {
			t.Errorf("At(%q): want %s, got %s", key, place, got)
		}
	}
}

func TestLoadFileProblems(t *testing.T) {
	const head = "format: portolan/accounts/v1\n"
	account := func(rest string) string {
		return head + "accounts:\n  - {id: " + id1 + ", integration: example, " + rest + "}\n"
	}
	token := func(rest string) string { return head + "tokens:\n  - {name: ci, " + rest + "}\n" }
	for name, tt := range map[string]struct{ src, want string }{
		"empty":          {"", "1:1: E001-yaml-syntax: file is empty"},
		"no format":      {"tokens: []\n", "1:1: E010-missing-format: key \"format\" is missing (start the file with format: portolan/accounts/v1)"},
		"other format":   {"tokkens: []\nformat: portolan/accounts/v2\n", "2:9: E011-wrong-format: format is not \"portolan/accounts/v1\""},
		"a list":         {"- a\n", "1:1: E004-wrong-type: want an object, got a list"},
		"nothing":        {"---\n", "2:1: E004-wrong-type: want an object, got nothing"},
		"syntax":         {head + "tokens: [\n", "2:1: E001-yaml-syntax: did not find expected node content"},
		"not UTF-8":      {"\xff", "1:1: E001-yaml-syntax: file is not UTF-8 text"},
		"too large":      {strings.Repeat("#", 1<<20) + "\n", "1:1: E001-yaml-syntax: file is larger than 1048576 bytes"},
		"two documents":  {head + "---\n" + head, "2:1: E003-unsupported-yaml: a file must contain only one document"},
		"deep":           {head + "accounts: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "2:12: E004-wrong-type: want an object, got a list\n2:111: E003-unsupported-yaml: nested deeper than 100 levels"},
		"unquoted *":     {token("token: *" + canary), "3:1: E001-yaml-syntax: a value that starts with * must be quoted"},
		"anchor":         {token("token: &" + canary + " x"), "3:23: E003-unsupported-yaml: anchors and aliases are not supported (write the value out where it is needed, and quote text that starts with & or *)"},
		"tag":            {token("token: !" + canary + " x"), "3:23: E003-unsupported-yaml: tags are not supported (quote text that starts with !)"},
		"anchored list":  {head + "tokens: &" + canary + " [{}]\n", "2:9: E003-unsupported-yaml: anchors and aliases are not supported (write the value out where it is needed, and quote text that starts with & or *)"},
		"anchored key":   {head + "&" + canary + " tokens: []\n", "2:1: E003-unsupported-yaml: anchors and aliases are not supported (write the value out where it is needed, and quote text that starts with & or *)"},
		"secret format":  {"format: " + canary + "\n", `1:9: E011-wrong-format: format is not "portolan/accounts/v1"`},
		"merge key":      {account("<<: {a: b}"), "3:70: E003-unsupported-yaml: merge keys are not supported"},
		"unknown key":    {head + "acounts: []\n", `2:1: E012-unknown-key: unknown key "acounts" (did you mean "accounts"?)`},
		"strange key":    {token("sha256: " + strings.Repeat("0", 64) + ", zzz: b"), `3:90: E012-unknown-key: unknown key "zzz" (known keys: environment, name, sha256, token)`},
		"duplicate key":  {account("context: {a: " + canary + ", a: x}"), `3:111: E002-duplicate-key: key "a" occurs twice (first at line 3)`},
		"no list":        {head + "tokens: {}\n", "2:9: E004-wrong-type: want a list, got an object"},
		"no object":      {head + "tokens: [" + canary + "]\n", "2:10: E004-wrong-type: want an object, got a single value"},
		"no name":        {head + "tokens: [{token: \"${TOKEN}\"}]\n", `2:10: E005-missing-key: key "name" is missing`},
		"no token":       {head + "tokens: [{name: a}]\n", `2:10: E005-missing-key: key "token" or "sha256" is missing`},
		"both":           {token("token: " + canary + ", sha256: " + canary), "3:59: E006-bad-value: \"token\" and \"sha256\" exclude each other (keep one of them)\n3:59: E006-bad-value: sha256 is not 64 hexadecimal digits (printf %s \"$TOKEN\" | sha256sum)"},
		"short hash":     {token("sha256: abcd"), "3:24: E006-bad-value: sha256 is not 64 hexadecimal digits (printf %s \"$TOKEN\" | sha256sum)"},
		"token object":   {token("token: {a: " + canary + "}"), "3:23: E004-wrong-type: want a single value, got an object"},
		"token null":     {token("token: null"), "3:23: E004-wrong-type: want text, got nothing"},
		"token boolean":  {token("token: true"), "3:23: E004-wrong-type: want text, got boolean (quote it if text is meant)"},
		"token spaces":   {token(`token: "a ` + canary + `"`), "3:23: E006-bad-value: token is not a valid bearer token (one or more letters, digits and . _ ~ + / - , then any =)"},
		"token newline":  {token(`token: "${BROKEN}"`), "3:23: E006-bad-value: token is not a valid bearer token (one or more letters, digits and . _ ~ + / - , then any =)"},
		"token empty":    {token(`token: "${EMPTY}"`), "3:23: E006-bad-value: token is not a valid bearer token (one or more letters, digits and . _ ~ + / - , then any =)"},
		"token short":    {token("token: x234567890123456789"), "3:23: E006-bad-value: token has fewer than 20 characters: it can be guessed (openssl rand -hex 32)"},
		"token unset":    {token(`token: "x${NOPE}"`), "3:23: E080-unset-variable: environment variable NOPE is not set"},
		"token twice":    {token("token: "+canary) + "  - {name: two, token: " + canary + "}\n", "4:5: E082-duplicate-token: the same token occurs twice (first at line 3)"},
		"id":             {head + "accounts: [{id: seven, integration: x}]\n", "2:17: E006-bad-value: id is not a valid UUID (for example 62f44730-dd91-461e-bd6a-aedd9e0ad79d)"},
		"id twice":       {account("environment: a") + "  - {id: " + strings.ToUpper(id1) + ", integration: x}\n", "4:10: E081-duplicate-account: account id " + id1 + " occurs twice (first at line 3)"},
		"no id":          {head + "accounts: [{}]\n", "2:12: E005-missing-key: key \"id\" is missing\n2:12: E005-missing-key: key \"integration\" is missing"},
		"context list":   {account("context: []"), "3:79: E004-wrong-type: want an object, got a list"},
		"context unset":  {account("context: {a: [{b: \"${NOPE}" + canary + "\"}], c: \"${ALSO}\"}"), "3:88: E080-unset-variable: environment variable NOPE is not set\n3:130: E080-unset-variable: environment variable ALSO is not set"},
		"bad reference":  {account("context: {a: \"${no-name" + canary + "\"}"), "3:83: E006-bad-value: ${ is not followed by a variable's name and } (to write ${ itself, put the value into a variable)"},
		"octal":          {account("context: {a: 0o17}"), "3:83: E006-bad-value: this value is not a valid JSON number (quote it if text is meant)"},
		"infinity":       {account("context: {a: .inf}"), "3:83: E006-bad-value: this value is not a valid JSON number (quote it if text is meant)"},
		"empty base_url": {account("base_url: ''"), "3:80: E004-wrong-type: want text, got nothing"},
		"everything": {"tokens: [{nme: a}]\naccounts: [{integraton: b}]\n", strings.Join([]string{
			"1:1: E010-missing-format: key \"format\" is missing (start the file with format: portolan/accounts/v1)",
			`1:10: E005-missing-key: key "name" is missing`,
			`1:10: E005-missing-key: key "token" or "sha256" is missing`,
			`1:11: E012-unknown-key: unknown key "nme" (did you mean "name"?)`,
			`2:12: E005-missing-key: key "id" is missing`,
			`2:12: E005-missing-key: key "integration" is missing`,
			`2:13: E012-unknown-key: unknown key "integraton" (did you mean "integration"?)`,
		}, "\n")},
	} {
		t.Run(name, func(t *testing.T) {
			file, found := accounts.LoadFile("a.yaml", []byte(tt.src), lookup, accounts.Options{AllowInsecureUpstreams: true})
			lines := make([]string, len(found))
			for i, d := range found {
				lines[i] = strings.TrimPrefix(d.String(), "a.yaml:")
			}
			if diff := cmp.Diff(tt.want, strings.Join(lines, "\n")); diff != "" || file != nil {
				t.Errorf("file %v, %s", file, diff)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", found, found, found), canary) {
				t.Errorf("shows a secret: %v", found)
			}
		})
	}
}

// No diagnostic repeats a value, however it is written.
func TestDiagnosticsHideValues(t *testing.T) {
	const digits = "8675309"
	values := []string{
		canary, "*" + canary, "&" + canary + " x", "&x " + canary, "!" + canary + " x", "!!int " + canary, "!<" + canary, "'" + canary, `"` + canary,
		`"\z` + canary + `"`, "[" + canary + "]", "[" + canary, "{a: " + canary + "}", "{a: " + canary, "@" + canary, "%" + canary, "`" + canary,
		"|" + canary, "> " + canary, "a: " + canary, "\n" + canary + "\n" + canary, "\t" + canary + ": x",
		`"${NOPE}` + canary + `"`, `"${KEY} "`, "${" + canary, "0o" + digits, "0x" + digits, "1_" + digits, "." + digits + "e", "-." + digits,
		"https://u:" + canary + "@example.com/", "[[" + canary + "]]", "- " + canary, "<<: " + canary,
	}
	places := []string{
		"format: %s\n", "format: portolan/accounts/v1\ntokens: %s\n", "format: portolan/accounts/v1\naccounts: %s\n", "%s", "format: portolan/accounts/v1\n--- %s\n",
	}
	for _, key := range []string{"name", "environment", "token", "sha256", "nosuch"} {
		places = append(places, "format: portolan/accounts/v1\ntokens:\n  - name: x\n    "+key+": %s\n")
	}
	for _, key := range []string{"id", "integration", "environment", "base_url", "context", "nosuch"} {
		places = append(places, "format: portolan/accounts/v1\naccounts:\n  - "+key+": %s\n")
	}
	places = append(places, "format: portolan/accounts/v1\naccounts:\n  - context:\n      api_key: %s\n", "format: portolan/accounts/v1\naccounts:\n  - context: {a: [%s]}\n")
	reported := 0
	for _, place := range places {
		for _, value := range values {
			src := fmt.Sprintf(place, value)
			_, found := accounts.LoadFile("a.yaml", []byte(src), lookup, accounts.Options{AllowInsecureUpstreams: true})
			for _, d := range found {
				reported++
				if text := d.String(); strings.Contains(text, canary) || strings.Contains(text, digits) {
					t.Errorf("%q: %s", src, text)
				}
			}
		}
	}
	if reported < len(places)*len(values) {
		t.Errorf("only %d diagnostics", reported)
	}
}

func TestBaseURL(t *testing.T) {
	load := func(url string, opts accounts.Options) source.Diagnostics {
		_, found := accounts.LoadFile("a.yaml", []byte("format: portolan/accounts/v1\naccounts: [{id: "+id1+", integration: x, base_url: '"+url+"'}]\n"), lookup, opts)
		return found
	}
	const place = "[a.yaml:2:81: "
	if want, got := place+"E083-base-url-refused: an account cannot have its own base_url (--allow-insecure-upstreams allows it)]",
		fmt.Sprint(load("http://127.0.0.1", accounts.Options{})); got != want {
		t.Error(cmp.Diff(want, got))
	}
	for url, good := range map[string]bool{
		"http://127.0.0.1:9000/api/v1": true, "https://api.example.com/": true, "http://[::1]:80": true,
		"ftp://example.com": false, "example.com/api": false, "http://": false, "http://:80/": false, "/api": false,
		"http://u:" + canary + "@example.com": false, "http://example.com?": false, "http://example.com?a=" + canary: false,
		"http://example.com/#": false, "http://example.com/%zz": false, "http://${HOST}/": false,
	} {
		found := load(url, accounts.Options{AllowInsecureUpstreams: true})
		if good != (len(found) == 0) || strings.Contains(fmt.Sprint(found), canary) {
			t.Errorf("%s: %v", url, found)
		}
	}
}

func TestAtMost100Problems(t *testing.T) {
	_, found := accounts.LoadFile("a.yaml", []byte("format: portolan/accounts/v1\ntokens:\n"+strings.Repeat("  - a\n", 150)), lookup, accounts.Options{})
	if len(found) != 100 || found[99].Pos.Line != 102 {
		t.Errorf("got %v", found)
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add([]byte("format: portolan/accounts/v1\ntokens: [{name: ci, token: \"${TOKEN}\"}]\naccounts:\n  - {id: " + id1 + ", integration: x, context: {a: [1, \"${KEY}\"]}}\n"))
	f.Add([]byte("format: portolan/accounts/v1\naccounts: &a [*a, !x y, {<<: {}}, {? [a] : b}]\n"))
	f.Add([]byte("# nothing\n"))
	f.Add([]byte("--- |\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		file, found := accounts.LoadFile("a.yaml", src, lookup, accounts.Options{})
		if file == nil {
			if !found.Failed() {
				t.Fatalf("no file and no diagnostic: %v", found)
			}
			lines := strings.Count(string(src), "\n") + 2
			for _, d := range found {
				if d.Pos.Line < 1 || d.Pos.Line > lines || d.Pos.Col < 1 || strings.Contains(d.String(), canary) {
					t.Errorf("diagnostic %v", d)
				}
			}
			return
		}
		list := make([]accounts.Account, len(file.Accounts))
		for i, a := range file.Accounts {
			list[i] = a.Account
		}
		if _, err := accounts.NewMemory(file.Tokens, list); err != nil {
			t.Errorf("NewMemory refuses a valid file: %v", err)
		}
		for _, a := range list {
			if _, err := json.Marshal(map[string]any(a.Context)); err != nil {
				t.Errorf("context is not JSON: %v", err)
			}
		}
	})
}
