package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
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
		"beside a false escape": func(s string) string { return `100% \x &; ` + slashes(s) + " %2" },
	}
	for _, secret := range []string{"aZ3/kk+Qw9/LmN0==", `key"with"quotes`, `<key>&'amp;`, "100%41+key", `back\slash\u0041`, "kéy with späce 😀", "%%%%%%", "&lt;&lt;", "???~~~key"} {
		for name, encode := range encodings {
			shown := gateway.Redact("before "+encode(secret)+" after", accounts.Secret(secret))
			if !strings.HasPrefix(shown, "before ") || !strings.HasSuffix(shown, " after") || !strings.Contains(shown, "***") {
				t.Errorf("%s of %s: %s", name, secret, shown)
			}
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
