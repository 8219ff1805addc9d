package jsonata

import (
	"slices"
	"strings"

	"portolan/source"
)

// finding is one unknown name in an expression.
type finding struct {
	offset        int
	code          string
	message, hint string
}

// checkNames returns the unknown functions, variables and bindings that src uses. Without
// bindings, those are not checked.
//
// The root of an expression is the object of its bindings. A name is a binding if its context is
// the root. After a dot, in a predicate, a grouping or a sorting it is a field, which is not
// checked.
func (l *Language) checkNames(src string, bindings []string) []finding {
	tree, err := parseTree(src)
	if err != nil {
		return nil
	}
	c := &nameCheck{src: src, functions: l.functions, bindings: bindings}
	c.node(tree, true, (&nameScope{}).with(c, tree))
	return c.findings
}

type nameCheck struct {
	src       string
	functions []string
	bindings  []string
	findings  []finding

	piped          *treeNode // the right side of the last ~>
	inFunction     bool
	rootInFunction []int              // offsets of names and $ that read the root inside a function
	atRoot         map[*treeNode]bool // names, $, wildcards and calls that read the root; nil: not recorded
}

// nameScope is a block or function body with all of its variables. A function may be called
// before it is bound.
type nameScope struct {
	outer *nameScope
	names []string
}

// with adds the variables bound in nodes, but not in their inner blocks and functions, to s.
func (s *nameScope) with(c *nameCheck, nodes ...*treeNode) *nameScope {
	for _, n := range nodes {
		s.names = append(s.names, n.bound()...)
		if n.kind == treeBind && n.left.kind == treeVariable {
			s.names = append(s.names, n.left.token.text(c.src))
		}
		if n.kind != treeBlock && n.kind != treeLambda {
			s.with(c, n.children()...)
		}
	}
	return s
}

// bound returns the variables that @ and # bind at n.
func (n *treeNode) bound() []string {
	if n.kind == treeLambda {
		return nil
	}
	return n.parameters
}

func (s *nameScope) all() []string {
	if s == nil {
		return nil
	}
	return append(s.outer.all(), s.names...)
}

// node checks n and reports whether its value is the root. root is set if its context is the
// root.
func (c *nameCheck) node(n *treeNode, root bool, s *nameScope) bool {
	switch n.kind {
	case treeName:
		c.name(n, root)
		return false
	case treeVariable:
		isRoot := c.variable(n, root, s, "E024-unknown-variable")
		c.reads(n, isRoot)
		return isRoot
	case treeLiteral:
		c.reads(n, root && (n.token.is(c.src, "*") || n.token.is(c.src, "**")) || n.token.is(c.src, "%"))
		return false
	case treePath:
		if n.left.kind == treeLiteral && n.left.token.kind == tokenString {
			c.name(n.left, root) // in a path, a string is a name
			return c.node(n.right, false, s)
		}
		return c.node(n.right, c.node(n.left, root, s), s)
	case treePredicate, treeGroup, treeSort:
		of := c.node(n.left, root, s)
		if n.right != nil {
			c.node(n.right, of, s)
		}
		c.nodes(n.items, of, s)
		return of && n.kind != treeGroup
	case treeBlock:
		return c.nodes(n.items, root, (&nameScope{outer: s}).with(c, n.items...))
	case treeLambda:
		inner := &nameScope{outer: s, names: slices.Clone(n.parameters)}
		outside := c.inFunction
		c.inFunction = true
		c.node(n.right, root, inner.with(c, n.right))
		c.inFunction = outside
		return false
	case treeTransform:
		c.nodes(n.items, false, s)
		return false
	case treeCall:
		c.reads(n, root)
		c.callee(n.left, root, s)
		if n.left.kind == treeVariable && n.left.token.text(c.src) == "join" && len(n.items) == 1 && c.piped != n {
			c.findings = append(c.findings, finding{
				n.start, "W003-join-without-separator", "$join with one argument puts nothing between the texts; in Truto's library it puts a comma",
				`write $join(…, ",") or $join(…, "")`,
			})
		}
	case treeObject:
		for i, item := range n.items {
			if i%2 == 0 && item.kind == treeName {
				c.key(item, root)
			} else {
				c.node(item, root, s)
			}
		}
		return false
	case treeOperator:
		if n.left != nil {
			c.node(n.left, root, s)
		}
		if n.token.is(c.src, "~>") && n.right.kind == treeVariable {
			c.callee(n.right, root, s)
		} else {
			if n.token.is(c.src, "~>") {
				c.piped = n.right
			}
			c.node(n.right, root, s)
		}
		return false
	case treeBind:
		return c.node(n.right, root, s)
	default:
		c.nodes([]*treeNode{n.left, n.right, n.other}, root, s)
	}
	c.nodes(n.items, root, s)
	return false
}

