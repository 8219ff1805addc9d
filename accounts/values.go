package accounts

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// The methods below give meaning to a file's texts. An empty text is one that has been
// reported already.

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*\})?`)

// expand puts the values of variables into text; false where one has none.
func (l *loader) expand(pos Pos, text string) (string, bool) {
	ok := true
	text = variable.ReplaceAllStringFunc(text, func(reference string) string {
		name := strings.TrimSuffix(reference[2:], "}")
		if name == "" {
			ok = false
			l.report(pos, "E006-bad-value", "a value that holds ${ itself can come from a variable", "${ is not followed by a variable's name and }")
			return ""
		}
		value, set := l.lookup(name)
		if !set {
			ok = false
			l.report(pos, "E080-unset-variable", "", "environment variable %s is not set", name)
		}
		return value
	})
	return text, ok
}

var bearer = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`) // RFC 6750 §2.1

func (l *loader) secret(pos Pos, text string) (Hash, bool) {
	if text == "" {
		return Hash{}, false
	}
	text, ok := l.expand(pos, text)
	if ok && !bearer.MatchString(text) {
		l.report(pos, "E006-bad-value", "letters, digits and . _ ~ + / - , then any =", "token is empty or not of a form that a bearer token can have")
		return Hash{}, false
	}
	return HashToken(text), ok
}

func (l *loader) hash(pos Pos, text string) (h Hash, ok bool) {
	if text == "" {
		return h, false
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(h) {
		l.report(pos, "E006-bad-value", `printf %s "$TOKEN" | sha256sum`, "sha256 is not 64 hexadecimal digits")
		return h, false
	}
	return Hash(sum), true
}

func (l *loader) id(pos Pos, text string) string {
	id := strings.ToLower(text)
	switch first, twice := l.ids[id]; {
	case id == "":
	case !isUUID(id):
		l.report(pos, "E006-bad-value", "62f44730-dd91-461e-bd6a-aedd9e0ad79d is one", "id is no uuid")
	case twice:
		l.report(pos, "E081-duplicate-account", fmt.Sprintf("first at line %d", first), "account id %s occurs twice", id)
	default:
		l.ids[id] = pos.Line
	}
	return id
}

func (l *loader) baseURL(pos Pos, text string) string {
	if text == "" {
		return ""
	}
	if !l.opts.AllowInsecureUpstreams {
		l.report(pos, "E083-base-url-refused", "it needs --allow-insecure-upstreams", "an account may not have a base_url of its own")
		return ""
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(text, "?#") {
		l.report(pos, "E006-bad-value", "http://127.0.0.1:9000/api/v1 is one", "base_url is no http or https URL without user, query and fragment")
		return ""
	}
	return text
}
