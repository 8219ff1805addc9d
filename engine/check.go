package engine

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/plain"
	"portolan/source"
)

// probe runs the mapping, holds what it does against what it declares, and returns what
// it does. exprs are those that see the query.
func (c *compiler) probe(p *Plan, exprs []*jsonata.Expr) Support {
	op, model := p.doc, p.model
	support := Support{Query: c.checkQuery(op.querySchema, exprs, model)}
	if !p.mapsBody() || p.main.bodyMap != nil && p.main.bodyMap.Broken() { // a broken one says nothing of what it would do
		return support
	}
	pr := newProber(c.ctx, p)
	c.checkDeclared(op.bodySchema, pr.body)

	empty := pr.make(target{absent: true})
	pr.noise = map[string]bool{}
	for _, place := range changed(pr.wire(empty), pr.wire(empty)) {
		pr.noise[place] = true
	}
	for _, path := range leafPaths(model.Request, nil) {
		if leaf, ok := c.probeLeaf(pr, op, path); ok {
			support.Leaves = append(support.Leaves, leaf)
		}
	}
	c.checkIdle(op, model, &support)
	if pr.failed != nil {
		c.overran = errors.Is(pr.failed, context.DeadlineExceeded)
		c.diags.Warnf(pr.failed.Pos, "W001-probe-failed", "the mapping fails for a body that its schemas accept")
		c.diags.Hintf("%s", pr.failed)
	}
	return support
}

// sampleQuery holds what query_schema requires and, in arrays, at least one entry with
// all that is known of it.
func sampleQuery(s schemaPair) any {
	out := map[string]any{}
	for name := range member(s.own, "properties") {
		property := s.property(name)
		if property.kind() != "array" {
			out[name] = sample(property, 0)
			continue
		}
		entry := sample(property.items(), 0)
		if object, ok := entry.(map[string]any); ok {
			object = maps.Clone(object)
			for inner := range member(property.items().own, "properties") {
				object[inner] = sample(property.items().property(inner), 0)
			}
			entry = object
		}
		out[name] = []any{entry}
	}
	return out
}

// probeLeaf tries one unified field at every index of every length that it may have, and
// reports what contradicts its declaration. ok is false where it never reaches the wire.
func (c *compiler) probeLeaf(pr *prober, op *operationDoc, path []string) (leaf Leaf, ok bool) {
	declaration := findDeclaration(op.bodySchema, path)
	schema, array := pr.body, schemaPair{}
	for _, name := range path {
		if name == "*" {
			if array.own == nil && array.unified == nil {
				array = schema
			}
			schema = schema.items()
		} else {
			schema = schema.property(name)
		}
	}
	leaf = Leaf{Path: "/" + strings.Join(path, "/"), Fields: map[int][]string{}}
	lengths := []int{1}
	if slices.Contains(path, "*") {
		lengths = lengths[:0]
		for n := max(array.number("minItems", 1), 1); n <= min(array.number("maxItems", beyond), beyond); n++ {
			lengths = append(lengths, n)
		}
	}
	lost := map[int]bool{} // indexes that do not always reach the wire
	var idle []any
	byLength := map[int][]string{}
	for _, n := range lengths {
		for i := range n {
			places, unused := pr.try(schema, target{path: path, length: n, index: i})
			if len(places) == 0 {
				lost[i] = true
			} else {
				leaf.Fields[i] = places
				ok = true
			}
			if n == 1 || len(lengths) == 1 {
				idle = unused
			}
			if i == 0 {
				byLength[n] = places
			}
		}
	}
	for i := range lost {
		delete(leaf.Fields, i)
	}
	leaf.Values = closedValues(schema)
	if !ok {
		if declaration.exact {
			c.notEffective(declaration, leaf.Path)
		}
		return leaf, false
	}
	if !declaration.found {
		c.diags.Errorf(op.step.bodyPos, "E043-not-declared", "%s reaches the provider, but request_body_schema does not declare it", leaf.Path)
		return leaf, true
	}
	if len(lost) > 0 {
		c.diags.Errorf(declaration.array, "E046-array-cut", "entry %d of %s never reaches the provider", slices.Min(slices.Collect(maps.Keys(lost)))+1, leaf.Path)
		c.diags.Hintf("refuse what is not sent: set maxItems")
	}
	for _, v := range idle {
		c.idleValue(declaration, leaf.Path, v)
	}
	c.checkCollapse(op, leaf, byLength)
	return leaf, true
}

func closedValues(s schemaPair) []any {
	if values, closed := candidates(s); closed && s.kind() != "boolean" {
		return values
	}
	return nil
}

