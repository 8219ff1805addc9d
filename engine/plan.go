package engine

import (
	"context"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Plan is one unified method of one integration, compiled. It is immutable and safe for
// concurrent use; a request reads no YAML, expression, template or schema text.
type Plan struct {
	integration      *Integration
	operation        Operation
	title            string // what it does, for errors: the operation's name
	version          string
	main             *step
	before, after    []*step
	response         *jsonata.Expr
	record           []string // names of the path to the provider's record
	remoteDataIn     []string // names of the path, in the mapped body, at which remote_data is merged
	bodySchema       any      // plain JSON; nil: none declared
	bodySchemaPos    source.Pos
	querySchema      any
	querySchemaPos   source.Pos
	support          Support
	needsAnswer      bool // something reads the main answer's body
	authorizingQuery []string

	base  *Plan         // without overrides; nil: this one has none
	over  []overlay     // the lowest first
	doc   *operationDoc // what base was made of, to probe it again with overrides
	model Model
}

// Operation names a unified method: ticketing, users, update.
type Operation struct{ Model, Resource, Method string }

// String returns model.resource.method.
func (o Operation) String() string { return o.Model + "." + o.Resource + "." + o.Method }

// ParseOperation reads "model.resource.method".
func ParseOperation(name string) (Operation, bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return Operation{}, false
	}
	return Operation{parts[0], parts[1], parts[2]}, true
}

// Integration is the integration whose method the plan carries out.
func (p *Plan) Integration() *Integration { return p.integration }

// Operation is the unified method that the plan carries out.
func (p *Plan) Operation() Operation { return p.operation }

// BeforeSteps are the names of the steps that run before the main call, in their order.
func (p *Plan) BeforeSteps() []string {
	names := make([]string, 0, len(p.before))
	for _, s := range p.before {
		names = append(names, s.name)
	}
	return names
}

// Version names the plan and its content: <integration>/<model>.<resource>.<method>@<hash>.
// Comments and layout of the mapping do not change it.
func (p *Plan) Version() string { return p.version }

// BodySchema is the mapping's request_body_schema as plain JSON and its place; nil if none
// is declared. It must only be read.
func (p *Plan) BodySchema() (any, source.Pos) { return p.bodySchema, p.bodySchemaPos }

// QuerySchema is the mapping's query_schema as plain JSON and its place; nil if none is
// declared. It must only be read.
func (p *Plan) QuerySchema() (any, source.Pos) { return p.querySchema, p.querySchemaPos }

// Support reports which unified fields reach the provider.
func (p *Plan) Support() *Support { return &p.support }

// AuthorizingQuery names the query parameters that authenticate towards the provider. It
// must only be read.
func (p *Plan) AuthorizingQuery() []string { return p.authorizingQuery }

// withDeadline gives ctx the deadline of a phase. If a worker evaluates overrides,
// each evaluation has its own deadline instead: waiting for a worker is nobody's fault.
func (p *Plan) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if len(p.over) > 0 && p.integration.language.HasWorker() {
		return ctx, func() {}
	}
	return p.integration.language.WithDeadline(ctx)
}

// Catalog holds all integrations and their plans. It is immutable and safe for concurrent use.
type Catalog struct {
	integrations []*Integration // by name
	plans        map[string]map[Operation]*Plan
}

// Integrations are all integrations, sorted by name. The slice must only be read.
func (c *Catalog) Integrations() []*Integration { return c.integrations }

// Integration finds an integration by name; nil if there is none.
func (c *Catalog) Integration(name string) *Integration {
	i, found := slices.BinarySearchFunc(c.integrations, name, func(in *Integration, name string) int { return strings.Compare(in.Name, name) })
	if !found {
		return nil
	}
	return c.integrations[i]
}

// Plan finds the plan of an integration's method; nil if the integration does not map it.
func (c *Catalog) Plan(integration string, op Operation) *Plan { return c.plans[integration][op] }

// Plans are all plans, sorted by integration and operation.
func (c *Catalog) Plans() []*Plan {
	var out []*Plan
	for _, plans := range c.plans {
		for _, p := range plans {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *Plan) int { return strings.Compare(a.version, b.version) })
	return out
}

// Methods are the methods of a resource that an integration maps, sorted.
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
