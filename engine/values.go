package engine

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// maxValueDepth is how deep a value that enters or leaves an expression may be nested.
const maxValueDepth = 1000

var (
	errTooDeep    = fmt.Errorf("nested deeper than %d levels", maxValueDepth)
	errTooLarge   = errors.New("larger than the limit")
	errFunction   = errors.New("a function is no value")
	errNotFinite  = errors.New("a number is not finite")
	errNotPlain   = errors.New("not plain JSON")
	jsonNullValue = jsonNull{}
)

// jsonNull is the null that a library function returns; its nil is undefined.
type jsonNull struct{}

// walk takes values over the border of an expression. It changes nothing in place: it
// copies what holds something to replace and shares the rest.
type walk struct {
	inward bool // plain JSON to gnata's, which has a null of its own
	left   int  // bytes that may still come, about
}

// withNulls gives plain JSON as gnata wants it.
func withNulls(v any) (any, error) {
	w := walk{inward: true, left: math.MaxInt}
	v, _, err := w.value(v, 0)
	return v, err
}

func (w *walk) value(v any, depth int) (out any, changed bool, err error) {
	if err := w.spend(8); err != nil {
		return nil, false, err
	}
	if depth > maxValueDepth {
		return nil, false, errTooDeep
	}
	switch v := v.(type) {
	case nil:
		if w.inward {
			return gnataNull, true, nil
		}
		return nil, false, nil
	case bool:
		return v, false, nil
	case string:
		return v, false, w.spend(len(v))
	case json.Number:
		return v, false, cmp.Or(w.spend(len(v)), finite(v))
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, false, errNotFinite
		}
		if v == 0 { // JSON has no use for -0
			return 0.0, math.Signbit(v), nil
		}
		return v, false, nil
	case []any:
		return w.list(v, depth)
	case map[string]any:
		return w.object(v, depth)
	default:
		out, err = w.other(v, depth)
		return out, true, err
	}
}

func (w *walk) spend(bytes int) error {
	if w.left -= bytes; w.left < 0 {
		return errTooLarge
	}
	return nil
}

func (w *walk) list(v []any, depth int) (any, bool, error) {
	out := v
	for i, item := range v {
		item, changed, err := w.value(item, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed {
			if &out[0] == &v[0] {
				out = slices.Clone(v)
			}
			out[i] = item
		}
	}
	if out == nil {
		return []any{}, true, nil
	}
	return out, len(v) > 0 && &out[0] != &v[0], nil
}

func (w *walk) object(v map[string]any, depth int) (any, bool, error) {
	out, copied := v, false
	for name, member := range v {
		w.left -= len(name)
		member, changed, err := w.value(member, depth+1)
		if err != nil {
			return nil, false, err
		}
		if changed {
			if !copied {
				out, copied = maps.Clone(v), true
			}
			out[name] = member
		}
	}
	return out, copied, nil
}

// other is what is no plain JSON: an account's context on the way in, gnata's own types on
// the way out.
func (w *walk) other(v any, depth int) (any, error) {
	if w.inward {
		if c, ok := v.(Context); ok {
			out, _, err := w.object(c, depth)
			return out, err
		}
		return nil, errNotPlain
	}
	if v == gnataNull {
		return nil, nil
	}
	if o, ok := v.(interface{ ToMap() map[string]any }); ok {
		out, _, err := w.object(o.ToMap(), depth)
		return out, err
	}
	switch c := collapse(v).(type) {
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
