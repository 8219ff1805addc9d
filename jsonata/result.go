package jsonata

import (
	"strconv"
	"strings"

	"portolan/source"
)

// Type is what an expression returns, as messages name it: one type, or several joined by "or".
type Type string

// The types.
const (
	Boolean Type = "true or false"
	Number  Type = "a number"
	Text    Type = "a text"
	Object  Type = "an object"
	List    Type = "a list"
	Scalar       = Text + " or " + Number + " or " + Boolean
	Parts        = Object + " or " + List
)

// Target is a variable for an expression and what it must return. A number is from Min to Max
// unless both are 0.
type Target struct {
	Expr     **Expr
	Want     Type
	Min, Max int
}

// Exprs reads an object of expressions by key.
func (r *Reader) Exprs(n *source.Node, bindings []string, targets map[string]Target) {
	fields := source.Fields{}
	for key, t := range targets {
		fields[key] = func(n *source.Node) { *t.Expr = r.typed(n, t, bindings) }
	}
	r.Object(n, fields)
}

// TypedExpr is Expr for an expression that must return want. Only results that are written out are
// checked: constants, constructors, and what an operator returns.
func (r *Reader) TypedExpr(n *source.Node, want Type, bindings ...string) *Expr {
	return r.typed(n, Target{Want: want}, bindings)
}

func (r *Reader) typed(n *source.Node, t Target, bindings []string) *Expr {
	x := r.Expr(n, bindings...)
	tree, err := parseTree(x.Source)
	if x.broken || err != nil {
		return x
	}
	for _, result := range results(x.Source, tree) {
		got := staticType(x.Source, result)
		number, err := strconv.ParseFloat(x.Source[result.start:result.end], 64)
		switch {
		case !strings.Contains(string(t.Want), string(got)):
			r.Diags.Errorf(n.At(result.start), "E004-wrong-type", "want %s, got %s", t.Want, got)
		case err == nil && t.Max > 0 && (number < float64(t.Min) || number > float64(t.Max)):
			r.Diags.Errorf(n.At(result.start), "E006-bad-value", "%v is not a number from %d to %d", number, t.Min, t.Max)
		}
	}
	return x
}

// results returns the parts of the expression n, one of which is its result.
func results(src string, n *treeNode) []*treeNode {
	switch {
	case n == nil:
		return nil
	case n.kind == treeBlock && len(n.items) > 0:
		return results(src, n.items[len(n.items)-1])
	case n.kind == treeCondition:
		return append(results(src, n.right), results(src, n.other)...)
	case n.kind == treeOperator && (n.token.is(src, "??") || n.token.is(src, "?:")):
		return append(results(src, n.left), results(src, n.right)...)
	default:
		return []*treeNode{n}
	}
}

// staticType returns the type of n's value; "" if that depends on data.
func staticType(src string, n *treeNode) Type {
	switch n.kind {
	case treeArray:
		return List
	case treeObject:
		return Object
	case treeLiteral:
		switch raw := src[n.token.start:n.token.end]; {
		case n.token.kind == tokenString:
			return Text
		case n.token.kind == tokenNumber:
			return Number
		case raw == "true" || raw == "false":
			return Boolean
		}
	case treeOperator:
		switch src[n.token.start:n.token.end] {
		case "=", "!=", "<", "<=", ">", ">=", "in", "and", "or":
			return Boolean
		case "&":
			return Text
		case "+", "-", "*", "/", "%", "**":
			return Number
		}
	default:
	}
	return ""
}
