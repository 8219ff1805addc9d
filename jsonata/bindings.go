package jsonata

import (
	"fmt"
	"maps"
)

// Bindings are the values that expressions see by name, made ready once for any number of
// evaluations. They are immutable and safe for concurrent use.
type Bindings struct {
	plain map[string]any // as given
	ready map[string]any // with the expression library's own null; plain itself if there is none
	null  bool           // there is one
}

// Ready makes values, plain JSON that must no longer change, ready to be evaluated over. The
// error says that they are not plain JSON.
func Ready(values map[string]any) (Bindings, error) {
	null, err := holdsNull(values, 0)
	if err != nil {
		return Bindings{}, fmt.Errorf("bindings: %w", err)
	}
	if !null {
		return Bindings{plain: values, ready: values}, nil
	}
	ready, err := withNulls(values)
	if err != nil {
		return Bindings{}, fmt.Errorf("bindings: %w", err)
	}
	object, _ := ready.(map[string]any)
	return Bindings{values, object, true}, nil
}

// With is b with more values, or others in the place of some. Only those are made ready.
func (b Bindings) With(more map[string]any) (Bindings, error) {
	added, err := Ready(more)
	if err != nil {
		return Bindings{}, err
	}
	out := Bindings{plain: laidOver(b.plain, added.plain)}
	if out.ready = out.plain; b.null || added.null {
		out.ready, out.null = laidOver(b.ready, added.ready), true
	}
	return out, nil
}

func laidOver(base, over map[string]any) map[string]any {
	out := make(map[string]any, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}

// Plain is the value bound to name as it was given; nil if there is none.
func (b Bindings) Plain(name string) any { return b.plain[name] }

// root is what the expression library evaluates over.
func (b Bindings) root() any { return b.ready }
