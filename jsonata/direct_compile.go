package jsonata

import (
	"maps"
	"slices"
	"strconv"

	"portolan/plain"
)

// compileDirect returns src for direct evaluation; nil if it has parts that only gnata knows. src
// compiles.
func compileDirect(src string, functions map[string]function) *direct {
	tree, err := parseTree(src)
	if err != nil {
		return nil
	}
	c := &directCompiler{src: src, functions: functions, ok: true}
	eval := c.node(tree, map[string]int{})
	if !c.ok {
		return nil
	}
	return &direct{eval}
}

type directCompiler struct {
	src       string
	functions map[string]function // of the library
	variables int                 // bound so far
	ok        bool                // everything so far can be evaluated directly
}

// refuse notes a part that only gnata knows.
func (c *directCompiler) refuse() evaluator {
	c.ok = false
	return nil
}

// node compiles n. scope has the places of the variables that n may read.
func (c *directCompiler) node(n *treeNode, scope map[string]int) evaluator {
	if n == nil || n.keepArray || len(n.parameters) > 0 {
		return c.refuse()
	}
	switch n.kind {
	case treeName:
		switch name := n.token.text(c.src); c.src[n.token.start:n.token.end] {
		case "and", "or", "in":
			return c.refuse()
		default:
			return func(r *directRun, in any) any { return r.member(in, name) }
		}
	case treeLiteral:
		return c.literal(n)
	case treeVariable:
		return c.variable(n, scope)
	case treePath:
		return c.path(n, scope)
	case treePredicate:
		return c.predicate(n, scope)
	case treeBlock:
		return c.block(n, scope)
	case treeArray:
		return c.array(n, scope)
	case treeObject:
		return c.object(n, scope)
	case treeCall:
		return c.call(n, scope)
	case treeCondition:
		return c.condition(n, scope)
	case treeOperator:
		return c.operator(n, scope)
	default:
		return c.refuse()
	}
}

func (c *directCompiler) nodes(list []*treeNode, scope map[string]int) []evaluator {
	out := make([]evaluator, len(list))
	for i, n := range list {
		out[i] = c.node(n, scope)
	}
	return out
}

func (c *directCompiler) literal(n *treeNode) evaluator {
	var value any
	switch text := n.token.text(c.src); {
	case n.token.kind == tokenString:
		value = text
	case n.token.kind == tokenNumber:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return c.refuse()
		}
		value = f
	case text == "true", text == "false":
		value = text == "true"
	case text != "null":
		return c.refuse()
	}
	return func(*directRun, any) any { return value }
}

func (c *directCompiler) variable(n *treeNode, scope map[string]int) evaluator {
	name := n.token.text(c.src)
	if name == "" {
		return func(r *directRun, in any) any {
			if _, all := in.(*bindingScope); all {
				return r.unsure()
			}
			return in
		}
	}
	place, bound := scope[name]
	if !bound {
		return c.refuse()
	}
	return func(r *directRun, _ any) any { return r.variables[place] }
}

// pathStep is a step of a path.
type pathStep struct {
	eval evaluator
	name string // of a member; "" for any other step
}

func (c *directCompiler) path(n *treeNode, scope map[string]int) evaluator {
	parts := n.steps()
	if !slices.Contains([]treeKind{treeName, treeVariable, treePredicate, treeBlock}, parts[0].kind) {
		return c.refuse()
	}
	first := c.node(parts[0], scope)
	steps := make([]pathStep, 0, len(parts))
	for _, part := range parts[1:] {
		steps = append(steps, c.step(part, scope))
	}
	return func(r *directRun, in any) any {
		at := first(r, in)
		for i := range steps {
			if at == undefined {
				break
			}
			at = r.step(&steps[i], at)
		}
		return at
	}
}

// steps returns the steps of a path.
func (n *treeNode) steps() []*treeNode {
	if n.kind != treePath {
		return []*treeNode{n}
	}
	return append(n.left.steps(), n.right.steps()...)
}

// step compiles a step after the first one.
func (c *directCompiler) step(n *treeNode, scope map[string]int) pathStep {
	s := pathStep{eval: c.node(n, scope)}
	switch {
	case n.kind == treeName, n.kind == treeLiteral && n.token.kind == tokenString:
		s.name = n.token.text(c.src)
	case n.kind != treeBlock && n.kind != treeObject && n.kind != treeCall && n.kind != treePredicate:
		c.refuse()
	}
	return s
}

