package jsonata

import "strings"

// rewriteForCompiler rewrites the parts of src that gnata reads unlike the reference
// implementation, without changing their meaning:
//   - a regular expression, whose values it does not tell from objects: it becomes a variable, the
//     first one patternName(0);
//   - a wildcard * or **, which it does not flatten: it becomes a call;
//   - the right side of ~>, which it takes for a regular expression if it is an object;
//   - a division after a closing bracket, which it takes for the start of a regular expression;
//   - name[] outside a path, whose [] it ignores;
//   - a call of the expression's own function as a step, to which it also passes the context:
//     $f(1).x becomes ($f(1)).x;
//   - a binding read inside a function, which it reads in the context of the call: body becomes
//     $$.body.
func rewriteForCompiler(src string) string {
	r := rewriter{src: src, before: map[int]string{}, calls: map[int]string{}, own: map[string]bool{}, ofSrc: map[string]bool{}}
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
	if len(r.before)+len(r.calls) == 0 && !strings.Contains(src, "/") {
		return src
	}
	return r.write()
}

type rewriter struct {
	src    string
	before map[int]string  // what to insert before the byte at an offset
	calls  map[int]string  // what is written instead of the wildcard at an offset
	own    map[string]bool // functions written in JSONata, by the library or perhaps by src
	ofSrc  map[string]bool // variables that src binds
}

// bound adds the variables that the expression binds to own and ofSrc.
func (r *rewriter) bound(n *treeNode) {
	names := n.parameters
	if n.kind == treeBind {
		names = []string{n.left.token.text(r.src)}
	}
	for _, name := range names {
		r.own[name], r.ofSrc[name] = true, true
	}
	for _, c := range n.children() {
		r.bound(c)
	}
}

func (r *rewriter) visit(n *treeNode, inPath bool) {
	switch n.kind {
	case treeLiteral:
		switch {
		case n.token.is(r.src, "*"):
			r.calls[n.start] = "$" + ownPrefix + "members($)"
		case n.token.is(r.src, "**"):
			r.calls[n.start] = "$" + ownPrefix + "descendants($)"
		}
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
		if n.kind == treeOperator && n.token.is(r.src, "~>") && r.mayBeData(n.right) {
			r.before[n.right.start] += "$" + ownPrefix + "applied("
			r.before[n.right.end] += ")"
		}
		if n.kind == treeCall && inPath && (n.left.kind != treeVariable || r.own[n.left.token.text(r.src)]) {
			r.before[n.start] += "("
			r.before[n.end] += ")"
		}
		for _, c := range n.children() {
			r.visit(c, false)
		}
	}
}

// mayBeData reports whether the value of n may be something else than a function.
func (r *rewriter) mayBeData(n *treeNode) bool {
	switch n.kind {
	case treeCall, treeLambda, treeTransform:
		return false
	case treeVariable:
		name := n.token.text(r.src)
		return name == "" || name == "$" || r.ofSrc[name]
	case treeLiteral:
		return n.token.kind != tokenRegex
	default:
		return n.kind != treeOperator || !n.token.is(r.src, "~>")
	}
}

func (r *rewriter) write() string {
	var b strings.Builder
	var last token
	patterns := 0
	for _, t := range lex(r.src) {
		raw := r.src[t.start:t.end]
		switch {
		case t.kind == tokenRegex && isPattern(raw):
			raw = "$" + patternName(patterns) + " " // what follows is not part of the name
			patterns++
		case r.calls[t.start] != "":
			raw = r.calls[t.start]
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
