package jsonata

import (
	"fmt"
	"reflect"
	"strings"
)

// builtin is a function in gnata's form. Its own type is not exported.
type builtin = func(args []any, focus any) (any, error)

// guard checks the arguments of gnata's functions that can write much more than they read.
type guard struct {
	builtin reflect.Type // gnata's own type of most functions
	limit   int          // bytes that a function may write, about
}

// check returns the arguments for the function called name, or why it is not called.
type check func(name string, args []any, focus any) ([]any, error)

func (g *guard) checks() map[string]check {
	return map[string]check{"string": g.written, "join": g.joined, "contains": g.pattern, "split": g.pattern, "replace": g.replaced}
}

// function returns f as a value of gnata's.
func (g *guard) function(f builtin) any { return reflect.ValueOf(f).Convert(g.builtin).Interface() }

// plainFunction returns v, a function of gnata's without an environment.
func plainFunction(v any) builtin {
	f, _ := reflect.TypeAssert[builtin](reflect.ValueOf(v).Convert(reflect.TypeFor[builtin]()))
	return f
}

// guarded returns v, gnata's function called name, with its arguments checked.
func (g *guard) guarded(name string, v any, check check) any {
	if reflect.TypeOf(v) == g.builtin {
		f := plainFunction(v)
		return g.function(func(args []any, focus any) (any, error) {
			args, err := check(name, args, focus)
			if err != nil {
				return nil, err
			}
			return f(args, focus)
		})
	}
	// A function that calls functions has gnata's environment as its last parameter.
	own := reflect.ValueOf(v)
	return reflect.MakeFunc(own.Type(), func(in []reflect.Value) []reflect.Value {
		args, _ := reflect.TypeAssert[[]any](in[0])
		args, err := check(name, args, nil)
		if err != nil {
			return []reflect.Value{reflect.Zero(own.Type().Out(0)), reflect.ValueOf(&err).Elem()}
		}
		in[0] = reflect.ValueOf(args)
		return own.Call(in)
	}).Interface()
}

func tooLarge(name string) error { return fmt.Errorf("$%s: %w", name, ErrTooLarge) }

// written checks $string.
func (g *guard) written(name string, args []any, focus any) ([]any, error) {
	v := focus
	if len(args) > 0 {
		v = args[0]
	}
	if left := g.limit; !fits(v, &left) {
		return nil, tooLarge(name)
	}
	return args, nil
}

// fits reports whether v, of gnata's types, is at most left bytes long, about. It reduces left.
func fits(v any, left *int) bool {
	*left -= 4
	switch v := v.(type) {
	case string:
		*left -= len(v)
	case []any:
		for _, item := range v {
			if !fits(item, left) {
				return false
			}
		}
	case map[string]any:
		for name, member := range v {
			if *left -= len(name); !fits(member, left) {
				return false
			}
		}
	case interface{ ToMap() map[string]any }:
		return fits(v.ToMap(), left)
	default:
		if items, ok := unfinished(v); ok {
			return fits(items, left)
		}
	}
	return *left >= 0
}

// unfinished returns the items of gnata's unfinished sequences.
func unfinished(v any) ([]any, bool) {
	pointer := reflect.ValueOf(v)
	if pointer.Kind() != reflect.Pointer || pointer.Elem().Kind() != reflect.Struct {
		return nil, false
	}
	values := pointer.Elem().FieldByName("Values")
	if !values.IsValid() {
		return nil, false
	}
	items, ok := reflect.TypeAssert[[]any](values)
	return items, ok
}

// joined checks $join.
func (g *guard) joined(name string, args []any, _ any) ([]any, error) {
	if len(args) == 0 {
		return args, nil
	}
	between := ""
	if len(args) > 1 {
		between, _ = args[1].(string)
	}
	list, isList := args[0].([]any)
	if !isList {
		list, _ = unfinished(args[0])
	}
	size := len(list) * len(between)
	for _, item := range list {
		text, _ := item.(string)
		size += len(text)
	}
	if size > g.limit {
		return nil, tooLarge(name)
	}
	return args, nil
}

// ownPrefix begins the names of variables that no expression of an author uses.
const ownPrefix = "·"

func isOwn(name string) bool { return strings.HasPrefix(name, ownPrefix) }
