// Package source reads YAML with places: every value has a line and a column, and every
// problem is a Diagnostic. It is the only package that uses the YAML library.
package source

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"portolan/plain"
)

// NodeKind is what a Node holds.
type NodeKind int

// The kinds of Node.
const (
	Scalar NodeKind = iota
	Object
	List
)

// String returns the kind for messages.
func (k NodeKind) String() string { return [...]string{"a single value", "an object", "a list"}[k] }

// Node is one YAML value with its place in the file.
type Node struct {
	Kind    NodeKind
	Pos     Pos
	Text    string  // a Scalar's text
	Type    string  // a Scalar's type: string, integer, number, boolean, null
	Entries []Entry // an Object's members, in the order of the file
	Items   []*Node // a List's members

	lines   []string // the file, for places inside Text
	rest    string   // the line of the file from Pos on
	style   yaml.Style
	refused bool // ParseYAML reported it and did not read it
}

// Entry is one member of an Object.
type Entry struct {
	Name  string
	Pos   Pos // of the name
	Value *Node
}

// Get returns the member called name, or nil.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Name == name {
			return e.Value
		}
	}
	return nil
}

// Members returns the members of n; none if n is nil.
func (n *Node) Members() []Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

// KeyPos returns the place of n's key called name; that of n if there is none.
func (n *Node) KeyPos(name string) Pos {
	for _, e := range n.Entries {
		if e.Name == name {
			return e.Pos
		}
	}
	return n.Pos
}

// PointerPos returns the place of the member or item at an RFC 6901 pointer below n: that of its
// name, if it has one. If there is none, the place of the last step that exists.
func (n *Node) PointerPos(pointer string) Pos {
	pos := n.Pos
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		i, err := strconv.Atoi(token)
		switch name := plain.UnescapeToken(token); {
		case n.Get(name) != nil:
			pos, n = n.KeyPos(name), n.Get(name)
		case err == nil && i >= 0 && i < len(n.Items):
			pos, n = n.Items[i].Pos, n.Items[i]
		default:
			return pos
		}
	}
	return pos
}

// Refused reports whether ParseYAML refused n. It is reported then, and n is empty.
func (n *Node) Refused() bool { return n.refused }

// TextNode returns a Node of text that is a file of its own and starts at 1:1.
func TextNode(file, text string) *Node {
	return &Node{Pos: Pos{File: file}, Text: text, Type: "string", style: yaml.LiteralStyle}
}

// At returns the place in the file of the byte at offset of Text. If it cannot be known
// (folded text, escapes), it returns the start of the value.
func (n *Node) At(offset int) Pos {
	offset = min(max(offset, 0), len(n.Text))
	before := n.Text[:offset]
	if n.style&yaml.LiteralStyle != 0 {
		line := n.Pos.Line + 1 + strings.Count(before, "\n")
		col := n.literalIndent() + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
		return Pos{File: n.Pos.File, Line: line, Col: col}
	}
	if n.style&yaml.FoldedStyle != 0 || !n.isVerbatim() {
		return n.Pos
	}
	col := n.Pos.Col + utf8.RuneCountInString(before)
	if n.style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		col++
	}
	return Pos{File: n.Pos.File, Line: n.Pos.Line, Col: col}
}

// literalIndent returns the indentation of a | block, that of its first line with text.
func (n *Node) literalIndent() int {
	for _, line := range n.lines[min(n.Pos.Line, len(n.lines)):] {
		line = strings.TrimSuffix(line, "\r")
		if text := strings.TrimLeft(line, " "); text != "" {
			return len(line) - len(text)
		}
	}
	return 0
}

// isVerbatim reports whether Text is in the file unchanged: no escapes, one line.
func (n *Node) isVerbatim() bool {
	rest := n.rest
	if rest != "" && n.style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		rest = rest[1:]
	}
	return strings.HasPrefix(rest, n.Text)
}

