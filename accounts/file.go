package accounts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"portolan/plain"
)

const (
	fileFormat  = "portolan/accounts/v1"
	maxFileSize = 1 << 20
	maxDepth    = 100
)

// Options widens what LoadFile accepts.
type Options struct {
	AllowInsecureUpstreams bool // an account may have a base_url
}

// File is an accounts file as it was read.
type File struct {
	Tokens   []StoredToken
	Accounts []FileAccount
}

// FileAccount is an Account with its places in the file, for checks that need the
// integrations.
type FileAccount struct {
	Account
	places map[string]Pos
}

// At gives the place of a key's value: "integration", "context", or "context.api_key" for
// what is inside it. A key that is not there is at the account's own place, which is also At("").
func (a FileAccount) At(key string) Pos {
	if p, ok := a.places[key]; ok {
		return p
	}
	return a.places[""]
}

// LoadFile reads an accounts file. name is used in places only; lookup finds the variables
// of "${NAME}" in tokens and in the strings of a context, and tells whether they are set.
// What a variable holds is not expanded again. The error is FileErrors: every mistake in the file.
func LoadFile(name string, src []byte, lookup func(string) (string, bool), opts Options) (*File, error) {
	l := loader{name: name, lookup: lookup, opts: opts, ids: map[string]int{}, hashes: map[Hash]int{}}
	if root := l.parse(src); root != nil {
		l.root(root)
	}
	if l.problems != nil {
		return nil, l.problems.sorted()
	}
	return &l.file, nil
}

type loader struct {
	name     string
	lookup   func(string) (string, bool)
	opts     Options
	file     File
	problems FileErrors
	ids      map[string]int // line of the first account with this id
	hashes   map[Hash]int   // line of the first token with this secret
}

func (l *loader) report(pos Pos, code, hint, format string, args ...any) {
	l.problems = append(l.problems, Problem{Pos: pos, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) pos(n *yaml.Node) Pos { return Pos{l.name, max(n.Line, 1), max(n.Column, 1)} }

// parse gives the document's top value, free of duplicate keys, or nil where YAML itself
// stands in the way.
func (l *loader) parse(src []byte) *yaml.Node {
	start := Pos{l.name, 1, 1}
	if len(src) > maxFileSize {
		l.report(start, "E001-yaml-syntax", "", "file is larger than %d bytes", maxFileSize)
		return nil
	}
	if !utf8.Valid(src) {
		l.report(start, "E001-yaml-syntax", "", "file is not UTF-8 text")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		l.report(start, "E010-missing-format", "start with `format: "+fileFormat+"`", "file is empty")
		return nil
	} else if err != nil {
		l.syntaxError(err)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		l.report(l.pos(&second), "E003-unsupported-yaml", "", "a file holds one document")
		return nil
	} else if !errors.Is(err, io.EOF) {
		l.syntaxError(err)
		return nil
	}
	if !l.plain(document.Content[0], 0) {
		return nil
	}
	return document.Content[0]
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

func (l *loader) syntaxError(err error) {
	pos, text := Pos{l.name, 1, 1}, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		pos.Line, _ = strconv.Atoi(m[1])
		pos.Line, text = max(pos.Line, 1), text[len(m[0]):]
	}
	if strings.HasPrefix(text, "unknown anchor") { // quotes what may be an unquoted secret
		text = "a value that starts with * must be quoted"
	}
	l.report(pos, "E001-yaml-syntax", "", "%s", text)
}

// plain refuses what has no place of its own or means two things, and takes the second of
// two equal keys away.
func (l *loader) plain(n *yaml.Node, depth int) bool {
	switch {
	case depth > maxDepth:
		l.report(l.pos(n), "E003-unsupported-yaml", "", "nested deeper than %d levels", maxDepth)
		return false
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		l.report(l.pos(n), "E003-unsupported-yaml", "quote a value that starts with & or *", "anchors and aliases are not supported")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		l.report(l.pos(n), "E003-unsupported-yaml", "quote a value that starts with !", "tags are not supported")
		return false
	}
	sound, seen := true, map[string]int{}
	if n.Kind != yaml.MappingNode {
		for _, item := range n.Content {
			sound = l.plain(item, depth+1) && sound
		}
		return sound
	}
	content := n.Content
	n.Content = nil
	for i := 0; i+1 < len(content); i += 2 {
		key, value := content[i], content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			l.report(l.pos(key), "E003-unsupported-yaml", "", "a key must be a single value")
			sound = false
			continue
		}
		sound = l.plain(key, depth+1) && sound
		sound = l.plain(value, depth+1) && sound
		if first, twice := seen[key.Value]; twice {
			l.report(l.pos(key), "E002-duplicate-key", fmt.Sprintf("first at line %d", first), "key %q occurs twice", key.Value)
			continue
		}
		seen[key.Value] = key.Line
		n.Content = append(n.Content, key, value)
	}
	return sound
}

func (l *loader) root(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		format, hint := member(n, "format"), "start with `format: "+fileFormat+"`"
		switch {
		case format == nil:
			l.report(Pos{l.name, 1, 1}, "E010-missing-format", hint, `key "format" is missing`)
		case format.Value != fileFormat: // another version would only be misread
			l.report(l.pos(format), "E011-wrong-format", hint, "not an accounts file of this version")
			return
		}
	}
	l.object(n, fields{
		"format":   func(*yaml.Node) {},
		"tokens":   func(n *yaml.Node) { l.items(n, l.token) },
		"accounts": func(n *yaml.Node) { l.items(n, l.account) },
	})
}