// declaration is where a mapping's request_body_schema names a field.
type declaration struct {
	found bool
	exact bool       // names this very leaf, not only something around it
	pos   source.Pos // of the key that names it
	array source.Pos // of the key that names the array it is in, or pos
	enum  *source.Node
}

// findDeclaration looks path up in the schema. A property without properties of its own
// declares whatever of its leaves turns out to work.
func findDeclaration(schema *source.Node, path []string) declaration {
	var d declaration
	at := schema
	for i, name := range path {
		if at == nil {
			return d
		}
		if name == "*" {
			if next := at.Get("items"); next != nil {
				at = next
				continue
			}
			return d
		}
		properties := at.Get("properties")
		if properties == nil {
			return d // open from here on: found is what it was one level up
		}
		d.found = false
		for _, e := range properties.Entries {
			if e.Name == name {
				d.found, d.pos, at = true, e.Pos, e.Value
				d.exact = i == len(path)-1
				if i == 0 {
					d.array = e.Pos
				}
			}
		}
		if !d.found {
			return d
		}
		d.enum = at.Get("enum")
	}
	return d
}

func (c *compiler) notEffective(d declaration, path string) {
	c.diags.Errorf(d.pos, "E042-not-effective", "%s is declared, but never reaches the provider", path)
	c.diags.Hintf("use it in request_body_mapping, or take it out of request_body_schema")
}

// idleValue reports an allowed value that changes nothing on the wire.
func (c *compiler) idleValue(d declaration, path string, v any) {
	pos := d.pos
	if d.enum != nil {
		for _, item := range d.enum.Items {
			if item.Text == plain.Text(v) {
				pos = item.Pos
			}
		}
	}
	c.diags.Errorf(pos, "E042-not-effective", "the value %s of %s is declared, but never reaches the provider", plain.Text(v), path)
}

// checkIdle reports top-level properties that leave it to probing which of their leaves they
// declare, where probing found none.
func (c *compiler) checkIdle(op *operationDoc, model Model, support *Support) {
	for _, e := range entries(op.bodySchema.Get("properties")) {
		field := member(member(model.Request, "properties"), e.Name)
		leaves := leafPaths(field, []string{e.Name})
		byName := len(leaves[0]) == 1 || len(entries(e.Value.Get("properties")))+len(entries(e.Value.Get("items").Get("properties"))) > 0
		if field != nil && e.Name != RemoteData && !byName && !support.Names(e.Name) {
			c.notEffective(declaration{pos: e.Pos}, "/"+e.Name)
		}
	}
}

func entries(n *source.Node) []source.Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

// checkCollapse finds the singleton trap: one entry sent bare where two are an array.
func (c *compiler) checkCollapse(op *operationDoc, leaf Leaf, byLength map[int][]string) {
	one, two := byLength[1], byLength[2]
	for _, bare := range one {
		if slices.ContainsFunc(two, func(p string) bool { return p == bare+"/0" || strings.HasPrefix(p, bare+"/0/") }) ||
			slices.ContainsFunc(two, func(p string) bool { return reindexed(p) == bare && p != bare }) {
			pos := op.step.bodyPos
			if op.step.body != nil {
				pos = op.step.body.Pos()
				for _, f := range op.step.body.Fields() {
					if f.Name == bare || strings.HasPrefix(bare, f.Name+"/") {
						pos = op.step.body.At(f.Value)
					}
				}
			}
			c.diags.Errorf(pos, "E045-array-without-brackets", "%s becomes an array only with two entries; one is sent bare", leaf.Path)
			c.diags.Hintf("write the array with [ ]")
			return
		}
	}
}

// reindexed is a place without its first entry's index: a/0/b gives a/b.
func reindexed(place string) string { return strings.Replace(place, "/0/", "/", 1) }

// checkDeclared reports names that the unified schema does not have and values that it
// does not know.
func (c *compiler) checkDeclared(n *source.Node, s schemaPair) {
	if n == nil {
		return
	}
	known := slices.Sorted(maps.Keys(member(s.unified, "properties")))
	for _, e := range entries(n.Get("properties")) {
		if len(known) == 0 && s.kind() == "object" { // custom_fields may hold anything
			continue
		}
		if !slices.Contains(known, e.Name) {
			c.unknownField(e.Pos, e.Name, known)
			continue
		}
		c.checkDeclared(e.Value, s.property(e.Name))
	}
	if items := n.Get("items"); items != nil {
		c.checkDeclared(items, s.items())
	}
	c.checkEnum(n, s)
}

func (c *compiler) unknownField(pos source.Pos, name string, known []string) {
	c.diags.Errorf(pos, "E041-unknown-field", "the unified schema has no field %q", name)
	if near := source.Nearest(name, known); near != "" {
		c.diags.Hintf("did you mean %q?", near)
	} else {
		c.diags.Hintf("it has %s", strings.Join(known, ", "))
	}
}

