package jsonata

import (
	"fmt"
	"maps"
	"sync"
)

// Bindings are the values that expressions see by name, for any number of evaluations. They are
// immutable and safe for concurrent use.
type Bindings struct {
	plain     map[string]any // unchanged
	converted *conversion
}

// conversion is bindings with gnata's null, converted when an expression first needs them.
type conversion struct {
	plain  map[string]any
	base   *conversion    // converted before; nil: none
	added  map[string]any // what plain has in addition to base
	once   sync.Once
	values map[string]any // plain itself if it contains no null
	null   bool           // it does
	err    error
}

// NewBindings binds values, which must be plain JSON and no longer change.
func NewBindings(values map[string]any) Bindings {
	return Bindings{values, &conversion{plain: values, added: values}}
}

// With returns b with values added or replaced. Only those are converted.
func (b Bindings) With(more map[string]any) Bindings {
	merged := merge(b.plain, more)
	return Bindings{merged, &conversion{plain: merged, base: b.converted, added: more}}
}

func merge(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// Plain returns the value bound to name; nil if there is none.
func (b Bindings) Plain(name string) any { return b.plain[name] }

// forGnata returns the values with gnata's null. It is an error if they are not plain JSON.
func (c *conversion) forGnata() (map[string]any, error) {
	c.once.Do(func() {
		if c.err = c.convert(); c.err != nil {
			c.err = fmt.Errorf("bindings: %w", c.err)
		}
	})
	return c.values, c.err
}

func (c *conversion) convert() (err error) {
	c.values = c.plain
	if c.null, err = holdsNull(c.added, 0); err != nil {
		return err
	}
	added := any(c.added)
	if c.null {
		if added, err = withNulls(c.added); err != nil {
			return err
		}
	}
	base := map[string]any(nil)
	if c.base != nil {
		if base, err = c.base.forGnata(); err != nil {
			return err
		}
		c.null = c.null || c.base.null
	}
	if object, ok := added.(map[string]any); ok && c.null {
		c.values = merge(base, object)
	}
	return nil
}
