package engine

import (
	"context"
	"maps"
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
	title            string // the operation's name, for errors
	version          string
	main             *step
	before, after    []*step
	response         *jsonata.Expr
	remoteDataIn     []string // names of the path, in the mapped body, at which remote_data is merged
	bodySchema       any      // plain JSON; nil: none
	bodySchemaNode   *source.Node
	querySchema      any
	querySchemaNode  *source.Node
	support          Support
	probed           string // see Probed
	needsAnswer      bool   // an expression reads the main answer's body
	authorizingQuery []string

	base      *Plan              // without overrides; nil: this one has none
	overrides []compiledOverride // the lowest first
	doc       *operationDoc      // what base was made of, to probe it again with overrides
	model     Model
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

// Integration returns the integration whose method the plan carries out.
func (p *Plan) Integration() *Integration { return p.integration }

// Operation returns the unified method that the plan carries out.
func (p *Plan) Operation() Operation { return p.operation }

// BeforeSteps returns the names of the steps that run before the main call, in order.
func (p *Plan) BeforeSteps() []string {
	names := make([]string, 0, len(p.before))
	for _, s := range p.before {
		names = append(names, s.name)
	}
	return names
}

// Version returns <integration>/<model>.<resource>.<method>@<hash>. Comments and layout of the
// mapping do not change it.
func (p *Plan) Version() string { return p.version }

// BodySchema returns the mapping's request_body_schema as plain JSON and as a node; nil if there
// is none. Both must only be read.
func (p *Plan) BodySchema() (any, *source.Node) { return p.bodySchema, p.bodySchemaNode }

// QuerySchema returns the mapping's query_schema like BodySchema.
func (p *Plan) QuerySchema() (any, *source.Node) { return p.querySchema, p.querySchemaNode }

// Support returns the unified fields that reach the provider.
func (p *Plan) Support() *Support { return &p.support }

// Probed returns the key of Support for Probed; "" if probing reported anything.
func (p *Plan) Probed() string { return p.probed }

// exprs returns the expressions of s, with those of the overrides if s is the main call.
func (p *Plan) exprs(s *step) []*jsonata.Expr {
	out := s.exprs()
	for _, over := range p.overrides {
		if s == p.main {
			out = append(out, over[bodyKey], over[queryKey])
		}
	}
	return slices.DeleteFunc(out, func(x *jsonata.Expr) bool { return x == nil })
}

// withDeadline adds the deadline of an evaluation to ctx, for several evaluations in a row. If a
// worker evaluates overrides, each has its own deadline, because it may wait for a worker.
func (p *Plan) withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if len(p.overrides) > 0 && p.integration.language.HasWorker() {
		return ctx, func() {}
	}
	return p.integration.language.WithDeadline(ctx)
}

// Catalog holds all integrations and their plans. It is immutable and safe for concurrent use.
type Catalog struct {
	integrations []*Integration // by name
	plans        map[string]map[Operation]*Plan
}

// Integrations returns all integrations, sorted by name. The slice must only be read.
func (c *Catalog) Integrations() []*Integration { return c.integrations }

// Integration returns an integration by name; nil if there is none.
func (c *Catalog) Integration(name string) *Integration {
	i, found := slices.BinarySearchFunc(c.integrations, name, func(in *Integration, name string) int { return strings.Compare(in.Name, name) })
	if !found {
		return nil
	}
	return c.integrations[i]
}

// Plan returns the plan of an integration's method; nil if the integration does not map it.
func (c *Catalog) Plan(integration string, op Operation) *Plan { return c.plans[integration][op] }

// Plans returns all plans, sorted by integration and operation.
func (c *Catalog) Plans() []*Plan {
	var out []*Plan
	for _, plans := range c.plans {
		out = slices.AppendSeq(out, maps.Values(plans))
	}
	slices.SortFunc(out, func(a, b *Plan) int { return strings.Compare(a.version, b.version) })
	return out
}

// Methods returns the methods of a resource that an integration maps, sorted.
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
