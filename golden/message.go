package golden

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Header is one header line of a Message.
type Header struct{ Name, Value string }

// Message is a request or an answer of a case. A section holds its first line, header lines
// up to an empty line, and the body followed by a line break. If there are no headers, the
// empty line is optional, unless the body starts with an empty line or one that looks like a
// header.
type Message struct {
	Method string // requests only: "PUT"
	Target string // requests only: encoded path and query, "/api/v1/users/u_1?x=1"
	Status int    // answers only
	Header []Header
	Body   []byte // nil: none
}

var (
	verbRule   = regexp.MustCompile(`^[A-Z]+$`)
	statusRule = regexp.MustCompile(`^[2-5][0-9][0-9]$`)
	headerRule = regexp.MustCompile(`^([A-Za-z0-9!#$%&'*+.^_|~-]+):(?: (.*))?$`)
)

// readMessage parses a section's text.
func readMessage(text string, isRequest bool) (Message, error) {
	var m Message
	first, rest, _ := strings.Cut(text, "\n")
	if err := m.readFirst(first, isRequest); err != nil {
		return m, err
	}
	line, _, _ := strings.Cut(rest, "\n")
	if !headerRule.MatchString(line) {
		rest = strings.TrimPrefix(rest, "\n")
		m.Body = readBody(rest)
		return m, nil
	}
	for rest != "" {
		if line, rest, _ = strings.Cut(rest, "\n"); line == "" {
			break
		}
		parts := headerRule.FindStringSubmatch(line)
		if parts == nil || strings.ContainsFunc(line, unicode.IsControl) {
			return m, fmt.Errorf("%q is not a valid header; an empty line ends the headers", line)
		}
		m.Header = append(m.Header, Header{parts[1], strings.TrimSpace(parts[2])})
	}
	m.Body = readBody(rest)
	return m, nil
}

func readBody(text string) []byte {
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return nil
	}
	return []byte(text)
}

func (m *Message) readFirst(line string, isRequest bool) error {
	if !isRequest {
		if !statusRule.MatchString(line) {
			return fmt.Errorf("the first line is %q, want a status from 200 to 599", line)
		}
		m.Status, _ = strconv.Atoi(line) // three digits: cannot fail
		return nil
	}
	verb, target, _ := strings.Cut(line, " ")
	if !verbRule.MatchString(verb) || !strings.HasPrefix(target, "/") {
		return fmt.Errorf("the first line is %q, want a method and a path", line)
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r == '#' || unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fmt.Errorf("the target %q has a character that must be percent-encoded", target)
	}
	if _, err := url.ParseRequestURI(target); err != nil {
		return errors.Unwrap(err)
	}
	m.Method, m.Target = verb, target
	return nil
}

// format returns m as readMessage parses it.
func (m Message) format() []byte {
	var b strings.Builder
	if m.Method != "" {
		b.WriteString(m.Method + " " + m.Target + "\n")
	} else {
		b.WriteString(strconv.Itoa(m.Status) + "\n")
	}
	for _, h := range m.Header {
		b.WriteString(strings.TrimRight(h.Name+": "+h.Value, " ") + "\n")
	}
	if len(m.Body) == 0 {
		return []byte(b.String())
	}
	line, _, _ := strings.Cut(string(m.Body), "\n")
	if len(m.Header) > 0 || line == "" || headerRule.MatchString(line) {
		b.WriteByte('\n')
	}
	b.Write(m.Body)
	b.WriteByte('\n')
	return []byte(b.String())
}

// value returns the first value of a header; "" if there is none.
func (m Message) value(name string) string {
	for _, h := range m.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// lists reports whether m has a header of that name.
func (m Message) lists(name string) bool {
	for _, h := range m.Header {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

func (m Message) httpHeader() http.Header {
	out := http.Header{}
	for _, h := range m.Header {
		out.Add(h.Name, h.Value)
	}
	return out
}

// withContentType returns m, with contentType if it has a body and no Content-Type.
func (m Message) withContentType(contentType string) Message {
	if len(m.Body) > 0 && !m.lists("Content-Type") {
		m.Header = append(slices.Clip(m.Header), Header{"Content-Type", contentType})
	}
	return m
}
