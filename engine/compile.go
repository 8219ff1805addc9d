package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"portolan/jsonata"
	"portolan/source"
)

// Model holds a unified method's schemas as plain JSON. The engine reads names, types and known
// values from them, and validates nothing.
type Model struct {
	Request  map[string]any
	Query    map[string]any
	Response map[string]any
}

// Models are the unified methods, by Operation.
type Models map[Operation]Model

// Probed is what probing found, for mappings without findings, by a hash of their content. It
// holds for one program with one Models.
type Probed map[string]Support

// Compile resolves the documents' references and probes each mapping that is not in known. The
// catalog may contain plans with errors: use it only if the diagnostics have not Failed.
func Compile(docs *Documents, models Models, known Probed) (*Catalog, source.Diagnostics) {
	providers := slices.DeleteFunc(slices.Clone(docs.providers), func(p *providerDocs) bool { return p.integration == nil })
	catalog := &Catalog{integrations: make([]*Integration, len(providers)), plans: map[string]map[Operation]*Plan{}}
	for _, p := range providers {
		catalog.plans[p.name] = map[Operation]*Plan{}
	}
	diags := make([]source.Diagnostics, len(providers))
	inParallel(len(providers), func(i int) {
		p := providers[i]
		c := &compiler{ctx: context.Background(), models: models, diags: &diags[i], language: docs.language, known: known}
		catalog.integrations[i] = c.integration(p.name, p.integration)
		for _, m := range p.mappings {
			for _, op := range m.methods {
				if plan := c.plan(catalog.integrations[i], p.integration, m, op); plan != nil {
					catalog.plans[p.name][plan.operation] = plan
				}
			}
		}
	})
	return catalog, slices.Concat(diags...)
}

// inParallel calls do with 0 to n-1, on all processors.
func inParallel(n int, do func(i int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i - 1)
			}
		})
	}
	wg.Wait()
}

type compiler struct {
	ctx      context.Context // ends probing
	overran  bool            // an evaluation took too long while probing
	models   Models
	diags    *source.Diagnostics
	language *jsonata.Language
	known    Probed

	hash, exactHash string // of the integration's document
}

func (c *compiler) integration(name string, doc *integrationDoc) *Integration {
	in := &Integration{
		Name: name, Label: cmp.Or(doc.label, name), Credentials: doc.credentials, BaseURL: doc.baseURL.String(),
		language: c.language, base: doc.baseURL,
		baseSecret: slices.ContainsFunc(doc.credentials, func(cr Credential) bool {
			return cr.Secret && slices.Contains(doc.baseURL.variables, cr.Name)
		}),
		authHeader: params(doc.authorization.header, doc.credentials),
		authQuery:  params(doc.authorization.query, doc.credentials),
		errors:     doc.errors,
		rateLimit:  doc.rateLimit,
		endpoints:  map[string]*Endpoint{},
	}
	c.hash, c.exactHash = contentHash(doc.node), exactHash(doc.node)
	for key, m := range doc.methods {
		if m.path == nil { // reported when it was read
			continue
		}
		in.endpoints[key] = &Endpoint{
			Integration: in, Name: key, version: name + "/" + key + "@" + c.hash,
			verb: m.verb, path: m.path, patterns: m.patterns, form: m.form, repeatable: m.repeatable,
			header: params(m.params.header, doc.credentials), query: params(m.params.query, doc.credentials),
		}
	}
	c.checkIntegrationCredentials(doc)
	in.Verify = c.verify(in, doc)
	if doc.oauth != nil {
		in.OAuth = &OAuth{
			Scopes: doc.oauth.scopes, integration: in,
			authorize: doc.oauth.authorizeURL, token: doc.oauth.tokenURL, settings: doc.oauth.settings,
		}
	}
	return in
}

// verify returns the call that checks an account's credentials; nil if there is none.
func (c *compiler) verify(in *Integration, doc *integrationDoc) *Endpoint {
	if doc.verify == nil || doc.verify.Kind != source.Scalar {
		return nil
	}
	endpoint := c.endpoint(in, doc, doc.verify)
	if endpoint == nil {
		return nil
	}
	for _, name := range endpoint.path.variables {
		c.diags.Errorf(doc.verify.Pos, "E031-missing-path-variable", "%s needs the path variable %q", doc.verify.Text, name)
		c.diags.Hintf("name a call whose path has no variables")
	}
	return endpoint
}

func (c *compiler) plan(in *Integration, doc *integrationDoc, m *mappingDoc, op *operationDoc) *Plan {
	p := &Plan{
		integration: in,
		operation:   Operation{m.model, op.resource, op.method},
		title:       Operation{m.model, op.resource, op.method}.String(),
		response:    op.response,
		doc:         op,
	}
	c.checkMappingCredentials(op, doc.credentials)
	model, known := c.models[p.operation]
	if !known {
		c.unknownOperation(m, op)
		return nil
	}
	p.model = model
	p.main, p.before, p.after = c.step(in, doc, &op.step), c.steps(in, doc, op.before), c.steps(in, doc, op.after)
	if slices.Contains(append(p.before, p.after...), nil) || p.main == nil {
		return nil
	}
	record := []string{"response"}
	if op.record != nil {
		record = strings.Split(op.record.Text, ".")
	}
	if record[0] == "response" {
		p.main.record = record[1:]
	}
	for _, s := range p.after {
		if len(record) > 1 && record[0] == "after" && record[1] == s.name {
			s.record = record[2:]
		}
	}
	if op.remoteDataIn != nil {
		p.remoteDataIn = strings.Split(op.remoteDataIn.Text, ".")
	}
	p.needsAnswer = needsAnswer(p)
	r := source.Reader{Diags: c.diags}
	if op.bodySchema != nil {
		p.bodySchema, p.bodySchemaNode = r.JSON(op.bodySchema), op.bodySchema
	}
	if op.querySchema != nil {
		p.querySchema, p.querySchemaNode = r.JSON(op.querySchema), op.querySchema
	}
	for _, q := range in.authQuery {
		p.authorizingQuery = append(p.authorizingQuery, q.name)
	}
	if op.response != nil {
		c.checkResponse(op.response, model, true)
	}
	p.version = in.Name + "/" + p.title + "@" + contentHash(op.node, c.hash)
	p.probed = exactHash(op.node, c.exactHash, p.title)
	if p.support, known = c.known[p.probed]; known {
		return p
	}
	before := len(*c.diags)
	if p.support = c.probe(p, op.requestExprs()); len(*c.diags) > before {
		p.probed = ""
	}
	return p
}

