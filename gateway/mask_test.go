package gateway_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/gateway"
)

// A secret is found in every usual encoding, and in encodings over each other.
func TestRedactEncodings(t *testing.T) {
	asJSON := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	}
	everyRune := func(format string) func(string) string {
		return func(s string) string {
			var out strings.Builder
			for _, r := range s {
				fmt.Fprintf(&out, format, r)
			}
			return out.String()
		}
	}
	everyUnit := func(s string) string {
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune(s)) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
		return out.String()
	}
	everyByte := func(s string) string {
		var out strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&out, "%%%02x", c)
		}
		return out.String()
	}
	slashes := func(s string) string { return strings.ReplaceAll(asJSON(s), "/", `\/`) }
	encodings := map[string]func(string) string{
		"plain":                 func(s string) string { return s },
		"JSON":                  asJSON,
		"JSON with slashes":     slashes,
		"JSON in JSON":          func(s string) string { return slashes(slashes(s)) },
		"JSON in JSON in JSON":  func(s string) string { return slashes(slashes(slashes(s))) },
		"every rune as \\u":     everyUnit,
		"HTML":                  html.EscapeString,
		"HTML in JSON":          func(s string) string { return slashes(html.EscapeString(s)) },
		"decimal entities":      everyRune("&#%d;"),
		"hexadecimal entities":  everyRune("&#x%X;"),
		"query":                 url.QueryEscape,
		"path":                  url.PathEscape,
		"lower-case percent":    everyByte,
		"a lower-case query":    func(s string) string { return strings.ReplaceAll(everyByte(s), "%20", "+") },
		"percent twice":         func(s string) string { return everyByte(everyByte(s)) },
		"percent in HTML":       func(s string) string { return html.EscapeString(everyByte(s)) },
		"base64":                func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 for URLs":       func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"base64 with slashes":   func(s string) string { return slashes(base64.StdEncoding.EncodeToString([]byte(s))) },
		"base64 in a query":     func(s string) string { return everyByte(base64.StdEncoding.EncodeToString([]byte(s))) },
		"base64 after a byte":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(":" + s + ";")) },
		"base64 after two":      func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("k=" + s + ";")) },
		"hex":                   func(s string) string { return hex.EncodeToString([]byte(s)) },
		"upper-case hex":        func(s string) string { return fmt.Sprintf("%X", s) },
		"beside a false escape": func(s string) string { return `100% \x &; ` + slashes(s) + " %2" },
	}
	for _, secret := range []string{"aZ3/kk+Qw9/LmN0==", `key"with"quotes`, `<key>&'amp;`, "100%41+key", `back\slash\u0041`, "kéy with späce 😀", "%%%%%%%%", "&lt;&lt;", "???~~~key"} {
		for name, encode := range encodings {
			shown := gateway.Redact("before "+encode(secret)+" after", accounts.Secret(secret))
			if !strings.HasPrefix(shown, "before ") || !strings.HasSuffix(shown, " after") || !strings.Contains(shown, "***") {
				t.Errorf("%s of %s: %s", name, secret, shown)
			}
		}
	}
}

// A secret of less than eight bytes is masked where it is a whole value, in every encoding.
func TestRedactShortSecrets(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"abc-1", "***"},
		{"bad key abc-1.", "bad key ***."},
		{`{"key":"abc-1","as":["\u0061bc-1"]}`, `{"key":"***","as":["***"]}`},
		{"a=abc-1&b=abc%2d1", "a=***&b=***"},
		{"YWJjLTE= 6162632d31", "***= ***"},
		{"xabc-1 abc-1x abc-12 abc-1-2 éabc-1", "xabc-1 abc-1x abc-12 abc-1-2 éabc-1"},
		{"abc-1abc-1 abc-1", "abc-1abc-1 ***"},
	} {
		if got := gateway.Redact(tt.text, "abc-1"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
	if got := gateway.Redact("1234567 and 12345678, x1234567 and x12345678", "1234567", "12345678"); got != "*** and ***, x1234567 and x***" {
		t.Error(got)
	}
}

// A body of 512 KiB is masked in a time in proportion to its size, whatever it consists of.
func TestRedactCost(t *testing.T) {
	secrets := make([]accounts.Secret, 20)
	for i := range secrets {
		secrets[i] = accounts.Secret(strings.Repeat("a", 40+i) + "b")
	}
	secrets = append(secrets, "aaaa")
	for _, part := range []string{"a", "aaaab", `\`, `\u0061`, "&", "&#97;", "%", "%61", "%2561", "aaaa ", `\\\\u005cu0061`} {
		small, large := strings.Repeat(part, (32<<10)/len(part)), strings.Repeat(part, (512<<10)/len(part))
		cost := func(text string) time.Duration {
			least := time.Hour
			for range 2 {
				start := time.Now()
				gateway.Redact(text, secrets...)
				least = min(least, time.Since(start))
			}
			return least
		}
		if few, many := cost(small), cost(large); many > 100*few+time.Second {
			t.Errorf("%q: %v for 32 KiB, %v for 512 KiB", part, few, many)
		}
	}
}

// Text without a secret is shown as it came.
func TestRedactLeavesTheRest(t *testing.T) {
	for _, text := range []string{"", `a\/b`, "a%2Fb", "a&amp;b+c", `\`, `\u12`, "%", "%4", "&", `\ud83d\ude00 \ud83d`} {
		if diff := cmp.Diff(text, gateway.Redact(text, "secret-key")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if got := gateway.Redact(`a\/b secret-key c%2Fd`, "secret-key"); got != `a\/b *** c%2Fd` {
		t.Errorf("the rest is decoded: %s", got)
	}
}
