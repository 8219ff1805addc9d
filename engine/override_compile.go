package engine

import (
	"context"
	"maps"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

const (
	// maxOverrideSource is the longest expression of an override, in bytes.
	maxOverrideSource = 16 << 10
	// probeEvaluations is how many evaluation deadlines probing one override may take.
	probeEvaluations = 20
)

// Override compiles a plan of base and the layers, of which a later one overrides an earlier one,
// and probes it for its own Support and Version, on behalf of environment. It does not change base.
// If all layers are empty, it returns base.
//
// An invalid override is an error. One that supports more or less than the mapping declares is a
// warning. Use the plan only if the diagnostics have not Failed.
func (c *Catalog) Override(environment string, base *Plan, layers ...OverrideLayer) (*Plan, source.Diagnostics) {
	base = base.Base()
	layers = slices.DeleteFunc(slices.Clone(layers), OverrideLayer.IsEmpty)
	if len(layers) == 0 || base.doc == nil {
		return base, nil
	}
	plan, main := *base, *base.main
	plan.base, plan.main = base, &main
	ctx := jsonata.WithTenant(context.Background(), jsonata.Tenant{Name: environment, Patient: true})
	o := &overrideCompiler{ctx: ctx, plan: &plan, exprs: slices.Clone(base.doc.requestExprs())}
	o.reader = newReader(&o.diags, base.integration.language)
	content := []any{base.version}
	for _, l := range layers {
		content = append(content, o.layer(l))
	}
	name, _, _ := strings.Cut(base.version, "@")
	plan.version = name + "@" + hashOf(content, 6)
	if !o.diags.Failed() {
		o.evaluateOnce()
	}
	if !o.diags.Failed() {
		o.probe()
	}
	return &plan, o.diags.Sorted()
}

// overrideCompiler compiles overrides into plan.
type overrideCompiler struct {
	ctx    context.Context
	plan   *Plan
	reader *reader
	diags  source.Diagnostics
	exprs  []*jsonata.Expr // of mapping and overrides; they see the query
}

// layer compiles l into the plan and returns its content for the plan's version.
func (o *overrideCompiler) layer(l OverrideLayer) any {
	p := o.plan
	var over compiledOverride
	content := []any{l.Replace}
	regexps := 0
	for key := range mappingKeys {
		src := l.source(key)
		content = append(content, withoutLayout(src))
		if src == "" {
			continue
		}
		if l.Replace {
			o.clear(key)
		}
		over[key] = o.expr(source.TextNode(l.Name+"/"+key.String(), src), key)
		o.exprs = append(o.exprs, over[key])
		before := regexps
		if regexps += over[key].RegexpSize(); before <= jsonata.MaxRegexpSize && regexps > jsonata.MaxRegexpSize {
			o.diags.Errorf(over[key].Pos(), "E025-costly-regexp", "the regular expressions of the override compile to about %d instructions; the limit is %d", regexps, jsonata.MaxRegexpSize)
		}
	}
	p.overrides = append(p.overrides, over)
	p.needsAnswer = p.needsAnswer || over[responseKey] != nil && answerUse.MatchString(over[responseKey].Source)
	return content
}

// clear removes the expressions under key of the mapping and the layers so far.
func (o *overrideCompiler) clear(key mappingKey) {
	p := o.plan
	own := []**jsonata.Expr{&p.main.bodyMap, &p.main.queryMap, &p.response}[key]
	o.exprs = slices.DeleteFunc(o.exprs, func(x *jsonata.Expr) bool {
		return x == *own || slices.ContainsFunc(p.overrides, func(lower compiledOverride) bool { return x == lower[key] })
	})
	*own = nil
	for i := range p.overrides {
		p.overrides[i][key] = nil
	}
}

func (o *overrideCompiler) expr(n *source.Node, key mappingKey) *jsonata.Expr {
	bindings := requestBindings
	if key == responseKey {
		bindings = answerBindings
	}
	if len(n.Text) > maxOverrideSource {
		o.diags.Errorf(n.At(0), "E020-bad-expression", "expression is longer than %d bytes", maxOverrideSource)
		n = source.TextNode(n.Pos.File, "null")
	}
	x := o.reader.UntrustedExpr(o.ctx, n, bindings...)
	checkCredentials(&o.diags, x, o.plan.integration.Credentials, false)
	if key == queryKey {
		for _, f := range x.Fields() {
			if o.plan.Authorizes(f.Name) {
				o.diags.Errorf(x.At(f.Key), "E036-authorizing-parameter", "the query parameter %q authenticates and must not be set here", f.Name)
			}
		}
	}
	return x
}

// evaluateOnce evaluates each new expression on sample data, and reports those that exceed a
// limit or do not return an object. Other errors may be due to the data.
func (o *overrideCompiler) evaluateOnce() {
	p := o.plan
	pr := newProber(o.ctx, p)
	body := map[string]any{}
	for _, path := range leafPaths(p.model.Request, nil) {
		values, _ := candidates(pr.body.at(path))
		maps.Copy(body, pr.bodyWith(target{path: path, length: 1, value: values[0]}))
	}
	bindings := pr.bindings(body).With(responseBindings(Answers{Main: &Answer{body: map[string]any{}, isJSON: true, header: map[string]any{}, reply: &Reply{Status: 200}}}))
	for _, over := range p.overrides {
		for _, x := range over {
			if x == nil {
				continue
			}
			result, _, err := x.EvalBindings(o.ctx, bindings)
			_, isObject := result.(map[string]any)
			switch {
			case jsonata.Costly(err):
				o.diags.Errorf(x.Pos(), "E047-costly-override", "%s", err)
			case err == nil && result != nil && !isObject:
				o.diags.Errorf(x.Pos(), "E048-no-object", "the expression must return an object or nothing")
			}
		}
	}
}

// probe finds the plan's support.
func (o *overrideCompiler) probe() {
	p := o.plan
	ctx, cancel := context.WithTimeout(o.ctx, probeEvaluations*p.integration.language.EvalTimeout())
	defer cancel()
	var found source.Diagnostics
	c := &compiler{ctx: ctx, diags: &found, language: p.integration.language}
	var first source.Pos // of the first request expression, for findings about the request
	for _, over := range p.overrides {
		for key, x := range over {
			switch {
			case x == nil:
			case mappingKey(key) == responseKey:
				c.checkResponse(x, p.model, false)
			case first == source.Pos{} || mappingKey(key) == bodyKey:
				first = x.Pos()
			}
		}
	}
	p.support = c.probe(p, o.exprs)
	if c.overran || ctx.Err() != nil {
		o.diags.Errorf(first, "E047-costly-override", "probing what reaches the provider takes too long")
		return
	}
	o.report(found, first)
}

// report adds the findings. Those about the mapping's own file move to first or are dropped.
func (o *overrideCompiler) report(found source.Diagnostics, first source.Pos) {
	ownFile := o.plan.doc.node.Pos.File
	for _, d := range found {
		switch d.Code {
		case "E042-not-effective", "E043-not-declared", "E045-array-without-brackets", "E046-array-cut":
			d.Severity = source.SeverityWarning
			if d.Pos.File == ownFile {
				if d.Pos, d.Hint = first, ""; first == (source.Pos{}) {
					continue
				}
			}
		default:
			if d.Pos.File == ownFile {
				continue
			}
		}
		o.diags = append(o.diags, d)
	}
}