// KnowsPlaces reports whether At can find the places inside Text: not if YAML joins lines or
// if the indentation is explicit (|2).
func (n *Node) KnowsPlaces() bool {
	switch {
	case n.style&yaml.FoldedStyle != 0:
		return false
	case n.style&yaml.LiteralStyle != 0:
		header, _, _ := strings.Cut(n.rest, "#")
		return !strings.ContainsAny(header, "123456789")
	case n.style&yaml.DoubleQuotedStyle != 0:
		return doubleQuotedLine.MatchString(n.rest)
	case n.style&yaml.SingleQuotedStyle != 0:
		return singleQuotedLine.MatchString(n.rest)
	default:
		return n.isVerbatim()
	}
}

// Quoted text that ends on the line where it starts.
var (
	doubleQuotedLine = regexp.MustCompile(`^"(\\.|[^"\\])*"`)
	singleQuotedLine = regexp.MustCompile(`^'(''|[^'])*'`)
)

// MaxYAMLSource is the maximum size of a file, in bytes.
const MaxYAMLSource = 1 << 20

// ParseYAML parses one YAML document. file is its name in places. Problems are added to d:
// syntax errors, duplicate keys, anchors, aliases, merge keys, tags and further documents.
// The result is nil if nothing can be read.
func ParseYAML(file string, src []byte, d *Diagnostics) *Node {
	start := Pos{File: file, Line: 1, Col: 1}
	if len(src) > MaxYAMLSource {
		d.Errorf(start, "E001-yaml-syntax", "file is larger than %d bytes", MaxYAMLSource)
		return nil
	}
	if !utf8.Valid(src) {
		d.Errorf(start, "E001-yaml-syntax", "file is not UTF-8 text")
		return nil
	}
	if at := oddLineBreak.FindIndex(src); at != nil {
		line := 1 + bytes.Count(src[:at[0]], []byte("\n"))
		d.Errorf(Pos{File: file, Line: line, Col: 1}, "E001-yaml-syntax", "a line ends with a character other than a line feed")
		return nil
	}
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // the library's columns don't count it
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			d.Errorf(start, "E001-yaml-syntax", "file is empty")
			return nil
		}
		d.Errorf(Pos{File: file, Line: invalidLine(src), Col: 1}, "E001-yaml-syntax", "%s", yamlErrorText(err))
		return nil
	}
	c := yamlConverter{file: file, lines: strings.Split(string(src), "\n"), diags: d}
	n := c.node(root.Content[0], 0)
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		d.Errorf(c.pos(&second), "E003-unsupported-yaml", "a file must contain only one document")
	} else if !errors.Is(err, io.EOF) {
		d.Errorf(Pos{File: file, Line: invalidLine(src), Col: 1}, "E001-yaml-syntax", "%s", yamlErrorText(err))
	}
	return n
}

// invalidLine returns the line after the longest beginning of src that is valid. The library's own
// line is often that of the block around the mistake. A beginning that ends inside a value of
// several lines, such as a list in brackets, is not valid, but a longer one may be. So each step of
// the search looks 16 lines ahead in most files, and less far in large ones to limit the cost.
func invalidLine(src []byte) int {
	lines := bytes.SplitAfter(src, []byte("\n"))
	ahead := min(16, max(1, MaxYAMLSource/(len(src)+1)))
	valid, invalid := 0, len(lines)
	for valid+1 < invalid {
		middle := (valid + invalid) / 2
		end := middle
		for end < invalid && end < middle+ahead && !isYAML(bytes.Join(lines[:end], nil)) {
			end++
		}
		if end < invalid && end < middle+ahead {
			valid = end
		} else {
			invalid = middle
		}
	}
	return valid + 1
}

func isYAML(src []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(src))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// oddLineBreak matches characters that the library takes for line breaks and editors do not.
// They would make places wrong.
var oddLineBreak = regexp.MustCompile("\r[^\n]|\r$|[\u0085\u2028\u2029]")

type yamlConverter struct {
	file  string
	lines []string
	diags *Diagnostics

	at   Pos    // where restOfLine stopped
	left string // what it returned
}

