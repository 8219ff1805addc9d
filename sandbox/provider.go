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

// Provider is a provider to play, as its sandbox.yaml describes it. It is immutable and
// safe for concurrent use.
type Provider struct {
	name        string
	demo        Demo
	facts       map[string]any
	settings    map[string]any
	collections []collection
	views       map[string]*expr
	find        []*finding
	guard       []*checks
	noRoute     *answer
	finish      answer
	routes      []*route
	faults      []*fault // the built-in ones and its own
	oauth       *oauth   // nil: it plays no authorization server
}

// Demo is the account with which a provider can be tried.
type Demo struct {
	IntegratedAccountID string
	Context             map[string]any // its credentials, obviously invented
	SampleID            string         // a record to update
	Query               map[string]any // what a call also needs; nil: nothing
}

// EncodedQuery is Query in the nested form (a[0][b]=c), sorted by name, percent-encoded
// brackets included; "" where there is none.
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

// Fault is a failure that a caller can ask for with the request header FaultHeader.
type Fault struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Name is the provider's name: its folder's, and the first segment of its routes.
func (p *Provider) Name() string { return p.name }

// Demo gives the provider's demo account. It is only to be read.
func (p *Provider) Demo() Demo { return p.demo }

// Faults lists what can be asked for, the built-in ones first.
func (p *Provider) Faults() []Fault {
	out := make([]Fault, 0, len(p.faults))
	for _, f := range p.faults {
		out = append(out, f.Fault)
	}
	return out
}

// collection is one kind of record, as it is before the first request.
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

// eval evaluates x; a nil x gives nothing.
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

// finding is one named value of `find`. With a view, what of gives is shown through it,
// record by record.
type finding struct {
	name string
	of   *expr
	view *expr
}

// check refuses a request: when its `when` gives something, that is the problem.
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
	find   []*finding
	refuse []*checks
	put    []change
	remove []change
	answer *answer
}

func (r *route) writes() bool { return len(r.put)+len(r.remove) > 0 }
