package engine

import (
	"fmt"
	"regexp"
	"strings"
)

var escapedBracket = regexp.MustCompile(`\\[\\()\[\]{}]`)

// forCompiler respells, without a change of meaning, what the compiler reads otherwise
// than the reference implementation: an escaped bracket in a regular expression; a division
// after a closing bracket, which it takes for the start of a regular expression; and name[]
// outside of a path, whose [] it forgets.
func forCompiler(src string) string {
	bare := bareKept(src)
	if len(bare) == 0 && !strings.Contains(src, "/") {
		return src
	}
	var b strings.Builder
	var before token
	for _, t := range lex(src) {
		raw := src[t.start:t.end]
		switch {
		case t.kind == tokenRegex:
			raw = escapedBracket.ReplaceAllStringFunc(raw, func(s string) string {
				if s[1] == '\\' {
					return s
				}
				return fmt.Sprintf(`\x%02x`, s[1])
			})
		case t.is(src, "/") && (before.is(src, ")") || before.is(src, "]") || before.is(src, "}")):
			raw = "*1/"
		case bare[t.start]:
			raw = "$." + raw
		}
		b.WriteString(raw)
		if t.kind != tokenSpace && t.kind != tokenComment {
			before = t
		}
	}
	return b.String()
}

// bareKept gives the offsets of names that a [] follows and that are no part of a path.
func bareKept(src string) map[int]bool {
	if !strings.Contains(src, "[") {
		return nil
	}
	tree, err := parseTree(src)
	if err != nil {
		return nil
	}
	bare := map[int]bool{}
	var visit func(n *treeNode, inPath bool)
	visit = func(n *treeNode, inPath bool) {
		switch n.kind {
		case treeName:
			if n.keepArray && !inPath {
				bare[n.start] = true
			}
		case treePath:
			visit(n.left, true)
			visit(n.right, true)
		case treePredicate:
			visit(n.left, true) // heeded there
			visit(n.right, false)
		default:
			for _, c := range n.children() {
				visit(c, false)
			}
		}
	}
	visit(tree, false)
	return bare
}
