package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Plan is one unified method of one integration, compiled. It is immutable and safe for
// concurrent use; a request reads no YAML, expression, template or schema text.
type Plan struct {
	integration      *integration
	operation        Operation
	title            string // what it does, for errors: the operation's name
	version          string
	main             *step
	before, after    []*step
	response         *jsonata.Expr
	record           []string // names of the path to the provider's record
	bodySchema       any      // plain JSON; nil: none declared
	bodySchemaPos    source.Pos
	querySchema      any
	querySchemaPos   source.Pos
	support          Support
	needsAnswer      bool // something reads the main answer's body
	language         *jsonata.Language
	authorizingQuery []string

	base  *Plan         // without overrides; nil: this one has none
	over  []overlay     // the lowest first
	doc   *operationDoc // what base was made of, to probe it again with overrides
	model Model
}

// Operation names a unified method: ticketing, users, update.
type Operation struct{ Model, Resource, Method string }

// String gives model.resource.method.
func (o Operation) String() string { return o.Model + "." + o.Resource + "." + o.Method }

// integration is a compiled integration.yaml, shared by its plans.
type integration struct {
	name, label string
	credentials []Credential
	baseURL     *template
	baseSecret  bool
	authHeader  []param
	authQuery   []param
	errors      errorsDoc
	rateLimit   rateLimitDoc
	verify      *Plan
	oauth       *OAuth
}

// param is a computed header or query parameter; secret where a secret credential feeds it.
type param struct {
	name   string
	expr   *jsonata.Expr
	secret bool
}

// step is one compiled provider call.
type step struct {
	name       string
	verb       string
	path       *template
	variables  map[string]param // by the path's variable
	header     []param
	query      []param
	queryMap   *jsonata.Expr
	bodyMap    *jsonata.Expr
	form       bool
	repeatable bool
	runIf      *jsonata.Expr
}

// Integration is the integration's name.
func (p *Plan) Integration() string { return p.integration.name }

// Operation is the unified method that the plan carries out.
func (p *Plan) Operation() Operation { return p.operation }

// Version names the plan and its content: <integration>/<model>.<resource>.<method>@<hash>.
// Comments and layout of the mapping do not change it.
func (p *Plan) Version() string { return p.version }

// BodySchema is the mapping's request_body_schema as plain JSON and its place; nil where
// none is declared. It must only be read.
func (p *Plan) BodySchema() (any, source.Pos) { return p.bodySchema, p.bodySchemaPos }

// QuerySchema is the mapping's query_schema as plain JSON and its place; nil where none
// is declared. It must only be read.
func (p *Plan) QuerySchema() (any, source.Pos) { return p.querySchema, p.querySchemaPos }

// Support says which unified fields reach the provider.
func (p *Plan) Support() *Support { return &p.support }

// AuthorizingQuery names the query parameters that authenticate towards the provider.
func (p *Plan) AuthorizingQuery() []string { return slices.Clone(p.authorizingQuery) }

// Credentials are those that an integrated account of the integration holds.
func (p *Plan) Credentials() []Credential { return slices.Clone(p.integration.credentials) }

// Catalog holds the plans of all integrations. It is immutable and safe for concurrent use.
type Catalog struct {
	plans        map[string]map[Operation]*Plan
	integrations []*integration
}

// Plan finds the plan of an integration's method; nil where it maps none.
func (c *Catalog) Plan(integration string, op Operation) *Plan { return c.plans[integration][op] }

// Integrations are the names of all integrations, sorted.
func (c *Catalog) Integrations() []string {
	out := make([]string, 0, len(c.integrations))
	for _, i := range c.integrations {
		out = append(out, i.name)
	}
	return out
}

// find is the integration of that name; nil where there is none.
func (c *Catalog) find(name string) *integration {
	for _, i := range c.integrations {
		if i.name == name {
			return i
		}
	}
	return nil
}

// Has reports whether there is such an integration.
func (c *Catalog) Has(integration string) bool { return c.find(integration) != nil }

// Label is the integration's name for people: its own name where it declares none, "" where
// there is no such integration.
func (c *Catalog) Label(integration string) string {
	in := c.find(integration)
	if in == nil {
		return ""
	}
	return cmp.Or(in.label, in.name)
}

// BaseURL is the integration's base_url as it was written, with its variables; "" where
// there is no such integration.
func (c *Catalog) BaseURL(integration string) string {
	if in := c.find(integration); in != nil {
		return in.baseURL.String()
	}
	return ""
}

// Credentials are those that an integrated account of the integration holds, AccessToken
// included where it can be connected by consent; nil where there is no such integration.
func (c *Catalog) Credentials(integration string) []Credential {
	if in := c.find(integration); in != nil {
		return slices.Clone(in.credentials)
	}
	return nil
}

// Verify is the plan of the call that shows whether an account's credentials are good, to
// be carried out with MainOnly; nil where the integration declares none.
func (c *Catalog) Verify(integration string) *Plan {
	if in := c.find(integration); in != nil {
		return in.verify
	}
	return nil
}

// OAuth is how an account of the integration connects by its customer's consent; nil where
// the integration declares no such way.
func (c *Catalog) OAuth(integration string) *OAuth {
	if in := c.find(integration); in != nil {
		return in.oauth
	}
	return nil
}

// Methods are the methods that an integration maps for a resource, sorted.
func (c *Catalog) Methods(integration, model, resource string) []string {
	var out []string
	for op := range c.plans[integration] {
		if op.Model == model && op.Resource == resource {
			out = append(out, op.Method)
		}
	}
	slices.Sort(out)
	return out
}

// Plans are all plans, sorted by integration and operation.
func (c *Catalog) Plans() []*Plan {
	var out []*Plan
	for _, plans := range c.plans {
		for _, p := range plans {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *Plan) int {
		if a.Version() < b.Version() {
			return -1
		}
		return 1
	})
	return out
}

// ParseOperation reads "model.resource.method".
func ParseOperation(name string) (Operation, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return Operation{}, false
	}
	return Operation{parts[0], parts[1], parts[2]}, true
}

// withDeadline gives ctx the deadline of a phase. If overrides are evaluated in another
// process, each evaluation has its own deadline instead: waiting for that process is
// nobody's fault.
func (p *Plan) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if len(p.over) > 0 && p.language.EvaluatesApart() {
		return ctx, func() {}
	}
	return p.language.WithDeadline(ctx)
}
