package golden

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

// callText returns the canonical text of a provider call: parameters and headers sorted by
// name, the body canonical. Equal texts mean equal calls.
func callText(m Message, header []Header, form bool) string {
	target, query, _ := strings.Cut(m.Target, "?")
	lines := []string{m.Method + " " + canonicalPath(target)}
	for _, pair := range sortedPairs(query) {
		lines = append(lines, "?"+pair)
	}
	lines = append(lines, headerLines(header)...)
	body := canonicalBody(m.Body)
	if form {
		body = strings.Join(sortedPairs(string(m.Body)), "\n")
	}
	return joinText(lines, body)
}

// answerText returns the canonical text of an answer.
func answerText(m Message, header []Header) string {
	return joinText(append([]string{strconv.Itoa(m.Status)}, headerLines(header)...), canonicalBody(m.Body))
}

func joinText(lines []string, body string) string {
	text := strings.Join(lines, "\n")
	if body != "" {
		text += "\n\n" + body
	}
	return text
}

func headerLines(header []Header) []string {
	out := make([]string, 0, len(header))
	for _, h := range header {
		out = append(out, strings.ToLower(h.Name)+": "+h.Value)
	}
	slices.SortStableFunc(out, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return out
}

// canonicalPath returns the path as net/http sends it.
func canonicalPath(p string) string {
	u, err := url.ParseRequestURI(p)
	if err != nil {
		return p
	}
	return u.EscapedPath()
}

// sortedPairs returns the pairs of an encoded query or form, stably sorted by name.
func sortedPairs(encoded string) []string {
	var out []string
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		plainName, err := url.QueryUnescape(name)
		plainValue, err2 := url.QueryUnescape(value)
		if err == nil && err2 == nil {
			pair = url.QueryEscape(plainName) + "=" + url.QueryEscape(plainValue)
		}
		out = append(out, pair)
	}
	slices.SortStableFunc(out, func(a, b string) int {
		a, _, _ = strings.Cut(a, "=")
		b, _, _ = strings.Cut(b, "=")
		return strings.Compare(a, b)
	})
	return out
}

// canonicalBody returns JSON indented with its keys sorted and its numbers unchanged, and
// other text unchanged.
func canonicalBody(body []byte) string {
	v, ok := decodeJSON(body)
	if !ok {
		return string(body)
	}
	text, err := plain.Append(nil, v)
	if err != nil {
		return string(body)
	}
	var b bytes.Buffer
	_ = json.Indent(&b, text, "", "  ") // valid JSON: cannot fail
	return b.String()
}

// compactBody returns JSON on one line, and other text unchanged.
func compactBody(body []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, body) != nil {
		return body
	}
	return b.Bytes()
}

// decodeJSON decodes body as one JSON value, numbers as json.Number.
func decodeJSON(body []byte) (any, bool) {
	doc, err := plain.Decode(body, plain.Options{Lenient: true})
	return doc.Value, err == nil
}

func isForm(m Message) bool {
	mediaType, _, _ := mime.ParseMediaType(m.value("Content-Type"))
	return mediaType == "application/x-www-form-urlencoded"
}
