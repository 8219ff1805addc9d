package jsonata

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"portolan/plain"
)

// direct evaluates an expression over plain JSON, without gnata and its own kinds of values. It
// knows the parts of the language that most mappings are written in. Whenever a result could
// differ from gnata's, it reports a doubt and gnata evaluates the whole expression. It is
// immutable and safe for concurrent use.
type direct struct {
	eval evaluator
}

// evaluator evaluates a part of an expression in the context in, plain JSON or the bindings' scope.
// Its result is plain JSON or undefined, and meaningless after a doubt.
type evaluator func(r *directRun, in any) any

// undefined is the result of an expression without one; null is nil.
var undefined any = undefinedValue{}

type undefinedValue struct{}

const (
	directSteps     = 10_000 // after so many it is gnata's turn, which checks the deadline
	directVariables = 4
)

// directRun is one evaluation.
type directRun struct {
	variables [directVariables]any
	left      int // steps
	doubt     bool
}

// run evaluates the expression. certain is false after a doubt.
func (d *direct) run(bindings Bindings) (value any, present, certain bool) {
	r := &directRun{left: directSteps}
	value = d.eval(r, bindings.bindingScope)
	switch {
	case r.doubt:
		return nil, false, false
	case value == undefined:
		return nil, false, true
	default:
		return value, true, true
	}
}

// unsure notes a doubt.
func (r *directRun) unsure() any {
	r.doubt = true
	return undefined
}

// spend takes steps from those that are left. It reports whether the evaluation goes on.
func (r *directRun) spend(steps int) bool {
	if r.left -= steps; r.left < 0 {
		r.doubt = true
	}
	return !r.doubt
}

// member returns the member called name of an object, or those of an array's objects.
func (r *directRun) member(in any, name string) any {
	if !r.spend(1) {
		return undefined
	}
	switch v := in.(type) {
	case *bindingScope:
		if m, ok := v.lookUp(name); ok {
			return m
		}
	case map[string]any:
		if m, ok := v[name]; ok {
			return m
		}
	case []any:
		var out []any
		found := false
		for _, item := range v {
			if m := r.member(item, name); m != undefined {
				found = true
				out = r.spread(out, m)
			}
		}
		if found && len(out) == 0 {
			return []any{}
		}
		return sequence(out)
	}
	return undefined
}

// spread appends v to list, or its items if it is an array.
func (r *directRun) spread(list []any, v any) []any {
	items, ok := v.([]any)
	if !ok {
		return append(list, v)
	}
	if !r.spend(len(items)) {
		return list
	}
	return append(list, items...)
}

// sequence returns the value of a sequence: nothing, the only item, or all of them.
func sequence(items []any) any {
	switch len(items) {
	case 0:
		return undefined
	case 1:
		return items[0]
	default:
		return items
	}
}

// number returns v as a number; false if it is not one.
func (r *directRun) number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			r.unsure()
		}
		return f, true
	}
	return 0, false
}

func (r *directRun) truthy(v any) bool {
	switch v := v.(type) {
	case undefinedValue:
		return false
	case json.Number:
		f, _ := r.number(v)
		return f != 0
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return r.spend(1) && r.truthy(item) })
	default:
		return plain.Truthy(v)
	}
}

// equal compares two values of which a is not an array or object.
func (r *directRun) equal(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case nil:
		return b == nil
	case float64, json.Number:
		x, _ := r.number(a)
		y, ok := r.number(b)
		return ok && x == y
	}
	r.unsure()
	return false
}

// in reports whether an item of list, or list itself, equals v.
func (r *directRun) in(v, list any) bool {
	if v == undefined || list == undefined {
		return false
	}
	items, ok := list.([]any)
	if !ok {
		return r.equal(v, list)
	}
	return slices.ContainsFunc(items, func(item any) bool { return r.spend(1) && r.equal(v, item) })
}

// compare applies <, <=, > or >=.
func (r *directRun) compare(op string, a, b any) any {
	if x, ok := r.number(a); ok {
		if y, ok := r.number(b); ok {
			return ordered(op, x, y)
		}
	}
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return ordered(op, x, y)
		}
	}
	if a == undefined {
		return undefined
	}
	return r.unsure()
}

func ordered[T float64 | string](op string, a, b T) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}

// text returns v as $string and & do.
func (r *directRun) text(v any) string {
	switch v := v.(type) {
	case undefinedValue:
		return ""
	case string:
		r.spend(len(v) / bytesAStep)
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if !strings.ContainsAny(string(v), "eE") {
			return string(v)
		}
	}
	r.unsure()
	return ""
}

// bytesAStep is how many bytes of a text cost a step.
const bytesAStep = 64

// join returns an array's texts as one text.
func (r *directRun) join(list, separator any) any {
	if _, isText := list.(string); isText || list == undefined {
		return list
	}
	between, ok := separator.(string)
	if separator != undefined && !ok {
		return r.unsure()
	}
	items, ok := list.([]any)
	if !ok {
		return r.unsure()
	}
	var out strings.Builder
	for i, item := range items {
		text, ok := item.(string)
		if !ok || !r.spend(1+(len(text)+len(between))/bytesAStep) {
			return r.unsure()
		}
		if i > 0 {
			out.WriteString(between)
		}
		out.WriteString(text)
	}
	return out.String()
}

// trim removes white space around a text, and all but one between its words.
func (r *directRun) trim(v any) any {
	if v == undefined {
		return undefined
	}
	text, ok := v.(string)
	if !ok || !r.spend(len(text)/bytesAStep) {
		return r.unsure()
	}
	for at, b := range []byte(text) {
		if b >= 0x80 || b < ' ' || b == ' ' && (at == 0 || at == len(text)-1 || text[at-1] == ' ') {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return v
}
