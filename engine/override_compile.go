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

// Override compiles base with the layers over it, the first one lowest, and probes what
// comes out, so that its Support and Version are its own. base stays as it is. Layers that
// are empty do not count; without any, the result is base.
//
// What an override cannot do is an error. That it makes more or less of a method work than
// the mapping declares is its business, and a warning. The plan is there even if there are
// errors; whoever serves it must first see that the diagnostics have not Failed.
func (c *Catalog) Override(base *Plan, layers ...OverrideLayer) (*Plan, source.Diagnostics) {
	base = base.Base()
	layers = slices.DeleteFunc(slices.Clone(layers), OverrideLayer.isEmpty)
	if len(layers) == 0 || base.doc == nil {
		return base, nil
	}
	plan, main := *base, *base.main
	plan.base, plan.main = base, &main
	o := &overrider{plan: &plan, exprs: slices.Clone(base.doc.requestExprs())}
	o.reader = newReader(&o.diags, base.integration.language)
	content := []any{base.version}
	for _, l := range layers {
		content = append(content, o.layer(l))
	}
	name, _, _ := strings.Cut(base.version, "@")
	plan.version = name + "@" + hashOf(content)
	if !o.diags.Failed() && o.runs() {
		o.probe()
	}
	return &plan, o.diags.Sorted()
}

// overrider compiles overrides into plan.
type overrider struct {
	plan   *Plan
	reader *reader
	diags  source.Diagnostics
	exprs  []*jsonata.Expr // of the mapping and the overrides, that see the query
}

// layer compiles l over what is there and returns its content for the plan's version.
func (o *overrider) layer(l OverrideLayer) any {
	p := o.plan
	var over overlay
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
	p.over = append(p.over, over)
	p.needsAnswer = p.needsAnswer || over[responseKey] != nil && answerUse.MatchString(over[responseKey].Source)
	return content
}

// clear takes away what lies below a layer that replaces.
func (o *overrider) clear(key mappingKey) {
	p := o.plan
	below := []*jsonata.Expr{p.main.bodyMap, p.main.queryMap, p.response}[key]
	switch key {
	case bodyKey:
		p.main.bodyMap = nil
	case queryKey:
		p.main.queryMap = nil
	default:
		p.response = nil
	}
	o.exprs = slices.DeleteFunc(o.exprs, func(x *jsonata.Expr) bool {
		return x == below || slices.ContainsFunc(p.over, func(lower overlay) bool { return x == lower[key] })
	})
	for i := range p.over {
		p.over[i][key] = nil
	}
}

func (o *overrider) expr(n *source.Node, key mappingKey) *jsonata.Expr {
	bindings := requestBindings
	if key == responseKey {
		bindings = answerBindings
	}
	if len(n.Text) > maxOverrideSource {
		o.diags.Errorf(n.At(0), "E020-bad-expression", "expression is longer than %d bytes", maxOverrideSource)
		n = source.TextNode(n.Pos.File, "null")
	}
	x := o.reader.UntrustedExpr(n, bindings...)
	o.checkContext(x)
	if key == queryKey {
		for _, f := range x.Fields() {
			if o.plan.authorizes(f.Name) {
				o.diags.Errorf(x.At(f.Key), "E036-authorizing-parameter", "the query parameter %q authenticates, and cannot be set here", f.Name)
			}
		}
	}
	return x
}

// checkContext reports credentials that x names and never sees.
func (o *overrider) checkContext(x *jsonata.Expr) {
	var visible []string
	for _, c := range o.plan.integration.Credentials {
		if !c.Secret {
			visible = append(visible, c.Name)
		}
	}
	members, _ := x.Uses("context")
	for _, m := range members {
		switch {
		case slices.Contains(visible, m.Name):
		case slices.ContainsFunc(o.plan.integration.Credentials, func(c Credential) bool { return c.Name == m.Name }):
			o.diags.Errorf(x.At(m.Offset), "E037-secret-credential", "credential %q is secret, and not for an override to read", m.Name)
		default:
			unknownCredential(&o.diags, x.At(m.Offset), m.Name, visible)
		}
	}
}

// runs tries each new expression once on made-up data, and reports those that cost too
// much or give something else than an object. Other errors may come from the data alone.
func (o *overrider) runs() bool {
	p := o.plan
	pr := newProber(context.Background(), p)
	body := map[string]any{}
	for _, path := range leafPaths(p.model.Request, nil) {
		values, _ := candidates(pr.body.at(path))
		maps.Copy(body, pr.make(target{path: path, length: 1, value: values[0]}))
	}
	bindings, err := pr.bindings(body)
	if err == nil {
		bindings, err = bindings.With(answeredBindings(Answers{Main: &Answer{body: map[string]any{}, isJSON: true, header: map[string]any{}, reply: &Reply{Status: 200}}}))
	}
	if err != nil {
		panic(err) // made-up values, plain JSON
	}
	for _, over := range p.over {
		for _, x := range over {
			if x == nil {
				continue
			}
			given, err := answered(context.Background(), func() (any, error) {
				v, _, err := x.EvalReady(context.Background(), bindings)
				return v, err
			})
			_, object := given.(map[string]any)
			switch {
			case jsonata.Costly(err):
				o.diags.Errorf(x.Pos(), "E047-costly-override", "%s", err)
			case err == nil && given != nil && !object:
				o.diags.Errorf(x.Pos(), "E048-no-object", "the expression %s; it must return an object or nothing", errGivesNoObject)
			}
		}
	}
	return !o.diags.Failed()
}

// probe finds what the plan supports now.
func (o *overrider) probe() {
	p := o.plan
	ctx, cancel := context.WithTimeout(context.Background(), probeEvaluations*p.integration.language.EvalTimeout())
	defer cancel()
	var found source.Diagnostics
	c := &compiler{ctx: ctx, diags: &found, language: p.integration.language}
	var first source.Pos // of what the findings about the request are about
	for _, over := range p.over {
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
		o.diags.Errorf(first, "E047-costly-override", "finding out what reaches the provider takes too long")
		return
	}
	o.tell(found, first)
}

// tell adds what was found. The mapping's own file is not the override's business: what is
// said of a place in it moves to the expression that changed it.
func (o *overrider) tell(found source.Diagnostics, first source.Pos) {
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
