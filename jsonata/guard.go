package jsonata

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"portolan/plain"
)

// builtin is a function in gnata's form. Its own type is not exported.
type builtin = func(args []any, focus any) (any, error)

// guard checks the arguments of gnata's functions that can write much more than they read.
type guard struct {
	builtin reflect.Type // gnata's own type of most functions
	limit   int          // bytes that a function may write, about
	now     func() time.Time
}

// check returns the arguments for the function called name, or why it is not called, which may be
// its answer.
type check func(name string, args []any, focus any) ([]any, error)

// answer is the result of a function that need not be called.
type answer struct{ value any }

func (answer) Error() string { return "answered" }

// checks are those of functions that write much, and those in which gnata differs from the reference
// implementation.
func (g *guard) checks() map[string]check {
	out := map[string]check{
		"string": g.written, "join": g.joined, "contains": g.pattern, "split": g.pattern, "replace": g.replaced,
		"toMillis": g.moment, "decodeUrl": decodable, "number": numeral, "sort": single, "formatBase": basic,
	}
	for name, parameters := range signatures {
		out[name] = inContext(parameters, out[name])
	}
	return out
}

// signatures are the types of the parameters of functions whose first argument is the context if it
// is missing: text, number, object, function or text, any. Those before ? are optional.
var signatures = map[string]string{
	"substring": "snn?", "substringBefore": "ss", "substringAfter": "ss", "length": "s", "trim": "s", "pad": "sns?", "contains": "sf", "split": "sfn?",
	"replace": "sffn?", "encodeUrl": "s", "encodeUrlComponent": "s", "decodeUrl": "s", "decodeUrlComponent": "s", "number": "x", "parseInteger": "ss",
	"abs": "n", "floor": "n", "ceil": "n", "round": "nn?", "sqrt": "n", "power": "nn", "formatNumber": "nso?", "formatBase": "nn?",
	"formatInteger": "ns", "fromMillis": "ns?s?", "toMillis": "ss?", "boolean": "x", "not": "x", "keys": "x", "lookup": "xs", "spread": "x",
}

// inContext returns a check that adds the context before next, which may be nil.
func inContext(parameters string, next check) check {
	return func(name string, args []any, focus any) ([]any, error) {
		if !accepts(parameters, args) && accepts(parameters[1:], args) && accepts(parameters[:1], []any{focus}) {
			args = append([]any{focus}, args...)
		}
		if next == nil {
			return args, nil
		}
		return next(name, args, focus)
	}
}

// accepts reports whether args are those of a function with the parameters. Nothing is of each type.
func accepts(parameters string, args []any) bool {
	for i := 0; i < len(parameters); i++ {
		optional := i+1 < len(parameters) && parameters[i+1] == '?'
		if len(args) > 0 && isOf(parameters[i], args[0]) {
			args = args[1:]
		} else if !optional {
			return false
		}
		if optional {
			i++
		}
	}
	return len(args) == 0
}