// step evaluates a step of a path for the value of the step before.
func (r *directRun) step(s *pathStep, at any) any {
	if s.name != "" {
		return r.member(at, s.name)
	}
	items, ok := at.([]any)
	if !ok {
		return s.eval(r, at)
	}
	var out []any
	for _, item := range items {
		if !r.spend(1) {
			break
		}
		if v := s.eval(r, item); v != undefined {
			out = r.spread(out, v)
		}
	}
	v := sequence(out)
	if list, ok := v.([]any); ok && len(list) == 0 {
		return undefined
	}
	return v
}

// predicate compiles an index or a filter.
func (c *directCompiler) predicate(n *treeNode, scope map[string]int) evaluator {
	left, right := c.node(n.left, scope), c.node(n.right, scope)
	if n.right.kind == treeLiteral && n.right.token.kind == tokenNumber {
		index, err := strconv.Atoi(n.right.token.text(c.src))
		if err != nil {
			return c.refuse()
		}
		return func(r *directRun, in any) any {
			v := left(r, in)
			if items, ok := v.([]any); ok {
				if index >= len(items) {
					return undefined
				}
				return items[index]
			}
			if index > 0 {
				return undefined
			}
			return v
		}
	}
	if !c.isTest(n.right) {
		return c.refuse()
	}
	return func(r *directRun, in any) any {
		v := left(r, in)
		items, ok := v.([]any)
		if v == undefined || ok && len(items) == 0 {
			return undefined
		}
		if !ok {
			if r.truthy(right(r, v)) {
				return v
			}
			return undefined
		}
		out := make([]any, 0, len(items))
		for _, item := range items {
			if r.spend(1) && r.truthy(right(r, item)) {
				out = append(out, item)
			}
		}
		return sequence(out)
	}
}

// isTest reports whether the result of n is a boolean or undefined.
func (c *directCompiler) isTest(n *treeNode) bool {
	if n.kind == treeCall {
		return slices.Contains([]string{"exists", "not"}, n.left.token.text(c.src))
	}
	operators := []string{"=", "!=", "<", "<=", ">", ">=", "and", "or", "in"}
	return n.kind == treeOperator && slices.Contains(operators, c.src[n.token.start:n.token.end])
}

func (c *directCompiler) block(n *treeNode, scope map[string]int) evaluator {
	if len(n.items) == 0 {
		return c.refuse()
	}
	scope = maps.Clone(scope)
	parts := make([]evaluator, len(n.items))
	for i, item := range n.items {
		if item.kind == treeBind {
			parts[i] = c.bind(item, scope)
		} else {
			parts[i] = c.node(item, scope)
		}
	}
	return func(r *directRun, in any) (last any) {
		for _, part := range parts {
			last = part(r, in)
		}
		return last
	}
}

// bind compiles $name := value and adds the variable to scope.
func (c *directCompiler) bind(n *treeNode, scope map[string]int) evaluator {
	value := c.node(n.right, scope)
	if n.left.kind != treeVariable || c.variables == directVariables {
		return c.refuse()
	}
	place := c.variables
	c.variables++
	scope[n.left.token.text(c.src)] = place
	return func(r *directRun, in any) any {
		r.variables[place] = value(r, in)
		return r.variables[place]
	}
}

func (c *directCompiler) array(n *treeNode, scope map[string]int) evaluator {
	items := c.nodes(n.items, scope)
	return func(r *directRun, in any) any {
		out := make([]any, 0, len(items))
		for i, item := range items {
			switch v := item(r, in); {
			case v == undefined:
			case n.items[i].kind == treeArray:
				out = append(out, v)
			default:
				out = r.spread(out, v)
			}
		}
		return out
	}
}

