package jsonata

import (
	"fmt"
	"maps"
)

// Bindings are the values that expressions see by name. They are converted once for any number
// of evaluations. They are immutable and safe for concurrent use.
type Bindings struct {
	plain     map[string]any // unchanged
	converted map[string]any // with gnata's null; plain itself if there is none
	null      bool           // there is one
}

// NewBindings converts values, plain JSON that must no longer change. It is an error if they are
// not plain JSON.
func NewBindings(values map[string]any) (Bindings, error) {
	null, err := holdsNull(values, 0)
	if err != nil {
		return Bindings{}, fmt.Errorf("bindings: %w", err)
	}
	if !null {
		return Bindings{plain: values, converted: values}, nil
	}
	converted, err := withNulls(values)
	if err != nil {
		return Bindings{}, fmt.Errorf("bindings: %w", err)
	}
	object, _ := converted.(map[string]any)
	return Bindings{values, object, true}, nil
}

// With returns b with values added or replaced. Only those are converted.
func (b Bindings) With(more map[string]any) (Bindings, error) {
	added, err := NewBindings(more)
	if err != nil {
		return Bindings{}, err
	}
	out := Bindings{plain: merge(b.plain, added.plain)}
	if out.converted = out.plain; b.null || added.null {
		out.converted, out.null = merge(b.converted, added.converted), true
	}
	return out, nil
}

func merge(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// Plain returns the value bound to name; nil if there is none.
func (b Bindings) Plain(name string) any { return b.plain[name] }
