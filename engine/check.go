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

// probe finds a mapping's support and compares it with its declarations. exprs see the query.
func (c *compiler) probe(p *Plan, exprs []*jsonata.Expr) Support {
	op, model := p.doc, p.model
	support := Support{Query: c.checkQuery(op.querySchema, exprs, model)}
	if !p.mapsBody() || p.main.bodyMap != nil && p.main.bodyMap.Broken() {
		return support
	}
	pr := newProber(c.ctx, p)
	c.checkDeclared(op.bodySchema, pr.body)

	empty := pr.bodyWith(target{absent: true})
	pr.unstable = map[string]bool{}
	for _, place := range changedPlaces(pr.outputs(empty), pr.outputs(empty)) {
		pr.unstable[place] = true
	}
	for _, path := range leafPaths(model.Request, nil) {
		if leaf, ok := c.probeLeaf(pr, op, path); ok {
			support.Leaves = append(support.Leaves, leaf)
		}
	}
	c.checkUnused(op, model, &support)
	if pr.failed != nil {
		c.overran = errors.Is(pr.failed, context.DeadlineExceeded)
		c.diags.Warnf(pr.failed.Pos, "W001-probe-failed", "the mapping fails for a body that its schemas accept")
		c.diags.Hintf("%s", pr.failed)
	}
	return support
}

// sampleQuery returns the parameters that query_schema requires. Arrays have one entry with all
// of its known properties.
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

// probeLeaf probes one unified field at every index of every allowed length, and reports
// contradictions to its declaration. ok is false if the field never reaches the provider.
func (c *compiler) probeLeaf(pr *prober, op *operationDoc, path []string) (leaf Leaf, ok bool) {
	declaration := findDeclaration(op.bodySchema, path)
	schema := pr.body.at(path)
	leaf = Leaf{Path: "/" + strings.Join(path, "/"), Fields: map[int][]string{}}
	lengths := []int{1}
	if i := slices.Index(path, "*"); i >= 0 {
		array := pr.body.at(path[:i])
		lengths = lengths[:0]
		for n := max(array.number("minItems", 1), 1); n <= min(array.number("maxItems", maxProbedEntries), maxProbedEntries); n++ {
			lengths = append(lengths, n)
		}
	}
	lost := map[int]bool{} // indexes that do not always reach the provider
	var unusedValues []any
	byLength := map[int][]string{}
	for _, n := range lengths {
		for i := range n {
			places, unused := pr.places(schema, target{path: path, length: n, index: i})
			if len(places) == 0 {
				lost[i] = true
			} else {
				leaf.Fields[i] = places
				ok = true
			}
			if n == 1 || len(lengths) == 1 {
				unusedValues = unused
			}
			if i == 0 {
				byLength[n] = places
			}
		}
	}
	maps.DeleteFunc(leaf.Fields, func(i int, _ []string) bool { return lost[i] })
	if values, closed := candidates(schema); closed && schema.kind() != "boolean" {
		leaf.Values = values
	}
	if !ok {
		if declaration.exact {
			c.reportNotEffective(declaration, leaf.Path)
		}
		return leaf, false
	}
	if !declaration.found {
		c.diags.Errorf(op.step.bodyPos, "E043-not-declared", "%s reaches the provider, but request_body_schema does not declare it", leaf.Path)
		return leaf, true
	}
	if len(lost) > 0 {
		c.diags.Errorf(declaration.array, "E046-array-cut", "entry %d of %s never reaches the provider", slices.Min(slices.Collect(maps.Keys(lost)))+1, leaf.Path)
		c.diags.Hintf("set maxItems, so that more entries are refused")
	}
	for _, v := range unusedValues {
		c.reportUnusedValue(declaration, leaf.Path, v)
	}
	c.checkCollapse(op, leaf, byLength)
	return leaf, true
}

// declaration is a field's place in a mapping's request_body_schema.
type declaration struct {
	found bool
	exact bool       // the leaf itself is declared, not only a property around it
	pos   source.Pos // of the field's key
	array source.Pos // of the top-level key
	enum  *source.Node
}

// findDeclaration looks path up in the schema. A property without properties declares all of
// its leaves that probing finds.
func findDeclaration(schema *source.Node, path []string) declaration {
	var d declaration
	at := schema
	for i, name := range path {
		if at == nil {
			return d
		}
		if name == "*" {
			at = at.Get("items")
			continue
		}
		properties := at.Get("properties")
		if properties == nil {
			return d // found is that of the property around it
		}
		d.found = false
		if at = properties.Get(name); at == nil {
			return d
		}
		d.found, d.pos, d.exact = true, properties.KeyPos(name), i == len(path)-1
		if i == 0 {
			d.array = d.pos
		}
		d.enum = at.Get("enum")
	}
	return d
}

