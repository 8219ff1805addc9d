// Package jsonata is the expression language of mappings: JSONata with Portolan's own functions,
// an injected clock and random source, limits on time and size, and errors with their place in
// the file. Only this package imports gnata, the expression library.
package jsonata

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/recolabs/gnata"

	"portolan/source"
)

// Limits bound what one evaluation may cost. The zero value of a field takes its default.
type Limits struct {
	EvalTimeout time.Duration // of one evaluation; default 100 ms
	ResultBytes int           // size of a result, about; default 10 MiB
	SourceBytes int           // length of one expression; default 64 KiB
	Values      int           // number of values in a result or a provider's answer; default DefaultValues

	Clock func() time.Time // a running clock for EvalTimeout, safe for concurrent use; default time.Now
}

// DefaultValues is the default of Limits.Values. So many small objects take up to 0.25 GiB.
const DefaultValues = 1_000_000

// Language is JSONata with Portolan's function library, a clock, a random source and limits.
// It is immutable and safe for concurrent use.
type Language struct {
	limits    Limits
	library   map[string]function
	functions []string // every $name that an expression may call, sorted
	program   func(x *gnata.Expression, patterns map[string]builtin) program
	worker    Worker // evaluates the expressions of overrides; nil: they are evaluated here
}

// program is an expression that gnata compiled. bindings are of gnata's types.
type program func(ctx context.Context, bindings any) (any, error)

// refusedFunctions are not deterministic or run text as code.
var refusedFunctions = []string{"eval", "random", "shuffle"}

// NewLanguage builds the language. now feeds $now and $millis, random feeds $uuid; both
// must be safe for concurrent use.
func NewLanguage(now func() time.Time, random io.Reader, limits Limits) *Language {
	if limits.EvalTimeout == 0 {
		limits.EvalTimeout = 100 * time.Millisecond
	}
	if limits.ResultBytes == 0 {
		limits.ResultBytes = 10 << 20
	}
	if limits.SourceBytes == 0 {
		limits.SourceBytes = 64 << 10
	}
	if limits.Clock == nil {
		limits.Clock = time.Now //nolint:forbidigo // no result depends on it
	}
	limits.Values = cmp.Or(limits.Values, DefaultValues)
	l := &Language{limits: limits, library: library(now, random)}
	env := gnata.NewCustomEnv(nil)
	plainest, _ := env.LookupDirect("string")
	g := &guard{builtin: reflect.TypeOf(plainest), limit: limits.ResultBytes, now: now}
	for name, check := range g.checks() {
		own, _ := env.LookupDirect(name)
		env.Bind(name, g.guarded(name, own, check))
	}
	for name, f := range map[string]builtin{"match": g.match, ownPrefix + "members": g.members, ownPrefix + "descendants": g.descendants} {
		env.Bind(name, g.function(f))
	}
	for name, f := range l.library {
		env.Bind(name, g.function(l.customFunc(name, f)))
	}
	for name, f := range g.objects() {
		env.Bind(name, g.function(f))
	}
	for _, name := range []string{"base64encode", "base64decode"} {
		own, _ := env.LookupDirect(name)
		env.Bind(name, g.guarded(name, own, inContext("s", nil)))
	}
	// Functions that call functions or built-ins are written in JSONata.
	for name, src := range libraryInJSONata {
		x, err := gnata.Compile(src)
		if err != nil {
			panic(err) // our own text, compiled by every test
		}
		f, err := x.EvalWithCustomFuncs(context.Background(), nil, env)
		if err != nil {
			panic(err)
		}
		env.Bind(name, f)
	}
	env.Range(func(name string, _ any) {
		if !slices.Contains(refusedFunctions, name) && !isOwn(name) {
			l.functions = append(l.functions, name)
		}
	})
	slices.Sort(l.functions)
	l.program = func(x *gnata.Expression, patterns map[string]builtin) program {
		env := env
		if len(patterns) > 0 {
			env = env.Clone()
		}
		for name, p := range patterns {
			env.Bind(name, g.function(p))
		}
		return func(ctx context.Context, bindings any) (any, error) { return x.EvalWithCustomFuncs(ctx, bindings, env) }
	}
	return l
}

