package sandbox

import (
	"maps"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Format is the value of the key `format` of a sandbox.yaml.
const Format = "portolan/sandbox/v1"

// Bindings that expressions may use; see the package comment.
var (
	baseBindings   = []string{"request", "params", "state", "found", "grant", "facts", "settings", "now", "serial"}
	viewBindings   = append(slices.Clip(baseBindings), "record")
	answerBindings = append(slices.Clip(baseBindings), "problem", "saved")
	finishBindings = append(slices.Clip(answerBindings), "answer")
)

// Load reads the sandbox.yaml of the provider called name; file is its name in places. The
// diagnostics list all problems. The provider is nil if any of them is an error.
func Load(name, file string, src []byte, language *jsonata.Language) (*Provider, source.Diagnostics) {
	var diags source.Diagnostics
	root := source.ParseYAML(file, src, &diags)
	if root == nil {
		return nil, diags.Sorted()
	}
	l := &loader{
		Reader:  &jsonata.Reader{Reader: source.Reader{Diags: &diags}, Language: language},
		p:       &Provider{name: name, views: map[string]*expr{}, facts: map[string]any{}, settings: map[string]any{}},
		root:    root,
		answers: map[string]*answer{},
		checks:  map[string]*checks{},
	}
	if l.CheckFormat(root, Format) {
		l.provider()
	}
	if diags.Failed() {
		return nil, diags.Sorted()
	}
	return l.p, diags.Sorted()
}

type loader struct {
	*jsonata.Reader
	p       *Provider
	root    *source.Node
	answers map[string]*answer // by name; filled in while loading
	checks  map[string]*checks
}

func (l *loader) provider() {
	for _, e := range l.root.Get("answers").Members() {
		l.answers[e.Name] = &answer{}
	}
	for _, e := range l.root.Get("checks").Members() {
		l.checks[e.Name] = &checks{}
	}
	if views := l.root.Get("views"); views != nil {
		l.Members(views, func(e source.Entry) {
			l.p.views[e.Name] = l.expr(e.Value, "view "+e.Name, viewBindings)
		})
	}
	skip := func(*source.Node) {}
	l.Object(l.root, source.Fields{
		"format":      skip,
		"views":       skip,
		"routes":      skip, // read last: they use checks and answers
		"faults":      skip,
		"demo":        l.demo,
		"oauth2":      l.oauth,
		"facts":       func(n *source.Node) { l.p.facts = l.data(n) },
		"settings":    func(n *source.Node) { l.p.settings = l.data(n) },
		"collections": func(n *source.Node) { l.Members(n, l.collection) },
		"find":        func(n *source.Node) { l.p.find = l.find(n) },
		"guard":       func(n *source.Node) { l.p.guard = l.refuse(n) },
		"no_route":    func(n *source.Node) { l.p.noRoute = l.answer(n) },
		"finish": func(n *source.Node) {
			l.Object(n, source.Fields{
				"headers": func(n *source.Node) { l.p.finish.headers = l.headers(n, finishBindings) },
				"body":    func(n *source.Node) { l.p.finish.body = l.expr(n, "finish", finishBindings) },
			})
		},
		"answers": func(n *source.Node) {
			l.Members(n, func(e source.Entry) { *l.answers[e.Name] = *l.inlineAnswer(e.Value) })
		},
		"checks": func(n *source.Node) {
			l.Members(n, func(e source.Entry) { l.checks[e.Name].list = l.inlineChecks(e.Value) })
		},
	}, "demo", "routes", "no_route")
	if n := l.root.Get("routes"); n != nil {
		l.Items(n, l.route)
	}
	l.faults(l.root.Get("faults"))
}

func (l *loader) expr(n *source.Node, what string, names []string) *expr {
	return &expr{Expr: l.Expr(n, names...), pos: n.Pos, what: what}
}

func (l *loader) data(n *source.Node) map[string]any {
	out := map[string]any{}
	l.Members(n, func(e source.Entry) { out[e.Name] = l.JSON(e.Value) })
	return out
}

// reference returns the member of known that n names.
func reference[T any](l *loader, n *source.Node, known map[string]*T) *T {
	if t := known[l.OneOf(n, slices.Sorted(maps.Keys(known))...)]; t != nil {
		return t
	}
	return new(T)
}

func (l *loader) demo(n *source.Node) {
	d := &l.p.demo
	l.Object(n, source.Fields{
		"integrated_account_id": func(n *source.Node) { d.IntegratedAccountID = l.String(n) },
		"context":               func(n *source.Node) { d.Context = l.data(n) },
		"sample_id":             func(n *source.Node) { d.SampleID = l.String(n) },
		"query":                 func(n *source.Node) { d.Query = l.data(n) },
	}, "integrated_account_id", "context", "sample_id")
}

func (l *loader) collection(e source.Entry) {
	c := collection{name: e.Name, records: []any{}}
	l.Object(e.Value, source.Fields{
		"key":     func(n *source.Node) { c.key = l.String(n) },
		"records": func(*source.Node) {},
	}, "key", "records")
	seen := map[string]bool{}
	if records := e.Value.Get("records"); records != nil {
		l.Items(records, func(n *source.Node) {
			record := any(l.data(n))
			key, err := keyOf(record, c.key)
			switch {
			case err != nil:
				l.Diags.Errorf(n.Pos, "E006-bad-value", "%s", err)
			case seen[key]:
				l.Diags.Errorf(n.Pos, "E002-duplicate-key", "a record with %s %s occurs twice", c.key, key)
			}
			seen[key] = true
			c.records = append(c.records, record)
		})
	}
	l.p.collections = append(l.p.collections, c)
}

func (l *loader) find(n *source.Node) []*lookup {
	var out []*lookup
	l.Members(n, func(e source.Entry) {
		f := &lookup{name: e.Name}
		out = append(out, f)
		if e.Value.Kind != source.Object {
			f.of = l.expr(e.Value, "find "+e.Name, baseBindings)
			return
		}
		l.Object(e.Value, source.Fields{
			"of":   func(n *source.Node) { f.of = l.expr(n, "find "+e.Name, baseBindings) },
			"view": func(n *source.Node) { f.view = reference(l, n, l.p.views) },
		}, "of", "view")
	})
	return out
}

// refuse reads a list of checks, each a name or inline.
func (l *loader) refuse(n *source.Node) []*checks {
	var out []*checks
	l.Items(n, func(n *source.Node) {
		if n.Kind == source.Scalar {
			out = append(out, reference(l, n, l.checks))
			return
		}
		out = append(out, &checks{list: l.inlineChecks(n)})
	})
	return out
}

// inlineChecks reads one check or a list of them.
func (l *loader) inlineChecks(n *source.Node) []check {
	var out []check
	read := func(n *source.Node) {
		c := check{}
		l.Object(n, source.Fields{
			"when":   func(n *source.Node) { c.when = l.expr(n, "when", baseBindings) },
			"answer": func(n *source.Node) { c.answer = l.answer(n) },
		}, "when", "answer")
		out = append(out, c)
	}
	if n.Kind == source.List {
		l.Items(n, read)
	} else {
		read(n)
	}
	return out
}

// answer reads an answer, a name or inline.
func (l *loader) answer(n *source.Node) *answer {
	if n.Kind == source.Scalar {
		return reference(l, n, l.answers)
	}
	return l.inlineAnswer(n)
}

func (l *loader) inlineAnswer(n *source.Node) *answer {
	a := &answer{}
	l.Object(n, source.Fields{
		"status":  func(n *source.Node) { a.status = l.expr(n, "status", answerBindings) },
		"headers": func(n *source.Node) { a.headers = l.headers(n, answerBindings) },
		"body":    func(n *source.Node) { a.body = l.expr(n, "body", answerBindings) },
		"text":    func(n *source.Node) { a.text = l.expr(n, "text", answerBindings) },
	}, "status")
	if a.body != nil && a.text != nil {
		l.Diags.Errorf(n.Pos, "E006-bad-value", "an answer cannot have both body and text")
	}
	return a
}

func (l *loader) headers(n *source.Node, names []string) []header {
	var out []header
	l.Members(n, func(e source.Entry) {
		out = append(out, header{name: e.Name, value: l.expr(e.Value, "header "+e.Name, names)})
	})
	return out
}

func (l *loader) changes(n *source.Node, what string) []change {
	known := make([]string, 0, len(l.p.collections))
	for _, c := range l.p.collections {
		known = append(known, c.name)
	}
	var out []change
	l.Members(n, func(e source.Entry) {
		if !slices.Contains(known, e.Name) {
			l.UnknownKey(e, known)
		}
		out = append(out, change{collection: e.Name, records: l.expr(e.Value, what+" "+e.Name, baseBindings)})
	})
	return out
}

func (l *loader) route(n *source.Node) {
	rt := &route{}
	l.Object(n, source.Fields{
		"route": func(n *source.Node) {
			rt.text = l.String(n)
			var err error
			if rt.method, rt.path, err = parseRoute(rt.text); err != nil {
				l.Diags.Errorf(n.Pos, "E006-bad-value", "%s", err)
			}
			if slices.ContainsFunc(l.p.routes, func(o *route) bool { return o.text == rt.text }) {
				l.Diags.Errorf(n.Pos, "E002-duplicate-key", "route %q occurs twice", rt.text)
			}
		},
		"find":   func(n *source.Node) { rt.find = l.find(n) },
		"refuse": func(n *source.Node) { rt.refuse = l.refuse(n) },
		"put":    func(n *source.Node) { rt.put = l.changes(n, "put") },
		"remove": func(n *source.Node) { rt.remove = l.changes(n, "remove") },
		"answer": func(n *source.Node) { rt.answer = l.answer(n) },
	}, "route", "answer")
	l.p.routes = append(l.p.routes, rt)
}

// faults reads the provider's faults, which may replace built-in ones.
func (l *loader) faults(n *source.Node) {
	l.p.faults = builtinFaults()
	if n == nil {
		return
	}
	texts := make([]string, 0, len(l.p.routes))
	for _, rt := range l.p.routes {
		texts = append(texts, rt.text)
	}
	l.Members(n, func(e source.Entry) {
		f := &fault{Fault: Fault{Name: e.Name}}
		required := []string{"description"}
		at := slices.IndexFunc(l.p.faults, func(o *fault) bool { return o.Name == e.Name })
		if at >= 0 {
			f.Description = l.p.faults[at].Description
			required = nil
		}
		l.Object(e.Value, source.Fields{
			"description": func(n *source.Node) { f.Description = l.String(n) },
			"on":          func(n *source.Node) { l.Items(n, func(n *source.Node) { f.on = append(f.on, l.OneOf(n, texts...)) }) },
			"like":        func(n *source.Node) { f.act = builtinAct(l.OneOf(n, builtinNames()...)) },
			"answer":      func(n *source.Node) { f.act = answerFault(l.answer(n)) },
			"change":      func(n *source.Node) { f.act = changeFault(l.expr(n, "change", finishBindings)) },
		}, required...)
		actions := slices.DeleteFunc([]string{"answer", "change", "like"}, func(key string) bool { return e.Value.Get(key) == nil })
		switch len(actions) {
		case 0:
			l.Diags.Errorf(e.Pos, "E005-missing-key", "fault %q needs one of answer, change, like", e.Name)
		case 1:
		default:
			l.Diags.Errorf(e.Pos, "E006-bad-value", "fault %q has %s, want one of them", e.Name, strings.Join(actions, " and "))
		}
		if at >= 0 {
			l.p.faults[at] = f
		} else {
			l.p.faults = append(l.p.faults, f)
		}
	})
}