func (c *compiler) checkEnum(n *source.Node, s schemaPair) {
	enum := n.Get("enum")
	if enum == nil {
		return
	}
	fixed, isFixed := s.unified["enum"].([]any)
	known, isOpen := s.unified["x-known-values"].([]any)
	provider := n.Get("x-provider-values")
	for _, item := range enum.Items {
		is := func(v any) bool { return v != nil && plain.Text(v) == item.Text }
		switch {
		case isFixed && !slices.ContainsFunc(fixed, is):
			c.diags.Errorf(item.Pos, "E044-enum-outside-schema", "%q is none of the unified schema's values", item.Text)
			c.diags.Hintf("it has %s", texts(fixed))
		case isOpen && !slices.ContainsFunc(known, is) && (provider == nil || provider.Text != "true"):
			c.diags.Errorf(item.Pos, "E044-enum-outside-schema", "%q is none of the unified schema's known values", item.Text)
			c.diags.Hintf("it knows %s; put x-provider-values: true beside an enum of the provider's own values", texts(known))
		}
	}
}

func texts(values []any) string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		out = append(out, plain.Text(v))
	}
	return strings.Join(out, ", ")
}

var queryMember = regexp.MustCompile(`\b(query|rawQuery)\s*\.\s*([A-Za-z_]\w*)`)

// checkQuery lists the unified query parameters that the mapping uses, and reports what
// contradicts query_schema.
func (c *compiler) checkQuery(querySchema *source.Node, exprs []*jsonata.Expr, model Model) []string {
	known := slices.Sorted(maps.Keys(member(model.Query, "properties")))
	uses := map[string]source.Pos{}
	for _, x := range exprs {
		for _, m := range queryMember.FindAllStringSubmatchIndex(x.Source, -1) {
			name, pos := x.Source[m[4]:m[5]], x.At(m[4])
			if !slices.Contains(known, name) {
				if x.Source[m[2]:m[3]] == "query" { // rawQuery holds whatever the caller sent
					c.unknownQuery(pos, name, known)
				}
				continue
			}
			if _, ok := uses[name]; !ok {
				uses[name] = pos
			}
		}
	}
	declared := entries(querySchema.Get("properties"))
	for _, e := range declared {
		_, used := uses[e.Name]
		switch {
		case !slices.Contains(known, e.Name):
			c.unknownQuery(e.Pos, e.Name, known)
		case !used:
			c.diags.Errorf(e.Pos, "E042-not-effective", "the query parameter %q is declared, but never used", e.Name)
		}
	}
	for name, pos := range uses {
		if !slices.ContainsFunc(declared, func(e source.Entry) bool { return e.Name == name }) {
			c.diags.Errorf(pos, "E043-not-declared", "the query parameter %q is used, but query_schema does not declare it", name)
		}
	}
	return slices.Sorted(maps.Keys(uses))
}

func (c *compiler) unknownQuery(pos source.Pos, name string, known []string) {
	c.diags.Errorf(pos, "E041-unknown-field", "the unified method has no query parameter %q", name)
	if near := source.Nearest(name, known); near != "" {
		c.diags.Hintf("did you mean %q?", near)
	}
}

// requestExprs are all expressions of a method that see the request's query.
func (op *operationDoc) requestExprs() []*jsonata.Expr {
	var out []*jsonata.Expr
	for _, s := range slices.Concat([]*stepDoc{&op.step}, op.before, op.after) {
		out = append(out, s.runIf, s.query, s.body)
		for _, v := range s.pathVariables {
			out = append(out, v.expr)
		}
	}
	out = append(out, op.response)
	return slices.DeleteFunc(out, func(x *jsonata.Expr) bool { return x == nil })
}

// checkResponse holds the fields that a response mapping builds against the unified
// response schema; closed says that it may build no others.
func (c *compiler) checkResponse(x *jsonata.Expr, model Model, closed bool) {
	properties := member(model.Response, "properties")
	known := slices.Sorted(maps.Keys(properties))
	for _, f := range x.Fields() {
		if strings.Contains(f.Name, "/") {
			continue
		}
		if !slices.Contains(known, f.Name) {
			if closed {
				c.unknownField(x.At(f.Key), f.Name, known)
			}
			continue
		}
		if (schemaPair{unified: member(properties, f.Name)}).kind() == "array" && !f.Array {
			c.diags.Errorf(x.At(f.Value), "E045-array-without-brackets", "%s is an array, and is built without [ ]", f.Name)
			c.diags.Hintf("with one match the result would not be an array")
		}
	}
}