func (l *loader) token(n *yaml.Node) {
	t := StoredToken{Token: Token{Environment: DefaultEnvironment}}
	known := false // the hash
	ok := l.object(n, fields{
		"name":        func(n *yaml.Node) { t.Name = l.text(n) },
		"environment": func(n *yaml.Node) { t.Environment = l.text(n) },
		"token":       func(n *yaml.Node) { t.Hash, known = l.secret(l.pos(n), l.text(n)) },
		"sha256":      func(n *yaml.Node) { t.Hash, known = l.hash(l.pos(n), l.text(n)) },
	}, "name")
	if !ok {
		return
	}
	switch secret, hash := member(n, "token"), member(n, "sha256"); {
	case secret == nil && hash == nil:
		l.report(l.pos(n), "E005-missing-key", "", `key "token" or "sha256" is missing`)
	case secret != nil && hash != nil:
		l.report(l.pos(hash), "E006-bad-value", "keep one of them", `"token" and "sha256" exclude each other`)
	case known:
		if first, twice := l.hashes[t.Hash]; twice {
			l.report(l.pos(n), "E082-duplicate-token", fmt.Sprintf("first at line %d", first), "the same token occurs twice")
			return
		}
		l.hashes[t.Hash] = n.Line
		l.file.Tokens = append(l.file.Tokens, t)
	}
}

func (l *loader) account(n *yaml.Node) {
	a := FileAccount{Account: Account{Environment: DefaultEnvironment, Context: Context{}}, places: map[string]Pos{"": l.pos(n)}}
	at := func(key string, read func(*yaml.Node)) func(*yaml.Node) {
		return func(n *yaml.Node) {
			a.places[key] = l.pos(n)
			read(n)
		}
	}
	l.object(n, fields{
		"id":          at("id", func(n *yaml.Node) { a.ID = l.id(l.pos(n), l.text(n)) }),
		"integration": at("integration", func(n *yaml.Node) { a.Integration = l.text(n) }),
		"environment": at("environment", func(n *yaml.Node) { a.Environment = l.text(n) }),
		"base_url":    at("base_url", func(n *yaml.Node) { a.BaseURL = l.baseURL(l.pos(n), l.text(n)) }),
		"context": at("context", func(n *yaml.Node) {
			if !l.kind(n, yaml.MappingNode) {
				return
			}
			for i := 0; i < len(n.Content); i += 2 {
				key, value := n.Content[i].Value, n.Content[i+1]
				a.places["context."+key] = l.pos(value)
				a.Context[key] = l.json(value)
			}
		}),
	}, "id", "integration")
	l.file.Accounts = append(l.file.Accounts, a)
}

// json gives n as plain JSON, variables expanded.
func (l *loader) json(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			out[n.Content[i].Value] = l.json(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = l.json(item)
		}
		return out
	default:
		return l.scalar(n)
	}
}

func (l *loader) scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if !plain.IsNumber(n.Value) {
			l.report(l.pos(n), "E006-bad-value", "quote it where text is meant", "this is a number in YAML and none in JSON")
		}
		return json.Number(n.Value)
	default: // a date too
		text, _ := l.expand(l.pos(n), n.Value)
		return text
	}
}

// fields says what to do with each member that an object may have.
type fields map[string]func(*yaml.Node)

// object hands every member of n to its function. It reports unknown and missing members;
// the result is false only where n is no object.
func (l *loader) object(n *yaml.Node, f fields, required ...string) bool {
	if !l.kind(n, yaml.MappingNode) {
		return false
	}
	known := slices.Sorted(maps.Keys(f))
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if read, ok := f[key.Value]; ok {
			read(n.Content[i+1])
			continue
		}
		l.report(l.pos(key), "E012-unknown-key", suggestion(key.Value, known), "unknown key %q", key.Value)
	}
	for _, name := range required {
		if member(n, name) == nil {
			l.report(l.pos(n), "E005-missing-key", "", "key %q is missing", name)
		}
	}
	return true
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func (l *loader) items(n *yaml.Node, read func(*yaml.Node)) {
	if l.kind(n, yaml.SequenceNode) {
		for _, item := range n.Content {
			read(item)
		}
	}
}

// text gives n's text as it stands, also where YAML would read a number; "" is refused.
func (l *loader) text(n *yaml.Node) string {
	if !l.kind(n, yaml.ScalarNode) {
		return ""
	}
	switch tag := n.ShortTag(); {
	case tag == "!!bool":
		l.report(l.pos(n), "E004-wrong-type", "quote it", "want text, got true or false")
	case tag == "!!null", n.Value == "":
		l.report(l.pos(n), "E004-wrong-type", "", "want text, got nothing")
	default:
		return n.Value
	}
	return ""
}

func (l *loader) kind(n *yaml.Node, want yaml.Kind) bool {
	if n.Kind == want {
		return true
	}
	names := map[yaml.Kind]string{yaml.MappingNode: "an object", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}
	got := names[n.Kind]
	if n.ShortTag() == "!!null" {
		got = "nothing"
	}
	l.report(l.pos(n), "E004-wrong-type", "", "want %s, got %s", names[want], got)
	return false
}
