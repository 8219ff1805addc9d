package sandbox

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Provider is a simulated provider, as its sandbox.yaml describes it. It is immutable and
// safe for concurrent use.
type Provider struct {
	name        string
	demo        Demo
	facts       map[string]any
	settings    map[string]any
	collections []collection
	views       map[string]*expr
	find        []*lookup
	guard       []*checks
	noRoute     *answer
	finish      answer
	routes      []*route
	faults      []*fault // including the built-in ones
	oauth       *oauth   // nil if it has no authorization server
}

// Demo is a provider's demo account.
type Demo struct {
	IntegratedAccountID string
	Context             map[string]any // its credentials, obviously invented
	SampleID            string         // a record to update
	Query               map[string]any // query parameters that a call needs; may be nil
}

// EncodedQuery returns Query in the nested form (a[0][b]=c), sorted by name and
// percent-encoded, including the brackets.
func (d Demo) EncodedQuery() string {
	var pairs []string
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, member := range v {
				walk(name+"["+k+"]", member)
			}
		case []any:
			for i, member := range v {
				walk(name+"["+strconv.Itoa(i)+"]", member)
			}
		default:
			pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(fmt.Sprint(v)))
		}
	}
	for k, v := range d.Query {
		walk(k, v)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// Fault is a failure that a caller can request with the header FaultHeader.
type Fault struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Name returns the provider's name: that of its directory and the first segment of its paths.
func (p *Provider) Name() string { return p.name }

// Demo returns the provider's demo account. It must not be modified.
func (p *Provider) Demo() Demo { return p.demo }

// Faults returns the provider's faults, the built-in ones first.
func (p *Provider) Faults() []Fault {
	out := make([]Fault, 0, len(p.faults))
	for _, f := range p.faults {
		out = append(out, f.Fault)
	}
	return out
}

// collection is one kind of record, with its initial records.
type collection struct {
	name, key string
	records   []any
}

// expr is an expression with its place.
type expr struct {
	*jsonata.Expr
	pos  source.Pos
	what string // "find user"
}

// eval evaluates x; a nil x has no value.
func (x *expr) eval(ctx context.Context, b bindings) (value any, present bool, err error) {
	if x == nil {
		return nil, false, nil
	}
	value, present, err = x.Eval(ctx, b)
	if err != nil {
		return nil, false, x.failed(err)
	}
	return value, present, nil
}

func (x *expr) failed(err error) error { return fmt.Errorf("%s: %s: %w", x.pos, x.what, err) }

// lookup is one named value of `find`. view, if set, is applied to each record of it.
type lookup struct {
	name string
	of   *expr
	view *expr
}

// check refuses a request if the result of its `when` is truthy; the result is the problem.
type check struct {
	when   *expr
	answer *answer
}

type checks struct{ list []check }

type answer struct {
	status  *expr
	headers []header
	body    *expr // JSON
	text    *expr // anything else
}

type header struct {
	name  string
	value *expr
}

type change struct {
	collection string
	records    *expr
}

type route struct {
	text   string // "PUT /users/{id}"
	method string
	path   []segment
	find   []*lookup
	refuse []*checks
	put    []change
	remove []change
	answer *answer
}

func (r *route) writes() bool { return len(r.put)+len(r.remove) > 0 }
