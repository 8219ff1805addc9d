package engine

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// template is a URL or path with {variables} (RFC 6570 level 1). It is immutable.
type template struct {
	literals  []string // one more than variables
	variables []string
}

var templateVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parseTemplate parses text. Its error is a *templateError.
func parseTemplate(text string) (*template, error) {
	t := &template{}
	for rest := text; ; {
		literal, after, open := strings.Cut(rest, "{")
		if i := strings.IndexFunc(literal, isInvalidInURL); i >= 0 {
			return nil, &templateError{len(text) - len(rest) + i, fmt.Sprintf("%q is not allowed in a URL", literal[i:i+1])}
		}
		t.literals = append(t.literals, literal)
		if !open {
			return t, nil
		}
		at := len(text) - len(after) - 1
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, &templateError{at, "{ is never closed"}
		}
		if !templateVariable.MatchString(name) {
			return nil, &templateError{at, fmt.Sprintf("%q is not a valid variable name", name)}
		}
		t.variables = append(t.variables, name)
		rest = tail
	}
}

func isInvalidInURL(r rune) bool {
	return r <= ' ' || r >= utf8.RuneSelf || strings.ContainsRune("}\"<>\\^`|", r)
}

func emptyTemplate() *template { return &template{literals: []string{""}} }

type templateError struct {
	offset  int
	message string
}

func (e *templateError) Error() string { return e.message }

// expand replaces each variable by value's result, which must be URL text.
func (t *template) expand(value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for i, name := range t.variables {
		b.WriteString(t.literals[i])
		v, err := value(name)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
	}
	b.WriteString(t.literals[len(t.variables)])
	return b.String(), nil
}

// String returns the template as it was written.
func (t *template) String() string {
	s, _ := t.expand(func(name string) (string, error) { return "{" + name + "}", nil })
	return s
}

// encodeSegment percent-encodes v as one path segment, all but unreserved characters. It refuses
// values that are empty, invalid, do not match pattern (nil: any) or would change the path's segments.
func encodeSegment(v string, pattern *regexp.Regexp) (string, error) {
	switch {
	case v == "":
		return "", errors.New("is empty")
	case v == "." || v == "..":
		return "", errors.New(`must not be "." or ".."`)
	case !utf8.ValidString(v):
		return "", errors.New("is not valid UTF-8")
	case strings.ContainsFunc(v, unicode.IsControl):
		return "", errors.New("contains a control character")
	case pattern != nil && !pattern.MatchString(v):
		return "", errors.New("does not have the form that the provider expects")
	}
	return strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), nil
}
