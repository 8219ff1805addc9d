package jsonata

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/recolabs/gnata"
)

// MaxValueDepth is the deepest nesting of a binding or result.
const MaxValueDepth = 1000

// Errors of evaluations that exceed a limit; see also ErrOverrun and ErrMemory.
var (
	ErrTooDeep   = fmt.Errorf("nested deeper than %d levels", MaxValueDepth)
	ErrTooLarge  = errors.New("larger than the limit")
	ErrRecursion = errors.New("U1001: recursion is too deep")
)

var (
	errFunction   = errors.New("a function is not a value")
	errNotFinite  = errors.New("a number is not finite")
	errNotPlain   = errors.New("not plain JSON")
	jsonNullValue = jsonNull{}
)

// jsonNull is null as the result of a library function, for which nil is undefined.
type jsonNull struct{}

// converter converts values between plain JSON and gnata's. It does not change them: it copies
// arrays and objects with replaced parts and shares the rest.
type converter struct {
	ctx     context.Context // ends the conversion; nil: nothing does
	toGnata bool            // convert plain JSON to gnata's values, which have their own null
	left    int             // bytes left, about
	values  int             // how many values there may be; 0: no limit
	seen    int             // values so far
}

// withNulls returns v with gnata's null. Most values have no null and are returned without an
// allocation.
func withNulls(v any) (any, error) {
	w := converter{toGnata: true, left: math.MaxInt}
	if found, err := w.holdsNull(v, 0); !found || err != nil {
		return v, err
	}
	v, _, err := w.value(v, 0)
	return v, err
}

// holdsNull reports whether v contains null.
func (w *converter) holdsNull(v any, depth int) (found bool, err error) {
	if err := w.count(); err != nil {
		return false, err
	}
	if depth > MaxValueDepth {
		return false, ErrTooDeep
	}
	switch v := v.(type) {
	case bool, string, json.Number, float64:
		return false, nil
	case []any:
		for _, item := range v {
			if found, err = w.holdsNull(item, depth+1); found || err != nil {
				return found, err
			}
		}
		return false, nil
	case map[string]any:
		for _, member := range v {
			if found, err = w.holdsNull(member, depth+1); found || err != nil {
				return found, err
			}
		}
		return false, nil
	case nil:
		return true, nil
	default:
		return false, errNotPlain
	}
}

func (w *converter) value(v any, depth int) (out any, changed bool, err error) {
	if err := cmp.Or(w.count(), w.spend(8)); err != nil {
		return nil, false, err
	}
	if depth > MaxValueDepth {
		return nil, false, ErrTooDeep
	}
	switch x := v.(type) { // returning x would allocate
	case nil:
		if w.toGnata {
			return gnataNull, true, nil
		}
		return nil, false, nil
	case bool:
		return v, false, nil
	case string:
		return v, false, w.spend(len(x))
	case json.Number:
		return v, false, cmp.Or(w.spend(len(x)), finite(x))
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return nil, false, errNotFinite
		}
		if x == 0 { // -0 becomes 0
			return 0.0, math.Signbit(x), nil
		}
		return v, false, nil
	case []any:
		return w.list(v, x, depth)
	case map[string]any:
		return w.object(v, x, depth)
	default:
		out, err = w.other(v, depth)
		return out, true, err
	}
}

// count counts a value.
func (w *converter) count() error {
	const looks = 1024 // after so many values the context is asked
	if w.seen++; w.values > 0 && w.seen > w.values {
		return ErrTooLarge
	}
	if w.seen%looks == 0 && w.ctx != nil && w.ctx.Err() != nil {
		return causeOf(w.ctx)
	}
	return nil
}

func (w *converter) spend(bytes int) error {
	if w.left -= bytes; w.left < 0 {
		return ErrTooLarge
	}
	return nil
}

// list converts v, which is the value of whole.
func (w *converter) list(whole any, v []any, depth int) (any, bool, error) {
	var out []any
	for i, item := range v {
		item, changed, err := w.value(item, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed {
			if out == nil {
				out = slices.Clone(v)
			}
			out[i] = item
		}
	}
	switch {
	case out != nil:
		return out, true, nil
	case v == nil:
		return []any{}, true, nil
	default:
		return whole, false, nil
	}
}

// object converts v, which is the value of whole.
func (w *converter) object(whole any, v map[string]any, depth int) (any, bool, error) {
	if own, ok := plainOf(v); ok {
		return own, true, nil
	}
	var out map[string]any
	for name, member := range v {
		w.left -= len(name)
		member, changed, err := w.value(member, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed {
			if out == nil {
				out = maps.Clone(v)
			}
			out[name] = member
		}
	}
	if out != nil {
		return out, true, nil
	}
	return whole, false, nil
}

// other converts gnata's own types to plain JSON.
func (w *converter) other(v any, depth int) (any, error) {
	if w.toGnata {
		return nil, errNotPlain
	}
	if v == gnataNull {
		return nil, nil
	}
	if o, ok := v.(interface{ ToMap() map[string]any }); ok {
		out, _, err := w.object(o.ToMap(), o.ToMap(), depth)
		return out, err
	}
	switch c := gnata.NormalizeValue(v).(type) { // of an unfinished sequence
	case nil, bool, string, json.Number, float64, []any, map[string]any:
		out, _, err := w.value(c, depth)
		return out, err
	default:
		return nil, errFunction
	}
}

func finite(n json.Number) error {
	if !strings.ContainsAny(string(n), "eE") && len(n) < 300 {
		return nil
	}
	if _, err := n.Float64(); err != nil {
		return errNotFinite
	}
	return nil
}