func (c *compiler) unknownOperation(m *mappingDoc, op *operationDoc) {
	var resources, methods []string
	for known := range c.models {
		if known.Model != m.model {
			continue
		}
		resources = append(resources, known.Resource)
		if known.Resource == op.resource {
			methods = append(methods, known.Method)
		}
	}
	slices.Sort(resources)
	slices.Sort(methods)
	switch {
	case len(resources) == 0:
		c.diags.Errorf(m.node.KeyPos("model"), "E040-unknown-operation", "the unified model %q does not exist", m.model)
	case len(methods) == 0:
		c.diags.Errorf(m.node.Get("resources").KeyPos(op.resource), "E040-unknown-operation", "%s has no resource %q", m.model, op.resource)
		c.diags.Suggest(op.resource, resources)
	default:
		c.diags.Errorf(op.pos, "E040-unknown-operation", "%s.%s has no method %q", m.model, op.resource, op.method)
		c.diags.Suggest(op.method, methods)
	}
}

// endpoint returns the endpoint that a call names; nil if the integration has no such method.
func (c *compiler) endpoint(in *Integration, doc *integrationDoc, call *source.Node) *Endpoint {
	if _, declared := doc.methods[call.Text]; !declared {
		known := slices.Sorted(maps.Keys(doc.methods))
		c.diags.Errorf(call.Pos, "E033-unknown-call", "the integration has no %q", call.Text)
		c.suggestOrList(call.Text, known)
	}
	return in.endpoints[call.Text]
}

func (c *compiler) steps(in *Integration, doc *integrationDoc, docs []*stepDoc) (out []*step) {
	for _, s := range docs {
		out = append(out, c.step(in, doc, s))
	}
	return out
}

// step resolves one call; nil if the integration has no such method.
func (c *compiler) step(in *Integration, doc *integrationDoc, s *stepDoc) *step {
	if s.call == nil || s.call.Kind != source.Scalar { // reported when it was read
		return nil
	}
	endpoint := c.endpoint(in, doc, s.call)
	if endpoint == nil {
		return nil
	}
	out := &step{Endpoint: endpoint, name: s.name, queryMap: s.query, bodyMap: s.body, runIf: s.runIf, variables: map[string]param{}}
	for _, v := range params(s.pathVariables, doc.credentials) {
		out.variables[v.name] = v
		out.hidesPath = out.hidesPath || v.secret
	}
	for _, name := range endpoint.path.variables {
		if _, ok := out.variables[name]; !ok && name != "id" {
			c.diags.Errorf(s.call.Pos, "E031-missing-path-variable", "%s needs the path variable %q", s.call.Text, name)
			c.diags.Hintf("declare it in path_variables")
		}
	}
	for _, v := range s.pathVariables {
		if !slices.Contains(endpoint.path.variables, v.name) {
			c.diags.Errorf(v.pos, "E032-unused-path-variable", "%s has no path variable %q", s.call.Text, v.name)
		}
	}
	return out
}

var answerUse, errorUse = regexp.MustCompile(`\bresponse\b`), regexp.MustCompile(`\berror\b`)

// needsAnswer reports whether a 2xx answer of the main call must be usable JSON because an
// expression reads it.
func needsAnswer(p *Plan) bool {
	exprs := []*jsonata.Expr{p.response}
	for _, s := range p.after {
		exprs = append(exprs, s.exprs()...)
	}
	uses := func(x *jsonata.Expr, re *regexp.Regexp) bool { return x != nil && re.MatchString(x.Source) }
	return uses(p.integration.errors.when, errorUse) ||
		slices.ContainsFunc(exprs, func(x *jsonata.Expr) bool { return uses(x, answerUse) })
}

// contentHash returns a hash of n and more that comments and layout, of YAML and of expressions, do
// not change.
func contentHash(n *source.Node, more ...any) string {
	r := source.Reader{Diags: &source.Diagnostics{}}
	return hashOf(append(more, withoutLayout(r.JSON(n))), 6)
}

// exactHash returns a hash of n and more that only comments and layout of YAML do not change.
func exactHash(n *source.Node, more ...any) string {
	r := source.Reader{Diags: &source.Diagnostics{}}
	return hashOf(append(more, r.JSON(n)), sha256.Size)
}

// hashOf returns the first bytes of a hash of content, in hexadecimal.
func hashOf(content any, bytes int) string {
	text, _ := json.Marshal(content) // plain JSON with sorted keys: cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:bytes])
}

// withoutLayout replaces every text by its tokens. Most texts are expressions.
func withoutLayout(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, m := range v {
			out[name] = withoutLayout(m)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = withoutLayout(item)
		}
		return out
	case string:
		return jsonata.Tokens(v)
	default:
		return v
	}
}
