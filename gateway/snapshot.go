package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"portolan/engine"
	"portolan/schemas"
	"portolan/source"
)

// maxOverrides is how many compiled plans with overrides are kept.
const maxOverrides = 1000

// Snapshot holds everything that is compiled once: the integrations, the unified methods, their
// schemas, and the plans with overrides. It is safe for concurrent use.
type Snapshot struct {
	catalog    *engine.Catalog
	methods    map[engine.Operation]*method
	schemas    map[*engine.Plan]*planSchemas // of plans without overrides
	overridden *planCache
}

// method is one unified method with its schemas.
type method struct {
	request, query, response *schemas.Schema // nil: none
	normalized               *schemas.Schema // of normalized records: response, with null for any member
	requestDoc, responseDoc  map[string]any
	order                    []string // the record's fields, as documented
}

// planSchemas are a mapping's own schemas; nil if it has none.
type planSchemas struct {
	body, query       *schemas.Schema
	bodyDoc, queryDoc map[string]any
}

// Models returns the documents of the unified models' schemas, to compile mappings with. It leaves
// out what is not a valid model.resource.method, which NewSnapshot reports.
func Models(models schemas.Models) engine.Models {
	out := engine.Models{}
	for key, m := range models {
		if op, ok := engine.ParseOperation(key); ok {
			out[op] = engine.Model{Request: m.Request, Query: m.Query, Response: m.Response}
		}
	}
	return out
}

// NewSnapshot compiles the schemas of catalog's mappings and of models. Invalid schemas of mappings
// are diagnostics; those of models are the error.
func NewSnapshot(catalog *engine.Catalog, models schemas.Models) (*Snapshot, source.Diagnostics, error) {
	s := &Snapshot{
		catalog: catalog, methods: map[engine.Operation]*method{}, schemas: map[*engine.Plan]*planSchemas{},
		overridden: newPlanCache(catalog, maxOverrides),
	}
	var errs []error
	compile := func(name string, doc map[string]any) *schemas.Schema {
		if doc == nil {
			return nil
		}
		schema, err := schemas.Compile(name, doc)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return schema
	}
	for key, m := range models {
		op, ok := engine.ParseOperation(key)
		if !ok {
			errs = append(errs, fmt.Errorf("%q is not a valid model.resource.method", key))
			continue
		}
		s.methods[op] = &method{
			request: compile(key+".request", m.Request), query: compile(key+".query", m.Query),
			response: compile(key+".response", m.Response), normalized: compile(key+".normalized", schemas.Nullable(m.Response)), requestDoc: m.Request, responseDoc: m.Response, order: m.Order,
		}
	}
	var found source.Diagnostics
	for _, p := range catalog.Plans() {
		own := &planSchemas{}
		own.body, own.bodyDoc = compileMappingSchema("request_body_schema", p.BodySchema, &found)
		own.query, own.queryDoc = compileMappingSchema("query_schema", p.QuerySchema, &found)
		s.schemas[p] = own
	}
	return s, found, errors.Join(errs...)
}

// compileMappingSchema compiles a schema of a mapping; nil if it has none.
func compileMappingSchema(key string, declared func() (any, *source.Node), found *source.Diagnostics) (*schemas.Schema, map[string]any) {
	raw, node := declared()
	if raw == nil {
		return nil, nil
	}
	schema, err := schemas.Compile(key, raw)
	if bad, ok := errors.AsType[*schemas.CompileError](err); ok {
		for _, problem := range bad.Problems {
			found.Errorf(node.PointerPos(problem.Pointer), "E050-bad-schema", "%s", strings.TrimPrefix(problem.Pointer+": "+problem.Message, ": "))
		}
	}
	doc, _ := raw.(map[string]any)
	return schema, doc
}

// Catalog returns the integrations and their plans.
func (s *Snapshot) Catalog() *engine.Catalog { return s.catalog }

// Override returns what Catalog.Override returns, and keeps it for the next call.
func (s *Snapshot) Override(environment string, base *engine.Plan, layers ...engine.OverrideLayer) (*engine.Plan, source.Diagnostics) {
	return s.overridden.plan(environment, base, layers...)
}

// Has reports whether there is such a unified method.
func (s *Snapshot) Has(op engine.Operation) bool { return s.methods[op] != nil }

// Unknown returns a problem of status 404 that names the unknown part of op and a similar name. The
// model is checked first, then the resource, then the method, which is "" for a path without one.
func (s *Snapshot) Unknown(op engine.Operation) *Problem {
	var models, resources, methods []string
	for known := range s.methods {
		models = append(models, known.Model)
		if known.Model != op.Model {
			continue
		}
		resources = append(resources, known.Resource)
		if known.Resource == op.Resource {
			methods = append(methods, known.Method)
		}
	}
	near := func(name string, known []string) string {
		slices.Sort(known) // so that the answer is always the same
		return Suggestion(name, known...)
	}
	p := &Problem{Status: statusNotFound}
	switch {
	case len(resources) == 0:
		p.Message = fmt.Sprintf("the unified model %q does not exist%s", shortened(op.Model), near(op.Model, models))
	case len(methods) == 0:
		p.Message = fmt.Sprintf("there is no resource %q in the unified model %q%s", shortened(op.Resource), op.Model, near(op.Resource, resources))
	case op.Method == "":
		p.Message = fmt.Sprintf("the unified resource \"%s.%s\" does not have this path", op.Model, op.Resource)
	default:
		p.Message = fmt.Sprintf("there is no method %q of the unified resource \"%s.%s\"%s", shortened(op.Method), op.Model, op.Resource, near(op.Method, methods))
	}
	return p
}

// CheckNames returns the problem of Unknown if there is no such model or resource, else nil. The
// resource is "" for a path without one.
func (s *Snapshot) CheckNames(model, resource string) *Problem {
	for known := range s.methods {
		if known.Model == model && (resource == "" || known.Resource == resource) {
			return nil
		}
	}
	return s.Unknown(engine.Operation{Model: model, Resource: resource})
}

// CheckBody validates body by the unified schema of op, for a request whose account is not known.
func (s *Snapshot) CheckBody(op engine.Operation, body map[string]any) []Failure {
	m := s.methods[op]
	if m == nil {
		return nil
	}
	return Distinct(SchemaFailures(m.request, body))
}