func (c *yamlConverter) pos(n *yaml.Node) Pos {
	return Pos{File: c.file, Line: max(n.Line, 1), Col: max(n.Column, 1)} // the library counts runes too
}

// restOfLine returns the line of the file from pos on. Nodes come in the order of the file,
// so each line is walked only once.
func (c *yamlConverter) restOfLine(pos Pos) string {
	if pos.Line > len(c.lines) {
		return ""
	}
	if pos.Line != c.at.Line {
		c.at, c.left = Pos{Line: pos.Line, Col: 1}, c.lines[pos.Line-1]
	}
	for c.at.Col < pos.Col && c.left != "" {
		_, size := utf8.DecodeRuneInString(c.left)
		c.at.Col, c.left = c.at.Col+1, c.left[size:]
	}
	return c.left
}

const maxYAMLDepth = 100

func (c *yamlConverter) node(y *yaml.Node, depth int) *Node {
	n := &Node{Pos: c.pos(y), lines: c.lines, style: y.Style}
	if depth > maxYAMLDepth {
		c.diags.Errorf(n.Pos, "E003-unsupported-yaml", "nested deeper than %d levels", maxYAMLDepth)
		n.refused = true
		return n
	}
	n.rest = c.restOfLine(n.Pos)
	if !c.plain(y, n.rest) {
		n.refused = true
		return n
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.Kind = Object
		c.members(n, y, depth)
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range y.Content {
			n.Items = append(n.Items, c.node(item, depth+1))
		}
	default:
		n.Text, n.Type = y.Value, scalarType(y)
	}
	return n
}

// plain returns whether y, which starts with rest, has no anchor or tag and is not an alias.
// If it returns false, it has reported a problem.
func (c *yamlConverter) plain(y *yaml.Node, rest string) bool {
	switch {
	case y.Anchor != "" || y.Kind == yaml.AliasNode:
		c.diags.Errorf(c.pos(y), "E003-unsupported-yaml", "anchors and aliases are not supported")
		c.diags.Hintf("write the value out where it is needed, and quote text that starts with & or *")
	case y.Style&yaml.TaggedStyle != 0, y.Kind == yaml.ScalarNode && strings.HasPrefix(rest, "!"): // the library drops a tag that is only !
		c.diags.Errorf(c.pos(y), "E003-unsupported-yaml", "tags are not supported")
		c.diags.Hintf("quote text that starts with !")
	default:
		return true
	}
	return false
}

func (c *yamlConverter) members(n *Node, y *yaml.Node, depth int) {
	seen := make(map[string]Pos, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, pos := y.Content[i], c.pos(y.Content[i])
		switch first, twice := seen[key.Value]; {
		case key.Tag == "!!merge":
			c.diags.Errorf(pos, "E003-unsupported-yaml", "merge keys are not supported")
			continue
		case key.Kind != yaml.ScalarNode:
			c.diags.Errorf(pos, "E003-unsupported-yaml", "a key must be a single value")
			continue
		case !c.plain(key, c.restOfLine(pos)):
			continue
		case twice:
			c.diags.Errorf(pos, "E002-duplicate-key", "key %q occurs twice", key.Value)
			c.diags.Hintf("first at line %d", first.Line)
			continue
		}
		seen[key.Value] = pos
		n.Entries = append(n.Entries, Entry{Name: key.Value, Pos: pos, Value: c.node(y.Content[i+1], depth+1)})
	}
}

func scalarType(y *yaml.Node) string {
	switch y.ShortTag() {
	case "!!int":
		return "integer"
	case "!!float":
		return "number"
	case "!!bool":
		return "boolean"
	case "!!null":
		return "null"
	default: // timestamps too
		return "string"
	}
}

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

// yamlErrorText never holds a value of the file.
func yamlErrorText(err error) string {
	text := yamlErrorLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
	if strings.HasPrefix(text, "unknown anchor") { // the rest may be an unquoted secret
		return "a value that starts with * must be quoted"
	}
	return text
}
