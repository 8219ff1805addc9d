package jsonata

import (
	"context"
	"errors"
	"strings"

	"portolan/source"
)

// Reader is a source.Reader that also reads expressions.
type Reader struct {
	source.Reader
	Language *Language
	Read     []*Expr // the expressions that compiled
}

// Expr compiles n's text as an expression that may use the given bindings; without any, they are
// not checked. Errors are reported at their place in the file. The result is then a broken
// expression, whose value is undefined.
func (r *Reader) Expr(n *source.Node, bindings ...string) *Expr {
	return r.expr(n, r.Language.Compile, bindings)
}

// UntrustedExpr is Expr for an expression of an override. Its memory is bounded, and it is
// compiled and evaluated by a worker if the language has one.
func (r *Reader) UntrustedExpr(ctx context.Context, n *source.Node, bindings ...string) *Expr {
	return r.expr(n, func(src string) (*Expr, error) { return r.Language.CompileUntrusted(ctx, src) }, bindings)
}

func (r *Reader) expr(n *source.Node, compile func(src string) (*Expr, error), bindings []string) *Expr {
	before := len(*r.Diags)
	src := r.String(n)
	x, err := r.Language.Compile("()")
	if err != nil {
		panic(err) // cannot fail
	}
	x.Source, x.node, x.broken = src, n, true
	if n.Refused() || len(*r.Diags) > before { // not a text
		return x
	}
	if !n.KnowsPlaces() {
		r.Diags.Errorf(n.Pos, "E003-unsupported-yaml", "errors in this expression cannot be located")
		r.Diags.Hintf("write an expression of several lines as a block that starts with | alone")
	}
	compiled, err := compile(src)
	if bad, ok := errors.AsType[*SyntaxError](err); ok {
		r.Diags.Errorf(n.At(bad.Offset), bad.Code, "%s", bad.Message)
		return x
	}
	if err != nil { // the worker could not compile it
		r.Diags.Errorf(n.At(0), "E047-costly-override", "%s", err)
		return x
	}
	for _, f := range r.Language.checkNames(src, bindings) {
		report := r.Diags.Errorf
		if strings.HasPrefix(f.code, "W") {
			report = r.Diags.Warnf
		}
		report(n.At(f.offset), f.code, "%s", f.message)
		r.Diags.Hintf("%s", f.hint)
	}
	compiled.node = n
	r.Read = append(r.Read, compiled)
	return compiled
}

// Pos returns the place of the expression in its file; zero if it is not from a file.
func (x *Expr) Pos() source.Pos { return x.At(0) }

// At returns the place of the byte at offset of the expression; zero if it is not from a file.
func (x *Expr) At(offset int) source.Pos {
	if x == nil || x.node == nil {
		return source.Pos{}
	}
	return x.node.At(offset)
}

// Broken reports whether the expression did not compile.
func (x *Expr) Broken() bool { return x.broken }
