package jsonata

import (
	"fmt"
	"regexp"
	"strings"
)

var escapedBracket = regexp.MustCompile(`\\[\\()\[\]{}]`)

// rewriteForCompiler rewrites the parts of src that gnata reads unlike the reference
// implementation, without changing their meaning:
//   - an escaped bracket in a regular expression, which it counts as a bracket;
//   - a division after a closing bracket, which it takes for the start of a regular expression;
//   - name[] outside a path, whose [] it ignores;
//   - a call of the expression's own function as a step, to which it also passes the context:
//     $f(1).x becomes ($f(1)).x;
//   - a binding read inside a function, which it reads in the context of the call: body becomes
//     $$.body.
func rewriteForCompiler(src string) string {
	r := rewriter{src: src, before: map[int]string{}, own: map[string]bool{}}
	for name := range libraryInJSONata {
		r.own[name] = true
	}
	if tree, err := parseTree(src); err == nil {
		c := &nameCheck{src: src}
		c.node(tree, true, &nameScope{})
		for _, offset := range c.rootInFunction {
			r.before[offset] = "$$."
		}
		r.bound(tree)
		r.visit(tree, false)
	}
	if len(r.before) == 0 && !strings.Contains(src, "/") {
		return src
	}
	return r.write()
}

type rewriter struct {
	src    string
	before map[int]string  // what to insert before the byte at an offset
	own    map[string]bool // functions written in JSONata, by the library or perhaps by src
}

// bound adds the variables that the expression binds to own.
func (r *rewriter) bound(n *treeNode) {
	for _, name := range n.parameters {
		r.own[name] = true
	}
	if n.kind == treeBind {
		r.own[n.left.token.text(r.src)] = true
	}
	for _, c := range n.children() {
		r.bound(c)
	}
}

func (r *rewriter) visit(n *treeNode, inPath bool) {
	switch n.kind {
	case treeName:
		if n.keepArray && !inPath && r.before[n.start] == "" {
			r.before[n.start] = "$."
		}
	case treePath:
		r.visit(n.left, true)
		r.visit(n.right, true)
	case treePredicate:
		if n.left.kind != treeName { // gnata heeds a [] there
			r.visit(n.left, inPath)
		}
		r.visit(n.right, false)
	default:
		if n.kind == treeCall && inPath && (n.left.kind != treeVariable || r.own[n.left.token.text(r.src)]) {
			r.before[n.start] += "("
			r.before[n.end] += ")"
		}
		for _, c := range n.children() {
			r.visit(c, false)
		}
	}
}

func (r *rewriter) write() string {
	var b strings.Builder
	var last token
	for _, t := range lex(r.src) {
		raw := r.src[t.start:t.end]
		switch {
		case t.kind == tokenRegex:
			raw = escapedBracket.ReplaceAllStringFunc(raw, func(s string) string {
				if s[1] == '\\' {
					return s
				}
				return fmt.Sprintf(`\x%02x`, s[1])
			})
		case t.is(r.src, "/") && (last.is(r.src, ")") || last.is(r.src, "]") || last.is(r.src, "}")):
			raw = "*1/"
		}
		b.WriteString(r.before[t.start])
		b.WriteString(raw)
		if t.kind != tokenSpace && t.kind != tokenComment {
			last = t
		}
	}
	b.WriteString(r.before[len(r.src)])
	return b.String()
}