func (c *compiler) reportNotEffective(d declaration, path string) {
	c.diags.Errorf(d.pos, "E042-not-effective", "%s is declared, but never reaches the provider", path)
	c.diags.Hintf("use it in request_body_mapping, or remove it from request_body_schema")
}

// reportUnusedValue reports an allowed value that the provider never gets.
func (c *compiler) reportUnusedValue(d declaration, path string, v any) {
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

// checkUnused reports top-level properties without properties of which probing found no leaf.
func (c *compiler) checkUnused(op *operationDoc, model Model, support *Support) {
	for _, e := range op.bodySchema.Get("properties").Members() {
		field := member(member(model.Request, "properties"), e.Name)
		leaves := leafPaths(field, []string{e.Name})
		byName := len(leaves[0]) == 1 || len(e.Value.Get("properties").Members())+len(e.Value.Get("items").Get("properties").Members()) > 0
		if field != nil && e.Name != RemoteData && !byName && !support.Names(e.Name) {
			c.reportNotEffective(declaration{pos: e.Pos}, "/"+e.Name)
		}
	}
}

// checkCollapse reports an array that is sent as its only entry if it has one.
func (c *compiler) checkCollapse(op *operationDoc, leaf Leaf, byLength map[int][]string) {
	one, two := byLength[1], byLength[2]
	for _, bare := range one {
		if slices.ContainsFunc(two, func(p string) bool { return p == bare+"/0" || strings.HasPrefix(p, bare+"/0/") }) ||
			slices.ContainsFunc(two, func(p string) bool { return p != bare && strings.Replace(p, "/0/", "/", 1) == bare }) {
			pos := op.step.bodyPos
			if op.step.body != nil {
				pos = op.step.body.Pos()
				for _, f := range op.step.body.Fields() {
					if f.Name == bare || strings.HasPrefix(bare, f.Name+"/") {
						pos = op.step.body.At(f.Value)
					}
				}
			}
			c.diags.Errorf(pos, "E045-array-without-brackets", "%s is sent as an array only if it has several entries", leaf.Path)
			c.diags.Hintf("write the array with [ ]")
			return
		}
	}
}

// checkDeclared reports names and values of a mapping's schema that are not in the unified one.
func (c *compiler) checkDeclared(n *source.Node, s schemaPair) {
	if n == nil {
		return
	}
	known := slices.Sorted(maps.Keys(member(s.unified, "properties")))
	for _, e := range n.Get("properties").Members() {
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
	c.suggestOrList(name, known)
}

// suggestOrList adds the known name that is near name, or all known names, as a hint.
func (c *compiler) suggestOrList(name string, known []string) {
	if !c.diags.Suggest(name, known) {
		c.diags.Hintf("known names: %s", strings.Join(known, ", "))
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
			c.diags.Errorf(item.Pos, "E044-enum-outside-schema", "the unified schema does not allow the value %q", item.Text)
			c.diags.Hintf("allowed values: %s", plain.Text(fixed))
		case isOpen && !slices.ContainsFunc(known, is) && (provider == nil || provider.Text != "true"):
			c.diags.Errorf(item.Pos, "E044-enum-outside-schema", "the unified schema does not know the value %q", item.Text)
			c.diags.Hintf("known values: %s; add x-provider-values: true if the values are the provider's own", plain.Text(known))
		}
	}
}

var queryMember = regexp.MustCompile(`\b(query|rawQuery)\s*\.\s*([A-Za-z_]\w*)`)

// checkQuery returns the unified query parameters that the mapping uses, sorted, and reports
// contradictions to query_schema.
func (c *compiler) checkQuery(querySchema *source.Node, exprs []*jsonata.Expr, model Model) []string {
	known := slices.Sorted(maps.Keys(member(model.Query, "properties")))
	uses := map[string]source.Pos{}
	for _, x := range exprs {
		for _, m := range queryMember.FindAllStringSubmatchIndex(x.Source, -1) {
			name, pos := x.Source[m[4]:m[5]], x.At(m[4])
			if !slices.Contains(known, name) {
				if x.Source[m[2]:m[3]] == "query" { // rawQuery may have any parameter
					c.unknownQuery(pos, name, known)
				}
				continue
			}
			if _, ok := uses[name]; !ok {
				uses[name] = pos
			}
		}
	}
	declared := querySchema.Get("properties").Members()
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
	c.diags.Suggest(name, known)
}

// requestExprs returns all expressions of a method that see the request's query.
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

// checkResponse checks the fields that a response mapping builds against the unified response
// schema. If closed is set, other fields are errors.
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
			c.diags.Errorf(x.At(f.Value), "E045-array-without-brackets", "%s must be an array, but is built without [ ]", f.Name)
			c.diags.Hintf("the result of a single match is not an array")
		}
	}
}
