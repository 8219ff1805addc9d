package jsonata

import "errors"

// treeKind is what a treeNode is.
type treeKind int

const (
	treeName      treeKind = iota // also a string in a path
	treeVariable                  // $, $$, $name
	treeLiteral                   // string, number, regex, true, false, null, * ** % ?
	treePath                      // left.right
	treePredicate                 // left[right], left[] without right
	treeGroup                     // left{items}, keys and values in turn
	treeSort                      // left^(items)
	treeBlock                     // (items)
	treeArray                     // [items]
	treeObject                    // {items}, keys and values in turn
	treeCall                      // left(items)
	treeLambda                    // function(parameters){right}
	treeCondition                 // left ? right : other
	treeBind                      // left := right
	treeOperator                  // left op right; a sign has no left
	treeTransform                 // |items|
)

// treeNode is a part of an expression with its place. gnata's own tree is not exported. This one
// suffices to distinguish names from fields and to find the result.
type treeNode struct {
	kind               treeKind
	token              token // name, variable, literal or operator
	start              int   // offset of its first byte
	end                int   // the offset after its last byte
	left, right, other *treeNode
	items              []*treeNode
	parameters         []string // of a lambda; of a step, the variables that @ and # bind
	keepArray          bool     // followed by []
}

var errNoTree = errors.New("not an expression")

// parseTree parses an expression that compiles. Its error is errNoTree.
func parseTree(src string) (tree *treeNode, err error) {
	p := &treeParser{src: src, tokens: significant(lex(src))}
	defer func() {
		if r := recover(); r != nil {
			if r != errNoTree { //nolint:errorlint // our own panic, unwrapped
				panic(r)
			}
			tree, err = nil, errNoTree
		}
	}()
	tree = p.expression(0)
	if p.at < len(p.tokens) {
		return nil, errNoTree
	}
	return tree, nil
}

// treeParser is a parser by precedence. It panics with errNoTree.
type treeParser struct {
	src    string
	tokens []token
	at     int
}

// op returns the next token if it is an operator or name; "" otherwise.
func (p *treeParser) op() string {
	if p.at >= len(p.tokens) {
		return ""
	}
	switch t := p.tokens[p.at]; t.kind {
	case tokenOperator, tokenName:
		return p.src[t.start:t.end]
	default:
		return ""
	}
}

func (p *treeParser) next() token {
	if p.at >= len(p.tokens) {
		panic(errNoTree)
	}
	p.at++
	return p.tokens[p.at-1]
}

// expect skips op, or panics if the next token is another one.
func (p *treeParser) expect(op string) {
	if !p.skip(op) {
		panic(errNoTree)
	}
}

func (p *treeParser) skip(op string) bool {
	if p.op() != op {
		return false
	}
	p.at++
	return true
}

// powers are the compiler's binding powers.
var powers = map[string]int{
	"(": 80, "[": 80, "@": 75, "#": 75, ".": 75, "{": 70, "**": 60, "*": 60, "/": 60, "%": 60,
	"+": 50, "-": 50, "&": 50, "~>": 45, "!=": 40, "<=": 40, ">=": 40, "=": 40, "<": 40, ">": 40, "in": 40, "^": 40,
	"and": 30, "or": 25, "..": 20, "|": 20, "?": 20, "?:": 20, "??": 20, ":=": 10,
}

func (p *treeParser) expression(power int) *treeNode {
	left := p.operand()
	left.end = p.tokens[p.at-1].end
	for powers[p.op()] > power {
		left = p.follow(left)
		left.end = p.tokens[p.at-1].end
	}
	return left
}

