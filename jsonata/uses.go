package jsonata

// Use is a member of a binding that an expression reads by its name: context.api_key.
type Use struct {
	Name   string // of the member
	Offset int    // of the name in the source
}

// Uses returns the members of the binding called name that the expression reads. whole is set if
// it may read other members too: all of them, or a computed one. A field of the same name of
// another value is not a use.
func (x *Expr) Uses(name string) (members []Use, whole bool) {
	tree, err := parseTree(x.Source)
	if err != nil { // does not compile
		return nil, true
	}
	c := &nameCheck{src: x.Source, atRoot: map[*treeNode]bool{}}
	c.node(tree, true, &nameScope{})
	u := useFinder{src: x.Source, name: name, atRoot: c.atRoot}
	u.visit(tree)
	return u.members, u.whole
}

// useFinder finds the reads of one binding: its name if the context is the root, and everything
// else that reads the root, which contains all bindings.
type useFinder struct {
	src, name string
	atRoot    map[*treeNode]bool

	members []Use
	whole   bool
}

// contextual are the functions that return parts of the context if an argument is missing, and
// their numbers of arguments.
var contextual = map[string]int{"string": 1, "each": 2, "sift": 2, "lookup": 2, "spread": 1}

func (u *useFinder) visit(n *treeNode) {
	children := n.children()
	switch {
	case n.kind == treePath && u.isBinding(n.left) && len(n.left.parameters) == 0:
		u.member(firstStep(n.right))
		children = children[1:]
	case n.kind == treePath && n.left.kind == treeVariable && len(n.left.parameters) == 0 && u.isRootMember(firstStep(n.right)):
		children = children[1:]
	case n.kind == treeOperator && n.token.is(u.src, "~>") && n.right.kind == treeCall: // its first argument is on the left
		children = append(n.right.children(), n.left)
	case n.kind == treeName || n.kind == treeLiteral && n.token.kind == tokenString:
		u.whole = u.whole || u.isBinding(n)
	case n.kind == treeCall && n.left.kind == treeVariable:
		arguments, known := contextual[n.left.token.text(u.src)]
		u.whole = u.whole || u.atRoot[n] && known && len(n.items) < arguments
	case n.kind != treeCall:
		u.whole = u.whole || u.atRoot[n]
	}
	for _, c := range children {
		u.visit(c)
	}
}

func (u *useFinder) isBinding(n *treeNode) bool {
	return u.isRootMember(n) && n.token.text(u.src) == u.name
}

// isRootMember reports whether n names a member of the root.
func (u *useFinder) isRootMember(n *treeNode) bool {
	return u.atRoot[n] && (n.kind == treeName || n.kind == treeLiteral && n.token.kind == tokenString)
}

// member records the step after the binding.
func (u *useFinder) member(n *treeNode) {
	if n.kind == treeName || n.kind == treeLiteral && n.token.kind == tokenString {
		u.members = append(u.members, Use{n.token.text(u.src), n.start})
	} else {
		u.whole = true
	}
}

// firstStep returns the first step of the path n, without its predicates.
func firstStep(n *treeNode) *treeNode {
	for n.kind == treePath || n.kind == treePredicate || n.kind == treeSort {
		n = n.left
	}
	return n
}

// Names returns the names and string literals of the expression, with repetitions.
func (x *Expr) Names() []string {
	var names []string
	for _, t := range lex(x.Source) {
		if t.kind == tokenName || t.kind == tokenString {
			names = append(names, t.text(x.Source))
		}
	}
	return names
}

// Tokens splits an expression into tokens, without spaces and comments. Expressions with the same
// tokens have the same meaning.
func Tokens(src string) []string {
	var tokens []string
	for _, t := range significant(lex(src)) {
		tokens = append(tokens, src[t.start:t.end])
	}
	return tokens
}