// nodes checks all and reports whether the last one's value is the root.
func (c *nameCheck) nodes(all []*treeNode, root bool, s *nameScope) (last bool) {
	for _, n := range all {
		if n != nil {
			last = c.node(n, root, s)
		}
	}
	return last
}

// reads notes whether n reads the root.
func (c *nameCheck) reads(n *treeNode, root bool) {
	if root && c.atRoot != nil {
		c.atRoot[n] = true
	}
}

func (c *nameCheck) name(n *treeNode, root bool) {
	name := n.token.text(c.src)
	c.reads(n, root)
	if root && c.inFunction {
		c.rootInFunction = append(c.rootInFunction, n.start)
	}
	if !root || len(c.bindings) == 0 || slices.Contains(c.bindings, name) {
		return
	}
	f := finding{offset: n.start, code: "E022-unknown-binding", message: "unknown binding " + quoted(name)}
	if near := source.Nearest(name, c.bindings); near != "" {
		f.hint = "did you mean " + quoted(near) + "?"
	} else {
		f.hint = "bindings here: " + strings.Join(c.bindings, ", ")
	}
	c.findings = append(c.findings, f)
}

// key checks a name without quotes as a key, which JSONata evaluates as a path.
func (c *nameCheck) key(n *treeNode, root bool) {
	before := len(c.findings)
	c.name(n, root)
	if len(c.findings) > before {
		c.findings[before].hint = "write a key in quotes"
	}
}

func (c *nameCheck) callee(n *treeNode, root bool, s *nameScope) {
	switch n.kind {
	case treeVariable:
		c.variable(n, root, s, "E021-unknown-function")
	case treeName:
		if !root && slices.Contains(methods, n.token.text(c.src)) {
			return
		}
		f := finding{offset: n.start, code: "E021-unknown-function", message: "unknown function " + quoted(n.token.text(c.src))}
		if near := source.Nearest(n.token.text(c.src), c.functions); near != "" {
			f.hint = "did you mean " + quoted("$"+near) + "?"
		}
		c.findings = append(c.findings, f)
	default:
		c.node(n, root, s)
	}
}

func (c *nameCheck) variable(n *treeNode, root bool, s *nameScope, code string) (isRoot bool) {
	name := n.token.text(c.src)
	switch name {
	case "":
		if root && c.inFunction {
			c.rootInFunction = append(c.rootInFunction, n.start)
		}
		return root
	case "$":
		return true
	}
	known := append(s.all(), c.functions...)
	if slices.Contains(known, name) {
		return false
	}
	what := "variable "
	if code == "E021-unknown-function" {
		what = "function "
	}
	f := finding{offset: n.start, code: code, message: "unknown " + what + quoted("$"+name)}
	if reason := staysOut[name]; reason != "" && what == "function " {
		f.message, f.hint = "$"+name+" is not available here: it "+reason, ""
	} else if near := source.Nearest(name, known); near != "" {
		f.hint = "did you mean " + quoted("$"+near) + "?"
	}
	c.findings = append(c.findings, f)
	return false
}

func quoted(s string) string { return `"` + s + `"` }