func (p *treeParser) operand() *treeNode {
	t := p.next()
	n := &treeNode{kind: treeLiteral, token: t, start: t.start}
	switch t.kind {
	case tokenString, tokenNumber, tokenRegex:
		return n
	case tokenVariable:
		n.kind = treeVariable
		return n
	case tokenName:
		switch raw := p.src[t.start:t.end]; {
		case (raw == "function" || raw == "λ") && p.op() == "(":
			return p.lambda(n)
		case raw != "true" && raw != "false" && raw != "null":
			n.kind = treeName
		}
		return n
	case tokenOperator:
	default:
		panic(errNoTree)
	}
	switch p.src[t.start:t.end] {
	case "*", "**", "%", "?":
	case "-":
		n.kind, n.right = treeOperator, p.expression(70)
	case "(":
		n.kind = treeBlock
		for p.op() != ")" {
			n.items = append(n.items, p.expression(0))
			if !p.skip(";") {
				break
			}
		}
		p.expect(")")
	case "[":
		n.kind, n.items = treeArray, p.list("]")
	case "{":
		n.kind, n.items = treeObject, p.pairs()
	case "|", "~":
		n.kind = treeTransform
		n.items = append(n.items, p.expression(20))
		p.expect("|")
		n.items = append(n.items, p.expression(20))
		if p.skip(",") {
			n.items = append(n.items, p.expression(20))
		}
		p.expect("|")
	default:
		panic(errNoTree)
	}
	return n
}

// list reads items up to and including the closing bracket.
func (p *treeParser) list(closing string) (items []*treeNode) {
	for p.op() != closing {
		items = append(items, p.expression(0))
		if !p.skip(",") {
			break
		}
	}
	p.expect(closing)
	return items
}

func (p *treeParser) pairs() (items []*treeNode) {
	for p.op() != "}" {
		key := p.expression(0)
		p.expect(":")
		items = append(items, key, p.expression(0))
		if !p.skip(",") {
			break
		}
	}
	p.expect("}")
	return items
}

func (p *treeParser) lambda(n *treeNode) *treeNode {
	n.kind = treeLambda
	p.expect("(")
	for p.op() != ")" {
		n.parameters = append(n.parameters, p.variable())
		if !p.skip(",") {
			break
		}
	}
	p.expect(")")
	if p.op() == "<" { // a signature
		for depth := 0; ; {
			switch p.src[p.tokens[p.at].start:p.next().end] {
			case "<":
				depth++
			case ">":
				depth--
			}
			if depth == 0 || p.at >= len(p.tokens) {
				break
			}
		}
	}
	p.expect("{")
	n.right = p.expression(0)
	p.expect("}")
	return n
}

func (p *treeParser) variable() string {
	t := p.next()
	if t.kind != tokenVariable {
		panic(errNoTree)
	}
	return t.text(p.src)
}

// follow reads the operator after the operand left, and its right side.
func (p *treeParser) follow(left *treeNode) *treeNode {
	t := p.next()
	op := p.src[t.start:t.end]
	n := &treeNode{kind: treeOperator, token: t, start: left.start, left: left}
	switch op {
	case "(":
		n.kind, n.items = treeCall, p.list(")")
	case "[":
		if p.skip("]") {
			left.keepArray = true
			return left
		}
		n.kind, n.right = treePredicate, p.expression(0)
		p.expect("]")
	case "{":
		n.kind, n.items = treeGroup, p.pairs()
	case "^":
		n.kind = treeSort
		p.expect("(")
		for p.op() != ")" {
			if p.op() == "<" || p.op() == ">" {
				p.at++
			}
			n.items = append(n.items, p.expression(0))
			if !p.skip(",") {
				break
			}
		}
		p.expect(")")
	case "@", "#":
		left.parameters = append(left.parameters, p.variable())
		return left
	case ".":
		n.kind, n.right = treePath, p.expression(74)
	case "?":
		n.kind, n.right = treeCondition, p.expression(0)
		if p.skip(":") {
			n.other = p.expression(0)
		}
	case ":=":
		n.kind, n.right = treeBind, p.expression(powers[op]-1)
	case "~>", "?:", "??", "..", "|":
		n.right = p.expression(powers[op] - 1)
	default:
		n.right = p.expression(powers[op])
	}
	return n
}

// children returns the nodes directly below n, in the order of the source.
func (n *treeNode) children() []*treeNode {
	var out []*treeNode
	for _, c := range append([]*treeNode{n.left, n.right, n.other}, n.items...) {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}
