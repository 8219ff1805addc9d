package source_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan/source"
)

// parse reads src as x.yaml; the findings are sorted and without the file's name.
func parse(src string) (*source.Node, []string) {
	var found source.Diagnostics
	root := source.ParseYAML("x.yaml", []byte(src), &found)
	return root, lines(found)
}

func lines(found source.Diagnostics) []string {
	var out []string
	for _, d := range found.Sorted() {
		out = append(out, strings.TrimPrefix(d.String(), "x.yaml:"))
	}
	return out
}

// outline returns n as text with the places of all its parts.
func outline(n *source.Node) string {
	place := fmt.Sprintf("%d:%d ", n.Pos.Line, n.Pos.Col)
	switch n.Kind {
	case source.Object:
		parts := make([]string, len(n.Entries))
		for i, e := range n.Entries {
			parts[i] = fmt.Sprintf("%d:%d %s=%s", e.Pos.Line, e.Pos.Col, e.Name, outline(e.Value))
		}
		return place + "{" + strings.Join(parts, ", ") + "}"
	case source.List:
		parts := make([]string, len(n.Items))
		for i, item := range n.Items {
			parts[i] = outline(item)
		}
		return place + "[" + strings.Join(parts, ", ") + "]"
	default:
		return fmt.Sprintf("%s%s %q", place, n.Type, n.Text)
	}
}

