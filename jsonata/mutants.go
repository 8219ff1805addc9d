package jsonata

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Mutant is an expression that differs from another one in one place.
type Mutant struct {
	Offset int    // of the place in the original
	What   string // the change: "drop …", "… → …"
	Source string
}

// Mutants returns the expressions that differ from src in one place: a name or text is another
// one, a number is one more, a comparison or connective is another one, one side of a choice, a
// member, an item, an argument, a function or a predicate is gone. An index is never dropped,
// because a list of one entry has the same value without it. src must compile.
func Mutants(src string) []Mutant {
	tree, err := parseTree(src)
	if err != nil {
		return nil
	}
	m := mutator{src: src}
	m.visit(tree)
	return m.out
}

type mutator struct {
	src string
	out []Mutant
}

// replace adds the mutant with the text with in place of src[start:end].
func (m *mutator) replace(start, end int, with string) {
	what := shortened(m.src[start:end]) + " → " + shortened(with)
	if with == "" {
		what = "drop " + shortened(m.src[start:end])
	}
	m.out = append(m.out, Mutant{start, what, m.src[:start] + with + m.src[end:]})
}

// only adds the mutant that has the part n of whole in its place; nothing if n is nil.
func (m *mutator) only(whole, n *treeNode) {
	part := ""
	if n != nil {
		part = m.src[n.start:n.end]
	}
	m.replace(whole.start, whole.end, "("+part+")")
}

// flips are the operators that take the place of an operator.
var flips = map[string][]string{
	"=": {"!="}, "!=": {"="}, "<": {"<=", ">="}, "<=": {"<", ">"}, ">": {">=", "<="}, ">=": {">", "<"},
	"and": {"or"}, "or": {"and"}, "+": {"-"}, "-": {"+"}, "*": {"/"}, "/": {"*"},
}

func (m *mutator) visit(n *treeNode) {
	raw := m.src[n.token.start:n.token.end]
	switch n.kind {
	case treeName:
		m.replace(n.token.start, n.token.end, renamed(raw))
	case treeLiteral:
		m.literal(n.token, raw)
	case treeCondition:
		m.only(n, n.right)
		m.only(n, n.other)
	case treePredicate:
		if n.right.token.kind != tokenNumber || n.right.kind != treeLiteral {
			m.only(n, n.left)
		}
	case treeArray:
		m.drop(n.items, 1)
	case treeObject, treeGroup:
		m.drop(n.items, 2)
	case treeCall:
		if len(n.items) > 1 {
			m.drop(n.items, 1)
		}
		if len(n.items) > 0 {
			m.only(n, n.items[0])
		}
	case treeOperator:
		if n.left == nil {
			break
		}
		for _, other := range flips[raw] {
			m.replace(n.token.start, n.token.end, other)
		}
		switch raw {
		case "in":
			m.replace(n.start, n.end, "$not("+m.src[n.start:n.end]+")")
		case "and", "or", "&", "??", "?:":
			m.only(n, n.left)
			m.only(n, n.right)
		}
	default:
	}
	for _, c := range n.children() {
		m.visit(c)
	}
}

// literal changes a constant.
func (m *mutator) literal(t token, raw string) {
	switch t.kind {
	case tokenString:
		m.replace(t.start, t.end, renamed(raw))
	case tokenNumber:
		if n, err := strconv.ParseFloat(raw, 64); err == nil {
			text, _ := json.Marshal(n + 1)
			m.replace(t.start, t.end, string(text))
		}
	case tokenRegex:
		if i := strings.IndexByte(raw, '^'); i > 0 {
			m.replace(t.start, t.end, raw[:i]+raw[i+1:])
		}
		if i := strings.LastIndexByte(raw, '$'); i > 0 {
			m.replace(t.start, t.end, raw[:i]+raw[i+1:])
		}
	default:
		switch raw {
		case "true":
			m.replace(t.start, t.end, "false")
		case "false":
			m.replace(t.start, t.end, "true")
		}
	}
}

// renamed returns a name or a quoted text with one letter more.
func renamed(raw string) string {
	if strings.IndexByte("\"'`", raw[0]) >= 0 {
		return raw[:1] + "x" + raw[1:]
	}
	return "x" + raw
}

// drop adds the mutants without one of items, of which size belong together.
func (m *mutator) drop(items []*treeNode, size int) {
	for i := 0; i < len(items); i += size {
		start, end := items[i].start, items[i+size-1].end
		switch {
		case i+size < len(items):
			end = items[i+size].start
		case i > 0:
			start = items[i-1].end
		}
		m.replace(start, end, "")
	}
}

// shortened returns a part of an expression for a message.
func shortened(text string) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > 40 {
		runes = append(runes[:40:40], '…')
	}
	return string(runes)
}
