package gateway

import (
	"encoding/base64"
	"encoding/hex"
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

// minSecret is the length of the shortest text that is masked inside other text, in bytes. Shorter
// secrets could be parts of ordinary words: they are masked where they are a whole value.
const minSecret = 8

// maxRawText is the longest shown text of a body that is not JSON, in bytes.
const maxRawText = 64 << 10

// maxEncodings is how many encodings over each other are undone to find a secret.
const maxEncodings = 3

// escapes are the bytes with which escapes and entities begin.
const escapes = `\&%`

// redact masks the account's secrets, and the authorization computed from them, in text.
func (r *Report) redact(text string) string { return r.masker().redact(text) }

// message returns a provider's message with secrets masked, at most maxMessage bytes of it.
func (r *Report) message(text string) string { return cut(r.redact(text), maxMessage) }

func (r *Report) masker() *masker {
	if r == nil || r.secrets == nil {
		return nil
	}
	return r.secrets()
}

// Redact masks the secrets in text.
func Redact(text string, secrets ...accounts.Secret) string {
	return newMasker(accounts.Account{}, nil, secrets, nil).redact(text)
}

// ShortSecrets returns a warning for each secret of context that is masked as a whole value only.
func ShortSecrets(credentials []engine.Credential, context map[string]any) []Failure {
	var out []Failure
	for _, c := range credentials {
		if v, ok := context[c.Name].(string); ok && c.Secret && v != "" && len(v) < minSecret {
			out = append(out, Failuref("/context/"+plain.EscapeToken(c.Name), CodeLength,
				"context/%s is shorter than %d characters: it is masked only where it is a whole value", c.Name, minSecret))
		}
	}
	return out
}

// masker masks secrets. nil masks nothing. Its cost is linear in the text.
type masker struct {
	long  *strings.Replacer // masks what is found anywhere
	short []string          // masked where they are a whole value, longest first
	least int               // length of the shortest
}

// redact masks secrets in text. Text that shows one only after its escapes or entities are undone
// is returned without them, and masked.
func (m *masker) redact(text string) string {
	if m == nil || len(text) < m.least {
		return text
	}
	text = m.replace(text)
	if !strings.ContainsAny(text, escapes) {
		return text
	}
	decoders := []func(string) string{unescapeBackslashes, html.UnescapeString, unescapePercent, unescapeQuery}
	for _, decode := range decoders {
		if decoded := decode(text); decoded != text {
			if replaced := m.replace(decoded); replaced != decoded {
				text = replaced
			}
		}
	}
	decoded := text
	for range maxEncodings {
		before := decoded
		for _, decode := range decoders[:len(decoders)-1] {
			next := decode(decoded)
			if next == decoded {
				continue
			}
			if decoded = m.replace(next); decoded != next {
				text = decoded
			}
		}
		if decoded == before {
			break
		}
	}
	return text
}

// replace masks the secrets that text shows as it is.
func (m *masker) replace(text string) string {
	text = m.long.Replace(text)
	for _, secret := range m.short {
		text = replaceWhole(text, secret)
	}
	return text
}

// replaceWhole masks secret where neither side continues it to a longer word.
func replaceWhole(text, secret string) string {
	at := strings.Index(text, secret)
	if at < 0 {
		return text
	}
	var out strings.Builder
	for copied, from := 0, 0; ; at = strings.Index(text[from:], secret) {
		if at < 0 {
			out.WriteString(text[copied:])
			return out.String()
		}
		at += from
		from = at + len(secret)
		if at > 0 && isWordByte(text[at-1]) || from < len(text) && isWordByte(text[from]) {
			continue
		}
		out.WriteString(text[copied:at] + masked)
		copied = from
	}
}

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || c >= utf8.RuneSelf || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
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

// newMasker returns a masker of the secrets of an account, of those in more, and of the
// authorization of steps.
func newMasker(account accounts.Account, credentials []engine.Credential, more []accounts.Secret, steps []engine.StepResult) *masker {
	seen := map[string]bool{"": true}
	var forms []string
	add := func(secret string) {
		for _, form := range secretForms(secret) {
			if !seen[form] {
				seen[form], forms = true, append(forms, form)
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
	if len(forms) == 0 {
		return nil
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	m := &masker{least: len(forms[len(forms)-1])}
	var pairs []string
	for _, form := range forms {
		if len(form) < minSecret {
			m.short = append(m.short, form)
		} else {
			pairs = append(pairs, form, masked)
		}
	}
	m.long = strings.NewReplacer(pairs...)
	return m
}

// secretForms returns a secret in the forms in which text may contain it. Escapes that redact undoes
// need no form of their own; the usual ones have one, so that the text around them is shown as it
// came.
func secretForms(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string: cannot fail
	inHex := hex.EncodeToString([]byte(secret))
	forms := []string{secret, url.QueryEscape(secret), string(quoted[1 : len(quoted)-1]), inHex, strings.ToUpper(inHex)}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(secret)))
		for before := range 3 { // bytes of other text in the secret's first group of three
			if len(secret) < minSecret {
				break
			}
			encoded := encoding.EncodeToString([]byte("\x00\x00"[:before] + secret))
			forms = append(forms, encoded[(before*8+5)/6:(before+len(secret))*8/6]) // the characters that hold nothing else
		}
	}
	return forms
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
func (m *masker) shownBody(body []byte) (shown any, cut bool) {
	if len(body) == 0 {
		return nil, false
	}
	valid := plain.ValidUTF8(body)
	if json.Valid(valid) {
		return json.RawMessage(m.redactJSON(string(valid))), false
	}
	text := m.redact(string(valid))
	if cut = len(text) > maxRawText; cut {
		text = text[:maxRawText]
	}
	return strings.ToValidUTF8(text, "\uFFFD"), cut
}

// redactJSON masks the secrets in the strings of valid JSON, names included, after their escapes
// are undone, and the numbers that are one. Everything else is returned as it is.
func (m *masker) redactJSON(text string) string {
	if m == nil {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		start := strings.IndexAny(text, `"-0123456789`)
		if start < 0 {
			return string(append(out, text...))
		}
		out, text = append(out, text[:start]...), text[start:]
		literal := text[:literalEnd(text)]
		text = text[len(literal):]
		value := literal
		if literal[0] == '"' {
			value = unescapeBackslashes(literal[1 : len(literal)-1])
		}
		if redacted := m.redact(value); redacted != value {
			out = plain.AppendString(out, redacted)
		} else {
			out = append(out, literal...)
		}
	}
}

// literalEnd returns the length of the JSON string or number with which text begins.
func literalEnd(text string) int {
	if text[0] != '"' {
		return len(text) - len(strings.TrimLeft(text, "+-.0123456789Ee"))
	}
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
