package jsonata

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// gnata's regular expressions are objects with the member pattern: it takes any such object for
// one, compiles it without a limit and never forgets it. Therefore a regular expression is a
// function here, as in the reference implementation. It becomes gnata's object only as the
// argument of a function that expects one.

// patternName returns the name of the variable for the regular expression i of a source.
func patternName(i int) string { return ownPrefix + strconv.Itoa(i) }

// isPattern reports whether the literal is a regular expression that is not refused by gnata.
func isPattern(literal string) bool {
	end := strings.LastIndexByte(literal, '/')
	return end > 1 && strings.Trim(literal[end+1:], "im") == ""
}

// patterns returns the regular expressions of src by variable.
func patterns(src string) (map[string]builtin, error) {
	var out map[string]builtin
	for _, t := range lex(src) {
		if t.kind != tokenRegex || !isPattern(src[t.start:t.end]) {
			continue
		}
		re, err := regexp.Compile(regexpPattern(src[t.start:t.end]))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string]builtin{}
		}
		out[patternName(len(out))] = matcher(re)
	}
	return out, nil
}

// whichPattern is the argument for which a matcher returns its regular expression.
var whichPattern = new(struct{ _ byte })

// matcher returns the function of a regular expression: the first match in a text.
func matcher(re *regexp.Regexp) builtin {
	return func(args []any, _ any) (any, error) {
		if len(args) == 0 {
			return nil, nil
		}
		if args[0] == any(whichPattern) {
			return re, nil
		}
		s, _ := args[0].(string)
		found := matches(re, s, 1)
		if len(found) == 0 {
			return nil, nil
		}
		first, _ := found[0].(map[string]any)
		text, _ := first["match"].(string)
		start, _ := first["index"].(float64)
		return map[string]any{"match": text, "start": start, "end": start + float64(utf8.RuneCountInString(text)), "groups": first["groups"]}, nil
	}
}

// matches returns the first matches of re in s, all of them if limit is negative, as $match does.
func matches(re *regexp.Regexp, s string, limit int) []any {
	var out []any
	index, from := 0, 0 // of the last match, in characters and in bytes
	for _, at := range re.FindAllStringSubmatchIndex(s, limit) {
		groups := make([]any, 0, len(at)/2-1)
		for i := 2; i < len(at); i += 2 {
			groups = append(groups, s[max(at[i], 0):max(at[i+1], 0)])
		}
		index, from = index+utf8.RuneCountInString(s[from:at[0]]), at[0]
		out = append(out, map[string]any{"match": s[at[0]:at[1]], "index": float64(index), "groups": groups})
	}
	return out
}

// match is $match.
func (g *guard) match(args []any, focus any) (any, error) {
	if !accepts("sfn?", args) && accepts("fn?", args) {
		args = append([]any{focus}, args...)
	}
	args = slices.Concat(args, make([]any, 3))
	s, isText := args[0].(string)
	re := g.patternOf(args[1])
	limit, isNumber := number(args[2])
	switch {
	case args[0] == nil:
		return nil, nil
	case !isText, re == nil, args[2] != nil && !isNumber:
		return nil, errors.New("T0410: $match: an argument has the wrong type")
	case limit < 0:
		return nil, errors.New("D3040: $match: the limit is negative")
	case !isNumber:
		limit = -1
	}
	switch found := matches(re, s, int(limit)); len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	default:
		return found, nil
	}
}

// pattern checks $contains and $split: a regular expression is not made from data.
func (g *guard) pattern(name string, args []any, _ any) ([]any, error) {
	switch {
	case len(args) < 2:
		return args, nil
	case args[1] == nil && name == "contains":
		return nil, answer{}
	}
	if _, isObject := args[1].(map[string]any); isObject {
		return nil, fmt.Errorf("T0410: $%s: an argument has the wrong type", name)
	}
	if re := g.patternOf(args[1]); re != nil {
		args[1] = map[string]any{"pattern": re.String()}
	}
	return args, nil
}

// replaced checks $replace. A function replaces only what a regular expression matches.
func (g *guard) replaced(name string, args []any, focus any) ([]any, error) {
	if len(args) < 3 {
		return args, nil
	}
	s, _ := args[0].(string)
	text, isText := args[2].(string)
	re := g.patternOf(args[1])
	old, _ := args[1].(string)
	switch {
	case re == nil && !isText:
		return nil, fmt.Errorf("T0410: $%s: an argument has the wrong type", name)
	case len(s)*len(text) <= g.limit:
	case re != nil:
		if len(re.FindAllStringIndex(s, -1))*len(text)+len(s)*strings.Count(text, "$") > g.limit {
			return nil, tooLarge(name)
		}
	case strings.Count(s, old)*len(text) > g.limit:
		return nil, tooLarge(name)
	}
	return g.pattern(name, args, focus)
}

// patternOf returns the regular expression that v is; nil if it is none.
func (g *guard) patternOf(v any) *regexp.Regexp {
	if reflect.TypeOf(v) != g.builtin {
		return nil
	}
	found, _ := plainFunction(v)([]any{whichPattern}, nil)
	re, _ := found.(*regexp.Regexp)
	return re
}