func isOf(parameter byte, v any) bool {
	_, isText := v.(string)
	_, isNumber := number(v)
	switch parameter {
	case 's':
		return isText || v == nil
	case 'n':
		return isNumber || v == nil
	case 'f':
		return isText || v == nil || reflect.TypeOf(v).Kind() == reflect.Func
	case 'o':
		_, members := membersOf(v)
		return members != nil || v == nil
	default:
		return true
	}
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
			if answered, ok := err.(answer); ok { //nolint:errorlint // it is not wrapped
				return answered.value, nil
			}
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
		args, err := check(name, args, in[1].Interface())
		if err != nil {
			var value any
			if answered, ok := err.(answer); ok { //nolint:errorlint // it is not wrapped
				value, err = answered.value, nil
			}
			return []reflect.Value{reflect.ValueOf(&value).Elem(), reflect.ValueOf(&err).Elem()}
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
	left := g.limit
	if own := false; !fits(v, &left, &own) {
		return nil, tooLarge(name)
	} else if own {
		w := converter{left: g.limit}
		plainValue, _, err := w.value(v, 0)
		if err != nil {
			return nil, &functionError{name, err.Error()}
		}
		written, err := plain.Append(nil, plainValue)
		if err != nil {
			return nil, &functionError{name, err.Error()}
		}
		return nil, answer{string(written)}
	}
	return args, nil
}

// fits reports whether v, of gnata's types, is at most left bytes long, about. It reduces left, and sets
// own if there is an object with functions in v.
func fits(v any, left *int, own *bool) bool {
	*left -= 4
	switch v := v.(type) {
	case string:
		*left -= len(v)
	case []any:
		for _, item := range v {
			if !fits(item, left, own) {
				return false
			}
		}
	case map[string]any:
		if _, ok := plainOf(v); ok {
			*own = true
			return true
		}
		for name, member := range v {
			if *left -= len(name); !fits(member, left, own) {
				return false
			}
		}
	case interface{ ToMap() map[string]any }:
		return fits(v.ToMap(), left, own)
	default:
		if items, ok := unfinished(v); ok {
			return fits(items, left, own)
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

// single checks $sort, for which a single value is an array of one.
func single(_ string, args []any, _ any) ([]any, error) {
	if len(args) > 0 && args[0] != nil {
		_, isSequence := unfinished(args[0])
		if list := items(args[0]); !isSequence && len(list) == 1 {
			return nil, answer{list}
		}
	}
	return args, nil
}

func basic(_ string, args []any, _ any) ([]any, error) {
	if len(args) > 0 && args[0] == nil {
		return nil, answer{}
	}
	return args, nil
}

// numeral checks $number: a text with spaces around it is not a number.
func numeral(name string, args []any, _ any) ([]any, error) {
	if len(args) == 0 {
		return args, nil
	}
	if s, isText := args[0].(string); isText && strings.TrimSpace(s) != s {
		return nil, fmt.Errorf("D3030: $%s: the text is not a number", name)
	}
	return args, nil
}

var reserved = regexp.MustCompile(`(?i)%(2[346BCF]|3[ABDF]|40)`)

// decodable checks $decodeUrl, which keeps the escapes of characters that have a meaning in a URL.
func decodable(_ string, args []any, _ any) ([]any, error) {
	if len(args) > 0 {
		if s, isText := args[0].(string); isText {
			args[0] = reserved.ReplaceAllString(s, "%25$1")
		}
	}
	return args, nil
}

var (
	component = regexp.MustCompile(`\[\[|\[\s*([A-Za-z])[^\]]*\]`)
	yearMonth = regexp.MustCompile(`^\d{4}-\d{2}$`)
)

// moment checks $toMillis. What a picture lacks before its first part is taken from the engine's
// clock; gnata would read the machine's. A part that is missing between others is an error.
func (g *guard) moment(name string, args []any, _ any) ([]any, error) {
	args = append(args, nil, nil)[:max(len(args), 2)]
	s, _ := args[0].(string)
	picture, isText := args[1].(string)
	if !isText {
		if yearMonth.MatchString(s) {
			args[0] = s + "-01"
		}
		return args, nil
	}
	has := map[string]bool{}
	for _, m := range component.FindAllStringSubmatch(picture, -1) {
		has[m[1]] = true
	}
	parts := "YMDHmsf"
	if has["d"] {
		parts = "YdHmsf"
	}
	if has["h"] || has["P"] {
		parts = strings.Replace(parts, "H", "Ph", 1)
	}
	now := g.now().UTC()
	begun, ended := false, false
	var pictures, texts strings.Builder
	for part := range strings.SplitSeq(parts, "") {
		switch {
		case has[part] && ended:
			return nil, fmt.Errorf("D3136: $%s: a part of the picture is missing", name)
		case has[part]:
			begun = true
		case begun:
			ended = true
		default:
			layout := map[string][2]string{
				"Y": {"[Y0001]", "2006"}, "M": {"[M01]", "01"}, "D": {"[D01]", "02"}, "d": {"[d001]", "002"}, "H": {"[H01]", "15"},
				"P": {"[P]", "pm"}, "h": {"[h01]", "03"}, "m": {"[m01]", "04"}, "s": {"[s01]", "05"}, "f": {"[f001]", ".000"},
			}[part]
			pictures.WriteString(layout[0] + " ")
			texts.WriteString(strings.TrimPrefix(now.Format(layout[1]), ".") + " ")
		}
	}
	args[0], args[1] = texts.String()+s, pictures.String()+picture
	return args, nil
}

// members is the wildcard *: the members of an object or items of an array. Arrays in them are
// replaced by their items.
func (g *guard) members(args []any, _ any) (any, error) { return g.collect(args[0], false) }

// descendants is **: all values in a value, and itself.
func (g *guard) descendants(args []any, _ any) (any, error) { return g.collect(args[0], true) }

func (g *guard) collect(v any, deep bool) (any, error) {
	var out []any
	left := g.limit
	var add func(v any, inner bool) bool
	add = func(v any, inner bool) bool {
		if list, isSequence := unfinished(v); isSequence {
			v = list
		}
		if list, isList := v.([]any); isList {
			for _, item := range list {
				if !add(item, true) {
					return false
				}
			}
			return true
		}
		if inner {
			out = append(out, v)
		}
		if left -= 16; left < 0 {
			return false
		}
		if inner && !deep {
			return true
		}
		names, at := membersOf(v)
		for _, name := range names {
			if !add(at[name], true) {
				return false
			}
		}
		return true
	}
	switch {
	case !add(v, deep):
		return nil, ErrTooLarge
	case len(out) == 0:
		return nil, nil
	case len(out) == 1:
		return out[0], nil
	default:
		return out, nil
	}
}

// membersOf returns the members of an object and the order of their names.
func membersOf(v any) ([]string, map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		return slices.Sorted(maps.Keys(v)), v
	case interface {
		Keys() []string
		ToMap() map[string]any
	}:
		return v.Keys(), v.ToMap()
	default:
		return nil, nil
	}
}