// customFunc returns f for gnata.
func (l *Language) customFunc(name string, f function) builtin {
	return func(args []any, _ any) (any, error) {
		if len(args) < f.min || len(args) > f.max {
			return nil, &functionError{name, "wrong number of arguments"}
		}
		plainArgs := make([]any, len(args))
		w := converter{left: l.limits.ResultBytes, values: l.limits.Values}
		for i, arg := range args {
			v, _, err := w.value(arg, 0)
			if err != nil {
				return nil, &functionError{name, err.Error()}
			}
			if plainArgs[i] = v; arg == gnataNull && slices.Contains(nullFunctions, name) {
				plainArgs[i] = jsonNullValue
			}
		}
		v, err := f.call(plainArgs)
		if err != nil {
			return nil, &functionError{name, err.Error()}
		}
		switch v.(type) {
		case nil:
			return nil, nil // undefined
		case jsonNull:
			return gnataNull, nil
		}
		return withNulls(v)
	}
}

// EvalTimeout returns the limit of one evaluation.
func (l *Language) EvalTimeout() time.Duration { return l.limits.EvalTimeout }

// MaxValues returns the largest number of values in a result or a provider's answer.
func (l *Language) MaxValues() int { return l.limits.Values }

// SyntaxError is the error of an expression that does not compile.
type SyntaxError struct {
	Offset  int // of the byte in the source
	Message string
	Code    string // of the Diagnostic
}

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Message }

// Expr is a compiled expression. It is immutable and safe for concurrent use.
type Expr struct {
	Source string
	node   *source.Node // for places; nil: it is not from a file
	broken bool         // it does not compile; its result is undefined
	meter  bool         // of an override: its memory is bounded, and a worker evaluates it if there is one
	lang   *Language
	prog   program // nil: only a worker compiles it
	direct *direct // nil: only gnata evaluates it

	regexps int // size of its regular expressions, in instructions
}

// Compile compiles src. The error is a *SyntaxError.
func (l *Language) Compile(src string) (*Expr, error) {
	if len(src) > l.limits.SourceBytes {
		return nil, &SyntaxError{Message: fmt.Sprintf("expression is longer than %d bytes", l.limits.SourceBytes), Code: "E020-bad-expression"}
	}
	if !utf8.ValidString(src) {
		return nil, &SyntaxError{Message: "the expression is not valid UTF-8", Code: "E020-bad-expression"}
	}
	prog, err := gnataCompile(src)
	if err != nil {
		return nil, locate(src, err, func(prefix string) error { _, err := gnataCompile(prefix); return err })
	}
	if err := checkMeaning(src); err != nil {
		return nil, err
	}
	size, err := checkRegexps(src)
	if err != nil {
		return nil, err
	}
	patterns, err := patterns(src)
	if err != nil {
		return nil, &SyntaxError{Code: "E020-bad-expression", Message: err.Error()} // cannot happen: they were parsed
	}
	return &Expr{Source: src, lang: l, prog: l.program(prog, patterns), direct: compileDirect(src, l.library), regexps: size}, nil
}

func gnataCompile(src string) (_ *gnata.Expression, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("JSONata error S0500: compiler failure")
		}
	}()
	return gnata.Compile(rewriteForCompiler(src))
}

// Eval is EvalBindings for a single evaluation. bindings are plain JSON and only read.
func (x *Expr) Eval(ctx context.Context, bindings map[string]any) (value any, present bool, err error) {
	return x.EvalBindings(ctx, NewBindings(bindings))
}

// EvalBindings evaluates the expression over bindings. The value is plain JSON: nil, bool, string,
// finite float64, json.Number, []any, map[string]any. It may share parts with bindings. present is
// false if the result is undefined; null is present and nil. Any other result is an error. Errors
// contain no data. An evaluation that takes too long is context.DeadlineExceeded.
func (x *Expr) EvalBindings(ctx context.Context, bindings Bindings) (value any, present bool, err error) {
	if x.meter && !x.broken && x.lang.worker != nil {
		return x.evalInWorker(ctx, bindings.all(ctx))
	}
	if x.direct != nil && !x.meter {
		if value, present, certain := x.direct.run(bindings); certain {
			return x.result(ctx, value, present)
		}
	}
	if !hasDeadline(ctx) {
		var cancel context.CancelFunc
		ctx, cancel = x.lang.WithDeadline(ctx)
		defer cancel()
	}
	values, err := bindings.forGnata(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if recover() != nil {
			value, present, err = nil, false, errInternal
		}
	}()
	metered := ctx
	if x.meter {
		metered = withMemoryMeter(ctx)
	}
	v, err := x.prog(metered, values)
	switch {
	case err != nil && errors.Is(metered.Err(), ErrMemory):
		return nil, false, ErrMemory
	case err != nil && ctx.Err() != nil:
		return nil, false, causeOf(ctx)
	case err != nil:
		return nil, false, x.redactError(err)
	}
	return x.result(ctx, v, v != nil)
}

