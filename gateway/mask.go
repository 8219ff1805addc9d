package gateway

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"portolan/accounts"
	"portolan/engine"
	"portolan/plain"
)

const masked = "***"

// minSecret is the shortest secret that is masked in text, in bytes: shorter ones could be ordinary
// words.
const minSecret = 6

// maxRawText is the longest shown text of a body that is not JSON, in bytes.
const maxRawText = 64 << 10

// maxEncodings is how many encodings over each other are undone to find a secret.
const maxEncodings = 3

// escapes are the bytes with which escapes and entities begin.
const escapes = `\&%`

// redact masks the account's secrets, and the authorization computed from them, in text.
func (r *Report) redact(text string) string { return redact(text, r.secretForms()) }

// shownBody returns a body without the account's secrets, as the function shownBody does.
func (r *Report) shownBody(body []byte) (shown any, cut bool) {
	return shownBody(body, r.secretForms())
}

func (r *Report) secretForms() []string {
	if r == nil || r.secrets == nil {
		return nil
	}
	return r.secrets()
}

// Redact masks the secrets in text.
func Redact(text string, secrets ...accounts.Secret) string {
	return redact(text, secretForms(accounts.Account{}, nil, secrets, nil))
}

// redact masks secrets in text. Text that shows one only after its escapes or entities are undone
// is returned without them, and masked.
func redact(text string, secrets []string) string {
	text = replaceSecrets(text, secrets)
	if len(secrets) == 0 || !strings.ContainsAny(text, escapes) {
		return text
	}
	decoders := []func(string) string{unescapeBackslashes, html.UnescapeString, unescapePercent, unescapeQuery}
	for _, decode := range decoders {
		if decoded := decode(text); containsSecret(decoded, secrets) {
			text = replaceSecrets(decoded, secrets)
		}
	}
	decoded := text
	for range maxEncodings {
		before := decoded
		for _, decode := range decoders[:len(decoders)-1] {
			if decoded = decode(decoded); containsSecret(decoded, secrets) {
				decoded = replaceSecrets(decoded, secrets)
				text = decoded
			}
		}
		if decoded == before {
			break
		}
	}
	return text
}

func replaceSecrets(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, masked)
	}
	return text
}

func containsSecret(text string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(text, secret) })
}

