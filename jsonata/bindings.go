package jsonata

import (
	"fmt"
	"maps"
)

// Bindings are the values that expressions see by name, made ready once for any number of
// evaluations. They are immutable and safe for concurrent use.
type Bindings struct {
	plain map[string]any // as given
	ready map[string]any // with the expression library's own null; plain itself if it holds none
}

// Ready makes values, plain JSON that must no longer change, ready to be evaluated over. The
// error says that they are not plain JSON.
func Ready(values map[string]any) (Bindings, error) {
	ready, err := withNulls(values)
	if err != nil {
		return Bindings{}, fmt.Errorf("bindings: %w", err)
	}
	object, _ := ready.(map[string]any)
	return Bindings{values, object}, nil
}

// With is b with more values, or others in the place of some. Only those are made ready.
func (b Bindings) With(more map[string]any) (Bindings, error) {
	added, err := Ready(more)
	if err != nil {
		return Bindings{}, err
	}
	return Bindings{laidOver(b.plain, added.plain), laidOver(b.ready, added.ready)}, nil
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