func TestParseYAML(t *testing.T) {
	for name, tt := range map[string]struct{ src, want string }{
		"types": {
			"[a, '1', 1, 1.5, true, null, ~, 2026-01-02, .inf, 0x1f, yes]",
			`1:1 [1:2 string "a", 1:5 string "1", 1:10 integer "1", 1:13 number "1.5", 1:18 boolean "true", 1:24 null "null", 1:30 null "~", ` +
				`1:33 string "2026-01-02", 1:45 number ".inf", 1:51 integer "0x1f", 1:57 string "yes"]`,
		},
		"nested":     {"# first\na:\n  - b: c\n    größe: d\n", `2:1 {2:1 a=3:3 [3:5 {3:5 b=3:8 string "c", 4:5 größe=4:12 string "d"}]}`},
		"no value":   {"a:\nb: x\n", `1:1 {1:1 a=1:3 null "", 2:1 b=2:4 string "x"}`},
		"CRLF":       {"a: 1\r\nb: |\r\n  x\r\n  y\r\n", `1:1 {1:1 a=1:4 integer "1", 2:1 b=2:4 string "x\ny\n"}`},
		"one scalar": {"--- a\n", `1:5 string "a"`},
		"number key": {"1: a\n", `1:1 {1:1 1=1:4 string "a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			root, found := parse(tt.src)
			if root == nil || len(found) > 0 {
				t.Fatalf("root %v, findings %v", root, found)
			}
			if diff := cmp.Diff(tt.want, outline(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

const anchors = "E003-unsupported-yaml: anchors and aliases are not supported (write the value out where it is needed, and quote text that starts with & or *)"

func TestParseYAMLFindings(t *testing.T) {
	for name, tt := range map[string]struct {
		src  string
		want []string
	}{
		"empty":              {"", []string{"1:1: E001-yaml-syntax: file is empty"}},
		"comment only":       {"# a\n", []string{"1:1: E001-yaml-syntax: file is empty"}},
		"syntax":             {"a: 1\nb: [\n", []string{"2:1: E001-yaml-syntax: did not find expected node content"}},
		"syntax in a later":  {"a: 1\n---\nb: [\n", []string{"3:1: E001-yaml-syntax: did not find expected node content"}},
		"not UTF-8":          {"a: \xff", []string{"1:1: E001-yaml-syntax: file is not UTF-8 text"}},
		"too large":          {strings.Repeat("#", source.MaxYAMLSource) + "\n", []string{"1:1: E001-yaml-syntax: file is larger than 1048576 bytes"}},
		"two documents":      {"a: 1\n---\nb: 1\n", []string{"2:1: E003-unsupported-yaml: a file must contain only one document"}},
		"duplicate keys":     {"a: 1\nb: 1\na: 1\na: 1\n", []string{`3:1: E002-duplicate-key: key "a" occurs twice (first at line 1)`, `4:1: E002-duplicate-key: key "a" occurs twice (first at line 1)`}},
		"unknown anchor":     {"a: *name\n", []string{"1:1: E001-yaml-syntax: a value that starts with * must be quoted"}},
		"anchor and alias":   {"a: &x 1\nb: *x\n", []string{"1:4: " + anchors, "2:4: " + anchors}},
		"anchored object":    {"a: &x {b: &y 1}\n", []string{"1:4: " + anchors}},
		"anchored key":       {"&x a: 1\n", []string{"1:1: " + anchors}},
		"tags":               {"a: !!str 1\n!x b: 1\n", []string{"1:4: E003-unsupported-yaml: tags are not supported (quote text that starts with !)", "2:1: E003-unsupported-yaml: tags are not supported (quote text that starts with !)"}},
		"tag without a name": {"a: ! b\nc: !\n  |\n  x\n", []string{"1:4: E003-unsupported-yaml: tags are not supported (quote text that starts with !)", "2:4: E003-unsupported-yaml: tags are not supported (quote text that starts with !)"}},
		"merge key":          {"<<: {a: 1}\n", []string{"1:1: E003-unsupported-yaml: merge keys are not supported"}},
		"list as a key":      {"? [a]\n: 1\n", []string{"1:3: E003-unsupported-yaml: a key must be a single value"}},
		"as deep as may be":  {strings.Repeat("[", 100) + "a" + strings.Repeat("]", 100), nil},
		"too deep":           {strings.Repeat("[", 101) + "a" + strings.Repeat("]", 101), []string{"1:102: E003-unsupported-yaml: nested deeper than 100 levels"}},
		"far too deep":       {strings.Repeat("[", 20_000), []string{"1:1: E001-yaml-syntax: exceeded max depth of 10000"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, found := parse(tt.src); !cmp.Equal(tt.want, found) {
				t.Error(cmp.Diff(tt.want, found))
			}
		})
	}
}

// The YAML library takes these for line breaks; editors do not.
func TestOddLineBreaks(t *testing.T) {
	for _, src := range []string{"a: 1\n\rb: 2\n", "a: 1\r", "a: 1\u0085b: 2", "a: \u2028", "a: 1\n# \u2029\n"} {
		if _, found := parse(src); len(found) != 1 || !strings.Contains(found[0], "E001-yaml-syntax: a line ends with") {
			t.Errorf("%q: %v, want one E001", src, found)
		}
	}
}

// Each place is that of the letter in the file, or the start of the value if KnowsPlaces
// returns false or there are escapes.
func TestNodeAt(t *testing.T) {
	for name, tt := range map[string]struct {
		src, letter, want string
		unknown           bool
	}{
		"plain":                  {src: "k: abXcd\n", letter: "X", want: "1:6"},
		"plain with runes":       {src: "größe: ä日X\n", letter: "X", want: "1:10"},
		"plain after a comment":  {src: "# ä\n  \nk:   aX # X\n", letter: "X", want: "3:7"},
		"byte order mark":        {src: "\ufeffk: aX\n", letter: "X", want: "1:5"},
		"plain of two lines":     {src: "k: ab\n  cX\n", letter: "X", want: "1:4", unknown: true},
		"double quotes":          {src: `k: "a bX"`, letter: "X", want: "1:8"},
		"double quotes, runes":   {src: `k: "ä日X"`, letter: "X", want: "1:7"},
		"double quotes, escape":  {src: `k: "a\tX"`, letter: "X", want: "1:4"},
		"double quotes, 2 lines": {src: "k: \"a\n  X\"", letter: "X", want: "1:4", unknown: true},
		"line feed escaped":      {src: `k: "a\nX"`, letter: "X", want: "1:4"},
		"single quotes":          {src: "k: 'a bX'", letter: "X", want: "1:8"},
		"single quotes, escape":  {src: "k: 'a''X'", letter: "X", want: "1:4"},
		"single quotes, 2 lines": {src: "k: 'a\n\n  X'", letter: "X", want: "1:4", unknown: true},
		"flow list":              {src: "k: [ab, {c: dX}]", letter: "X", want: "1:14"},
		"literal":                {src: "k: |\n  ab\n  cX\n", letter: "X", want: "3:4"},
		"literal, first letter":  {src: "k: |\n  X\n", letter: "X", want: "2:3"},
		"literal, indented more": {src: "k: |\n  ab\n    X\n", letter: "X", want: "3:5"},
		"literal, blank lines":   {src: "k: |\n\n \n  ab\n\n  X\n", letter: "X", want: "6:3"},
		"literal, CRLF":          {src: "k: |\r\n\r\n  ab\r\n  cX\r\n", letter: "X", want: "4:4"},
		"literal, runes":         {src: "größe: |\n  ä日X\n", letter: "X", want: "2:5"},
		"literal, kept end":      {src: "k: |+ # 2\n  aX\n\n", letter: "X", want: "2:4"},
		"literal, deep":          {src: "a:\n- k: |-\n      aX", letter: "X", want: "3:8"},
		"literal at the root":    {src: "--- |\n aX\n", letter: "X", want: "2:3"},
		"literal, its indent":    {src: "k: |2\n    aX\n", letter: "X", want: "2:8", unknown: true}, // two spaces belong to the text
		"folded, as its header":  {src: "k: >-\n  >-\n", letter: "-", want: "1:4", unknown: true},
		"folded":                 {src: "k: >\n  ab\n  cX\n", letter: "X", want: "1:4", unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			root, found := parse(tt.src)
			if len(found) > 0 {
				t.Fatal(found)
			}
			n := find(root, tt.letter)
			pos := n.At(strings.Index(n.Text, tt.letter))
			if got := strings.TrimPrefix(pos.String(), "x.yaml:"); got != tt.want {
				t.Errorf("want %s, got %s", tt.want, got)
			}
			if n.KnowsPlaces() == tt.unknown {
				t.Errorf("KnowsPlaces %t", !tt.unknown)
			}
		})
	}
}

// find returns the first scalar with text in it.
func find(n *source.Node, text string) *source.Node {
	if n.Kind == source.Scalar && strings.Contains(n.Text, text) {
		return n
	}
	for _, e := range n.Entries {
		if found := find(e.Value, text); found != nil {
			return found
		}
	}
	for _, item := range n.Items {
		if found := find(item, text); found != nil {
			return found
		}
	}
	return nil
}

func TestNodeAtOutside(t *testing.T) {
	root, _ := parse("k: |\n  ab\n  c\n")
	n := root.Get("k")
	for offset, want := range map[int]string{-1: "x.yaml:2:3", 0: "x.yaml:2:3", 2: "x.yaml:2:5", 3: "x.yaml:3:3", 5: "x.yaml:4:3", 99: "x.yaml:4:3"} {
		if got := n.At(offset).String(); got != want {
			t.Errorf("At(%d): want %s, got %s", offset, want, got)
		}
	}
}

func TestTextNode(t *testing.T) {
	n := source.TextNode("layer/query", "ä X\n  Y")
	for letter, want := range map[string]string{"ä": "layer/query:1:1", "X": "layer/query:1:3", "Y": "layer/query:2:3"} {
		if got := n.At(strings.Index(n.Text, letter)).String(); got != want {
			t.Errorf("%s: want %s, got %s", letter, want, got)
		}
	}
	if !n.KnowsPlaces() || n.Type != "string" {
		t.Errorf("%v, type %q", n.KnowsPlaces(), n.Type)
	}
}

func TestNodeGet(t *testing.T) {
	root, _ := parse("a: {b: c}\n")
	var none *source.Node
	if got := root.Get("a").Get("b").Text; got != "c" {
		t.Errorf("got %q", got)
	}
	if root.Get("z").Get("b") != nil || none.Get("a") != nil {
		t.Error("an absent member was found")
	}
}

// No file causes a panic, every finding has a place inside the file, and every place that At
// returns holds the expected letter.
func FuzzParseYAML(f *testing.F) {
	for _, seed := range []string{
		"a: 1\nb: [x, 'y''', \"z\\n\", {c: ä日}]\n", "a: |\n  x\n   y\n\nb: >-\n  x\n  y\n", "a: |2\n    x\n", "- a b\n  c\n- \"a\n  b\"\n",
		"a: &x 1\nb: *x\n<<: *x\n", "!!str a: !x b\n", "? [a]\n: {b: c, b: d}\n", "--- |\nx\n--- y\n", "a: |\r\n\r\n  x\r\n", "a: [", "\ufeffa: b\n", "%YAML 1.2\n---\na: 0x1f",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var found source.Diagnostics
		root := source.ParseYAML("x.yaml", src, &found)
		text := strings.Split(strings.TrimPrefix(string(src), "\ufeff"), "\n")
		for _, d := range found {
			if d.Pos.File != "x.yaml" || d.Pos.Line < 1 || d.Pos.Line > len(text)+1 || d.Pos.Col < 1 {
				t.Errorf("%s: outside the file of %d lines", d, len(text))
			}
		}
		if root == nil {
			if !found.Failed() {
				t.Error("nil without an error")
			}
			return
		}
		(&source.Reader{Diags: &found}).JSON(root)
		placesHold(t, root, text)
	})
}

// placesHold checks At for the scalars in n.
func placesHold(t *testing.T, n *source.Node, text []string) {
	t.Helper()
	for _, e := range n.Entries {
		placesHold(t, e.Value, text)
	}
	for _, item := range n.Items {
		placesHold(t, item, text)
	}
	if !n.KnowsPlaces() {
		return
	}
	for offset, letter := range n.Text[:min(len(n.Text), 100)] {
		pos := n.At(offset)
		if letter == '\n' || letter == utf8.RuneError || pos == n.Pos {
			continue
		}
		if pos.Line > len(text) {
			t.Fatalf("%q, offset %d: line %d of %d", n.Text, offset, pos.Line, len(text))
		}
		if line := []rune(text[pos.Line-1]); pos.Col > len(line) || line[pos.Col-1] != letter {
			t.Fatalf("%q, offset %d: %s of %q is not %q", n.Text, offset, pos, text[pos.Line-1], letter)
		}
	}
}

// The line of a syntax error is the one that must be changed.
func TestInvalidLine(t *testing.T) {
	t.Parallel()
	const head = "format: x\nresources:\n  users:\n    update:\n"
	list := "      schema:\n        [a,\n" + strings.Repeat("         b,\n", 12) + "         c]\n"
	for name, tt := range map[string]struct {
		src  string
		line int
	}{
		"bracket":               {head + "      call: [a\n      path: b\n    create:\n      call: c\n", 5},
		"brace":                 {head + "      call: {a: 1\n      path: b\n", 5},
		"quote":                 {head + "      call: 'a\n      path: b\n    create: {}\n", 5},
		"key too far left":      {head + "      call: a\n     path: b\n      like: c\n", 6},
		"key too far right":     {head + "      call: a\n        path: b\n", 6},
		"no colon":              {head + "      call a\n      path: b\n", 6},
		"tab":                   {head + "\t  call: a\n", 5},
		"after a list":          {head + list + "      call: [a\n      path: b\n", 20},
		"in a list":             {head + strings.Replace(list, "c]", "c: d: e]", 1) + "      call: a\n", 6},
		"after a block":         {head + "      body: |\n        { \"a\": [\n        ] }\n      call: a\n     path: b\n", 9},
		"in the last line":      {head + "      call: [", 5},
		"in a second document":  {"a: 1\n---\nb: 1\nc: [\nd: 1\n", 4},
		"in a very long file":   {strings.Repeat("# none\n", 20_000) + head + "      call: [a\n" + strings.Repeat("      path: b\n", 20_000), 20_005},
		"windows' line endings": {strings.ReplaceAll(head+"      call: [a\n      path: b\n", "\n", "\r\n"), 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found source.Diagnostics
			source.ParseYAML("x.yaml", []byte(tt.src), &found)
			if len(found) != 1 || found[0].Code != "E001-yaml-syntax" || found[0].Pos.Line != tt.line {
				t.Errorf("got %v, want line %d", found, tt.line)
			}
		})
	}
}