// result returns an evaluation's value as plain JSON within the limits.
func (x *Expr) result(ctx context.Context, value any, present bool) (any, bool, error) {
	if !present {
		return nil, false, nil
	}
	w := converter{ctx: ctx, left: x.lang.limits.ResultBytes, values: x.lang.limits.Values}
	value, _, err := w.value(value, 0)
	if err != nil {
		return nil, false, fmt.Errorf("result: %w", err)
	}
	return value, true, nil
}

var (
	errInternal   = errors.New("internal error of the expression library")
	gnataError    = regexp.MustCompile(`^([A-Z]\d{4})(?:: (?:(\$[A-Za-z0-9]+): )?(.*))?$`)
	gnataMessages = map[string]string{
		"D1001": "number out of range", "D1002": "the operand of - is not a number", "D1004": "the regular expression matches the empty text",
		"D1009": "two keys of an object are the same", "D2014": "the range is too large", "D3001": "number out of range",
		"D3010": "an argument is too large or empty", "D3012": "the replacement is not a text", "D3030": "the text is not a number",
		"D3050": "the function needs two parameters", "D3060": "the root of a negative number", "D3061": "number out of range",
		"D3070": "the items to sort are neither all texts nor all numbers", "D3110": "the text is not a date and time",
		"D3138": "more than one item matches", "D3139": "no item matches", "D3141": "an assertion failed",
		"S0217": "% has no parent here", "T0410": "an argument has the wrong type", "T0411": "the context has the wrong type",
		"T0412": "the items of an argument have the wrong type", "T1003": "a key of an object is not a text",
		"T1005": "a function is called without its $", "T1006": "a value that is not a function is called", "T1007": "a value that is not a function is applied",
		"T1008": "a value that is not a function is applied", "T2001": "the left side of an operator is not a number",
		"T2002": "the right side of an operator is not a number", "T2003": "the start of a range is not a whole number",
		"T2004": "the end of a range is not a whole number", "T2006": "the right side of ~> is not a function",
		"T2007": "texts and numbers cannot be sorted together", "T2008": "only texts and numbers can be sorted",
		"T2009": "texts and numbers cannot be compared", "T2010": "only texts and numbers can be compared",
		"T2011": "the update of a transform is not an object", "T2012": "the deletion of a transform is not an array of texts",
	}
)

// Costly reports whether err means that an expression takes too much time, memory or depth, or
// that no worker could evaluate it.
func Costly(err error) bool {
	return slices.ContainsFunc([]error{context.DeadlineExceeded, ErrMemory, ErrNoWorker, ErrTooLarge, ErrTooDeep, ErrRecursion},
		func(bad error) bool { return errors.Is(err, bad) })
}

// redactError replaces gnata's message, which may contain data. A text of $error or $assert that
// is a literal of the expression is kept.
func (x *Expr) redactError(err error) error {
	if own, ok := errors.AsType[*functionError](err); ok {
		return own
	}
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	if _, ok := errors.AsType[runtime.Error](err); ok {
		return errInternal
	}
	m := gnataError.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return errInternal
	case m[1] == "U1001":
		return ErrRecursion
	}
	code, name, text := m[1], m[2], gnataMessages[m[1]]
	if (code == "D3137" || code == "D3141") && x.hasLiteral(strings.TrimPrefix(err.Error(), code+": ")) {
		return fmt.Errorf("%s: %s", code, strings.TrimPrefix(err.Error(), code+": "))
	}
	if !slices.Contains(x.lang.functions, strings.TrimPrefix(name, "$")) {
		name = ""
	}
	switch {
	case text == "" && name == "":
		return errors.New(code)
	case text == "":
		return fmt.Errorf("%s: %s failed", code, name)
	case name == "":
		return fmt.Errorf("%s: %s", code, text)
	default:
		return fmt.Errorf("%s: %s: %s", code, name, text)
	}
}

// hasLiteral reports whether text is a string literal of the expression.
func (x *Expr) hasLiteral(text string) bool {
	return slices.ContainsFunc(lex(x.Source), func(t token) bool {
		return t.kind == tokenString && t.text(x.Source) == text
	})
}

// gnataNull is gnata's null; its nil is JSONata's undefined.
var gnataNull = func() any {
	v, err := gnata.DecodeJSON(json.RawMessage("null"))
	if err != nil {
		panic(err)
	}
	return v
}()