func (c *directCompiler) object(n *treeNode, scope map[string]int) evaluator {
	var keys []string
	var values []evaluator
	seen := map[string]bool{}
	for i := 0; i < len(n.items); i += 2 {
		key := n.items[i]
		if key.kind != treeLiteral || key.token.kind != tokenString || seen[key.token.text(c.src)] {
			return c.refuse()
		}
		keys, values = append(keys, key.token.text(c.src)), append(values, c.node(n.items[i+1], scope))
		seen[key.token.text(c.src)] = true
	}
	return func(r *directRun, in any) any {
		out := make(map[string]any, len(keys))
		for i, value := range values {
			if v := value(r, in); v != undefined {
				out[keys[i]] = v
			}
		}
		return out
	}
}

func (c *directCompiler) condition(n *treeNode, scope map[string]int) evaluator {
	test, then := c.node(n.left, scope), c.node(n.right, scope)
	otherwise := func(*directRun, any) any { return undefined }
	if n.other != nil {
		otherwise = c.node(n.other, scope)
	}
	return func(r *directRun, in any) any {
		if r.truthy(test(r, in)) {
			return then(r, in)
		}
		return otherwise(r, in)
	}
}

func (c *directCompiler) operator(n *treeNode, scope map[string]int) evaluator {
	if n.left == nil { // a sign
		return c.refuse()
	}
	left, right := c.node(n.left, scope), c.node(n.right, scope)
	switch op := c.src[n.token.start:n.token.end]; op {
	case "and":
		return func(r *directRun, in any) any { return r.truthy(left(r, in)) && r.truthy(right(r, in)) }
	case "or":
		return func(r *directRun, in any) any { return r.truthy(left(r, in)) || r.truthy(right(r, in)) }
	case "=", "!=":
		equal := op == "="
		return func(r *directRun, in any) any {
			a, b := left(r, in), right(r, in)
			return a != undefined && b != undefined && r.equal(a, b) == equal
		}
	case "<", "<=", ">", ">=":
		return func(r *directRun, in any) any { return r.compare(op, left(r, in), right(r, in)) }
	case "in":
		return func(r *directRun, in any) any { return r.in(left(r, in), right(r, in)) }
	case "&":
		return func(r *directRun, in any) any { return r.text(left(r, in)) + r.text(right(r, in)) }
	default:
		return c.refuse()
	}
}

// call compiles the call of a built-in function that is known here, or of the library.
func (c *directCompiler) call(n *treeNode, scope map[string]int) evaluator {
	if n.left.kind != treeVariable {
		return c.refuse()
	}
	name := n.left.token.text(c.src)
	if _, bound := scope[name]; bound {
		return c.refuse()
	}
	args := c.nodes(n.items, scope)
	if _, replaced := libraryInJSONata[name]; replaced || len(args) == 0 {
		return c.refuse()
	}
	if f, ok := c.functions[name]; ok && !slices.Contains(nullFunctions, name) {
		return f.direct(args)
	}
	first := args[0]
	switch {
	case name == "join" && len(args) == 2:
		return func(r *directRun, in any) any { return r.join(first(r, in), args[1](r, in)) }
	case len(args) > 1:
		return c.refuse()
	}
	switch name {
	case "exists":
		return func(r *directRun, in any) any { return first(r, in) != undefined }
	case "not":
		return func(r *directRun, in any) any {
			v := first(r, in)
			if v == undefined {
				return undefined
			}
			return !r.truthy(v)
		}
	case "type":
		return func(r *directRun, in any) any {
			v := first(r, in)
			if v == undefined {
				return undefined
			}
			return plain.TypeName(v)
		}
	case "string":
		return func(r *directRun, in any) any {
			v := first(r, in)
			if _, isText := v.(string); isText || v == undefined {
				return v
			}
			return r.text(v)
		}
	case "trim":
		return func(r *directRun, in any) any { return r.trim(first(r, in)) }
	default:
		return c.refuse()
	}
}

// direct returns a call of f for direct evaluation.
func (f function) direct(args []evaluator) evaluator {
	return func(r *directRun, in any) any {
		if len(args) < f.min || len(args) > f.max || !r.spend(1) {
			return r.unsure()
		}
		values := make([]any, len(args))
		for i, arg := range args {
			if v := arg(r, in); v != undefined {
				values[i] = v
			}
		}
		switch v, err := f.call(values); {
		case err != nil:
			return r.unsure()
		case v == nil:
			return undefined
		case v == jsonNullValue:
			return nil
		default:
			return v
		}
	}
}