// unescapeBackslashes undoes the escapes of JSON. Others are left as they are.
func unescapeBackslashes(text string) string {
	at := strings.IndexByte(text, '\\')
	if at < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)), text[:at]...)
	for at < len(text) {
		c, next := text[at], byte(0)
		if at+1 < len(text) {
			next = text[at+1]
		}
		at++
		if c != '\\' {
			out = append(out, c)
			continue
		}
		switch next {
		case '"', '\\', '/':
			out, at = append(out, next), at+1
		case 'b', 'f', 'n', 'r', 't':
			out, at = append(out, "\b\f\n\r\t"[strings.IndexByte("bfnrt", next)]), at+1
		case 'u':
			r, n := escapedRune(text[at:])
			if n == 0 {
				out = append(out, c)
				continue
			}
			out, at = utf8.AppendRune(out, r), at+n
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

// escapedRune reads "uXXXX", or "uXXXX\uXXXX" for a surrogate pair, at the start of text, and returns
// its length; 0 if it is not valid.
func escapedRune(text string) (r rune, n int) {
	const length = len("uXXXX")
	unit := func(text string) rune {
		if len(text) < length || text[0] != 'u' {
			return -1
		}
		return hexNumber(text[1:length])
	}
	r = unit(text)
	if r < 0 {
		return 0, 0
	}
	if rest, ok := strings.CutPrefix(text[length:], `\`); ok && utf16.IsSurrogate(r) {
		if pair := utf16.DecodeRune(r, unit(rest)); pair != utf8.RuneError {
			return pair, 2*length + 1
		}
	}
	return r, length // half of a pair becomes U+FFFD
}

// unescapeQuery undoes the encoding of queries and forms.
func unescapeQuery(text string) string { return unescapePercent(strings.ReplaceAll(text, "+", " ")) }

// unescapePercent undoes the percent-encoding of URLs. What is not a valid escape is left as it is.
func unescapePercent(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if c := hexNumber(text[i+1 : i+3]); c >= 0 {
				out = append(out, byte(c&0xff))
				i += 2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// hexNumber returns the number that the hexadecimal digits are; -1 if there is another character.
func hexNumber(digits string) rune {
	var n rune
	for _, c := range []byte(digits) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		n = n<<4 | rune(c)
	}
	return n
}

// secretForms returns secrets in all forms in which text may contain them, longest first. Escapes
// that redact undoes need no form of their own; the usual ones have one, so that the text around
// them is shown as it came.
func secretForms(account accounts.Account, credentials []engine.Credential, more []accounts.Secret, steps []engine.StepResult) []string {
	var out []string
	add := func(s string) {
		quoted, _ := json.Marshal(s) // a string: cannot fail
		for _, form := range []string{
			s, url.QueryEscape(s), string(quoted[1 : len(quoted)-1]),
			base64.RawStdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		} {
			if len(form) >= minSecret && !slices.Contains(out, form) {
				out = append(out, form)
			}
		}
	}
	for _, c := range credentials {
		if v, ok := account.Context[c.Name].(string); ok && c.Secret {
			add(v)
		}
	}
	if grant := account.Grant; grant != nil {
		add(grant.AccessToken.Reveal())
		add(grant.RefreshToken.Reveal())
	}
	for _, s := range more {
		add(s.Reveal())
	}
	for _, s := range steps {
		if s.Call == nil {
			continue
		}
		for _, p := range slices.Concat(s.Call.Header, s.Call.Query) {
			addAuthorization(p, add)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// addAuthorization adds a secret parameter, the x of "Basic x", and what x stands for.
func addAuthorization(p engine.Param, add func(string)) {
	if !p.Secret {
		return
	}
	add(p.Value)
	scheme, credentials, ok := strings.Cut(p.Value, " ")
	if !ok {
		return
	}
	add(credentials)
	if inner, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(scheme, "Basic") && utf8.Valid(inner) {
		add(string(inner))
	}
}

// shownBody returns a body without the secrets: as JSON if it is JSON, as text otherwise; nil for
// none. Bytes that are not UTF-8 become U+FFFD. JSON is complete; text is cut to maxRawText, which
// cut reports.
func shownBody(body []byte, secrets []string) (shown any, cut bool) {
	if len(body) == 0 {
		return nil, false
	}
	text := string(plain.ValidUTF8(body))
	if json.Valid([]byte(text)) {
		if redacted := redactStrings(replaceSecrets(text, secrets), secrets); json.Valid([]byte(redacted)) {
			return json.RawMessage(redacted), false
		}
	}
	text = redact(text, secrets)
	if cut = len(text) > maxRawText; cut {
		text = text[:maxRawText]
	}
	return strings.ToValidUTF8(text, "\uFFFD"), cut
}

// redactStrings masks the secrets in the strings of valid JSON, names included, after their
// escapes are undone. Everything else is returned as it is.
func redactStrings(text string, secrets []string) string {
	if len(secrets) == 0 || !strings.ContainsAny(text, escapes) {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		start := strings.IndexByte(text, '"')
		if start < 0 {
			return string(append(out, text...))
		}
		out, text = append(out, text[:start]...), text[start:]
		literal := text[:literalEnd(text)]
		text = text[len(literal):]
		if len(literal) < minSecret || !strings.ContainsAny(literal, escapes) {
			out = append(out, literal...)
			continue
		}
		decoded := unescapeBackslashes(literal[1 : len(literal)-1])
		if redacted := redact(decoded, secrets); redacted != decoded {
			out = plain.AppendString(out, redacted)
		} else {
			out = append(out, literal...)
		}
	}
}

// literalEnd returns the length of the JSON string with which text begins.
func literalEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}
