package accounts

import (
	"encoding/hex"
	"net/url"
	"regexp"
	"strings"

	"portolan/source"
)

// The methods below parse texts of a file. An empty text was reported already.

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*\})?`)

// expand replaces the variables in text. It reports, at pos, each variable that is not set
// and each malformed reference, and then returns false.
func (l *loader) expand(pos source.Pos, text string) (string, bool) {
	ok := true
	text = variable.ReplaceAllStringFunc(text, func(reference string) string {
		name := strings.TrimSuffix(reference[2:], "}")
		if name == "" {
			ok = false
			l.Diags.Errorf(pos, "E006-bad-value", "${ is not followed by a variable's name and }")
			l.Diags.Hintf("to write ${ itself, put the value into a variable")
			return ""
		}
		value, set := l.lookup(name)
		if !set {
			ok = false
			l.Diags.Errorf(pos, "E080-unset-variable", "environment variable %s is not set", name)
		}
		return value
	})
	return text, ok
}

// minTokenLength is the length of a token of a file, whose secret is chosen by a person.
const minTokenLength = 20

var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750 §2.1

func (l *loader) secret(pos source.Pos, text string) (Hash, bool) {
	if text == "" {
		return Hash{}, false
	}
	text, ok := l.expand(pos, text)
	if ok && bearer.MatchString(text) && len(text) < minTokenLength {
		l.Diags.Errorf(pos, "E006-bad-value", "token has fewer than %d characters: it can be guessed", minTokenLength)
		l.Diags.Hintf("openssl rand -hex 32")
		return Hash{}, false
	}
	if ok && !bearer.MatchString(text) {
		l.Diags.Errorf(pos, "E006-bad-value", "token is not a valid bearer token")
		l.Diags.Hintf("one or more letters, digits and . _ ~ + / - , then any =")
		return Hash{}, false
	}
	return HashToken(text), ok
}

func (l *loader) hash(pos source.Pos, text string) (h Hash, ok bool) {
	if text == "" {
		return h, false
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(h) {
		l.Diags.Errorf(pos, "E006-bad-value", "sha256 is not 64 hexadecimal digits")
		l.Diags.Hintf("%s", `printf %s "$TOKEN" | sha256sum`)
		return h, false
	}
	return Hash(sum), true
}

func (l *loader) id(pos source.Pos, text string) string {
	id := strings.ToLower(text)
	switch first, twice := l.ids[id]; {
	case id == "":
	case !IsUUID(id):
		l.Diags.Errorf(pos, "E006-bad-value", "id is not a valid UUID")
		l.Diags.Hintf("for example 62f44730-dd91-461e-bd6a-aedd9e0ad79d")
	case twice:
		l.Diags.Errorf(pos, "E081-duplicate-account", "account id %s occurs twice", id)
		l.Diags.Hintf("first at line %d", first)
	default:
		l.ids[id] = pos.Line
	}
	return id
}

func (l *loader) baseURL(pos source.Pos, text string) string {
	if text == "" {
		return ""
	}
	if !l.opts.AllowInsecureUpstreams {
		l.Diags.Errorf(pos, "E083-base-url-refused", "an account cannot have its own base_url")
		l.Diags.Hintf("--allow-insecure-upstreams allows it")
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(text, "?#") {
		l.Diags.Errorf(pos, "E006-bad-value", "base_url is not an http or https URL without user, query and fragment")
		l.Diags.Hintf("for example http://127.0.0.1:9000/api/v1")
		return ""
	}
	return text
}
