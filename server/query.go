package server

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan/engine"
	"portolan/gateway"
)

// Limits of a query. A query over a limit is refused, not cut.
const (
	maxQueryPairs = 1000
	maxQueryDepth = 5 // brackets after a name
	maxQueryIndex = 20
)

const remoteQuery = "remote_query"

// query is a decoded query string.
type query struct {
	// values nests string, []any and map[string]any as npm qs 6.13 does by default.
	values map[string]any
	// remote is remote_query pair by pair, in the order sent and with the brackets sent:
	// remote_query[filter][a]=1 is {"filter[a]", "1"}.
	remote []engine.Param
}

// decodeQuery reads a query string without its "?".
//
// The result is that of npm qs 6.13. What qs would cut, drop or guess is a failure: a limit, an
// invalid escape, invalid UTF-8, text next to brackets, a name used as a value and as an
// object, and names such as __proto__. The differences: names such as toString, which qs drops, are
// ordinary names; the limit of pairs does not count empty parts between two "&"; and the values of
// a and [a] are merged in the order sent, even if a is a number.
// A query with failures must not be used.
func decodeQuery(raw string) (query, []gateway.Failure) {
	if values, ok := flatQuery(raw); ok {
		return query{values: values}, nil
	}
	return nestedQuery(raw)
}

// nestedQuery is decodeQuery for any query.
func nestedQuery(raw string) (query, []gateway.Failure) {
	pairs, failures := splitQuery(raw)
	q := query{values: map[string]any{}}
	var use usage
	for _, p := range merged(pairs) {
		if use.mark(p.path) || !nest(q.values, p) {
			failures = append(failures, gateway.QueryFailuref(p.name, gateway.CodeType, "is used as a value and as an object"))
		}
	}
	for name, v := range q.values {
		q.values[name] = compact(v)
	}
	for _, p := range pairs {
		if p.path[0].name != remoteQuery || p.name == remoteQuery && p.values[0] == "" { // sent empty, it is absent
			continue
		}
		if len(p.path) < 2 || p.path[1].list() {
			failures = append(failures, gateway.QueryFailuref(p.name, gateway.CodeType, "must name a parameter of the provider: remote_query[name]=value"))
			continue
		}
		name := p.path[1].name + p.name[p.path[1].end:]
		q.remote = append(q.remote, engine.Param{Name: name, Value: p.values[0]})
	}
	return q, failures
}

// flatQuery reads a query of a few names, each with one value, without brackets and escapes, as
// most are.
func flatQuery(raw string) (map[string]any, bool) {
	const few = 20
	separators := strings.Count(raw, "&")
	if strings.Contains(raw, remoteQuery) || separators >= few {
		return nil, false
	}
	for i := range len(raw) {
		if c := raw[i]; c == '%' || c == '+' || c == '[' || c == ']' || c >= utf8.RuneSelf {
			return nil, false
		}
	}
	values := make(map[string]any, separators+1)
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if _, twice := values[name]; twice || isReserved(name) {
			return nil, false
		}
		if name != "" {
			values[name] = value
		}
	}
	return values, true
}

// isReserved reports whether a query must not contain name, which JavaScript gives a meaning.
func isReserved(name string) bool {
	return name == "__proto__" || name == "constructor" || name == "prototype"
}

// pair is one name of a query and its values.
type pair struct {
	name   string // decoded
	path   []segment
	values []string
}

// segment is one step of a name: "a", "[b]", "[0]" or "[]".
type segment struct {
	name  string // without its brackets
	index int    // of a list entry; or appended or named
	end   int    // its end in the whole name
}

const (
	named    = -1 // a name
	appended = -2 // "[]"
)

// list reports whether the segment is an entry of a list.
func (s segment) list() bool { return s.index != named }

var (
	bracketed      = regexp.MustCompile(`\[[^\[\]]*\]`)
	wholeNumber    = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	decodeBrackets = strings.NewReplacer("%5B", "[", "%5b", "[", "%5D", "]", "%5d", "]")
)

// splitQuery returns the pairs in their order, each with one value.
func splitQuery(raw string) ([]pair, []gateway.Failure) {
	var (
		pairs    []pair
		failures []gateway.Failure
		count    int
	)
	for part := range strings.SplitSeq(decodeBrackets.Replace(raw), "&") {
		if part == "" {
			continue
		}
		if count++; count > maxQueryPairs {
			return pairs, append(failures, gateway.Failuref("?", gateway.CodeLimit, "the query has more than %d parameters", maxQueryPairs))
		}
		name, value := cutPair(part)
		p, failure := readPair(name, value)
		switch {
		case failure != nil:
			failures = append(failures, *failure)
		case p.name != "": // qs ignores a value without a name
			pairs = append(pairs, p)
		}
	}
	return pairs, failures
}

// cutPair splits at the first "]=", or else at the first "=".
func cutPair(part string) (name, value string) {
	if i := strings.Index(part, "]="); i >= 0 {
		return part[:i+1], part[i+2:]
	}
	name, value, _ = strings.Cut(part, "=")
	return name, value
}

func readPair(rawName, rawValue string) (pair, *gateway.Failure) {
	name, err := unescape(rawName)
	if err != nil {
		f := gateway.QueryFailuref(strings.ToValidUTF8(rawName, "\uFFFD"), gateway.CodeSyntax, "is not a valid name: %v", err)
		return pair{}, &f
	}
	value, err := unescape(rawValue)
	if err != nil {
		f := gateway.QueryFailuref(name, gateway.CodeSyntax, "does not have a valid value: %v", err)
		return pair{}, &f
	}
	path, failure := readPath(name)
	return pair{name: name, path: path, values: []string{value}}, failure
}

func unescape(s string) (string, error) {
	out, err := url.QueryUnescape(s)
	if err != nil {
		return "", err
	}
	if !utf8.ValidString(out) {
		return "", errors.New("invalid UTF-8")
	}
	return out, nil
}

// readPath splits a name into its segments. A bracket without a matching one is an ordinary
// character.
func readPath(name string) ([]segment, *gateway.Failure) {
	fail := func(code gateway.Code, format string, args ...any) ([]segment, *gateway.Failure) {
		f := gateway.QueryFailuref(name, code, format, args...)
		return nil, &f
	}
	var brackets [][]int
	if strings.IndexByte(name, '[') >= 0 {
		brackets = bracketed.FindAllStringIndex(name, maxQueryDepth+1)
	}
	if len(brackets) > maxQueryDepth {
		return fail(gateway.CodeLimit, "is nested more than %d deep", maxQueryDepth)
	}
	var path []segment
	end := len(name)
	if len(brackets) > 0 {
		end = brackets[0][0]
	}
	if end > 0 {
		path = append(path, segment{name: name[:end], index: named, end: end})
	}
	for _, b := range brackets {
		if b[0] != end {
			return fail(gateway.CodeSyntax, "has text between brackets")
		}
		end = b[1]
		s := segment{name: name[b[0]+1 : b[1]-1], index: named, end: end}
		switch {
		case s.name == "":
			s.index = appended
		case wholeNumber.MatchString(s.name):
			i, err := strconv.Atoi(s.name)
			if err != nil || i > maxQueryIndex {
				return fail(gateway.CodeLimit, "has an index over %d", maxQueryIndex)
			}
			s.index = i
		}
		path = append(path, s)
	}
	if end != len(name) {
		return fail(gateway.CodeSyntax, "has text after a bracket")
	}
	for _, s := range path {
		if isReserved(s.name) {
			return fail(gateway.CodeSyntax, "has the part %s, which is not allowed", s.name)
		}
	}
	return path, nil
}

// merged returns one pair for each name, with all its values, at the place of its first value.
func merged(pairs []pair) []pair {
	var out []pair
	at := map[string]int{}
	for _, p := range pairs {
		if i, ok := at[p.name]; ok {
			out[i].values = append(out[i].values, p.values...)
			continue
		}
		at[p.name] = len(out)
		p.values = slices.Clone(p.values) // not shared with pairs
		out = append(out, p)
	}
	return out
}

// usage records whether each name is used as a value or as an object.
type usage struct {
	value, object bool
	inner         map[segment]*usage
}

// mark records path and reports whether a name in it is used as both.
func (u *usage) mark(path []segment) (conflict bool) {
	for i, s := range path {
		if s.index == named && i > 0 {
			u.object = true
		}
		conflict = conflict || u.value && u.object
		key := segment{name: s.name, index: s.index}
		if i == 0 {
			key.index = named // [a] and a are the same
		}
		if u.inner == nil {
			u.inner = map[segment]*usage{}
		}
		if u.inner[key] == nil {
			u.inner[key] = &usage{}
		}
		u = u.inner[key]
	}
	if path[len(path)-1].index != appended { // each a[] is a new entry
		u.value = true
	}
	return conflict || u.value && u.object
}

// list is a list under construction; nil is a hole.
type list struct{ items []any }

// nest merges p into values. It returns false if a value would have to become an object.
func nest(values map[string]any, p pair) bool {
	var v any = p.values[0]
	if len(p.values) > 1 {
		l := &list{}
		for _, s := range p.values {
			l.items = append(l.items, s)
		}
		v = l
	}
	for _, s := range slices.Backward(p.path) {
		switch s.index {
		case named:
			v = map[string]any{s.name: v}
		case appended:
			if _, ok := v.(*list); !ok { // a list in [] is that list
				v = &list{items: []any{v}}
			}
		default:
			l := &list{items: make([]any, s.index+1)}
			l.items[s.index] = v
			v = l
		}
	}
	_, ok := merge(values, v)
	return ok
}

// merge merges source, which is not a hole, into target as qs does.
func merge(target, source any) (any, bool) {
	switch source := source.(type) {
	case map[string]any:
		return mergeObject(target, source)
	case *list:
		return mergeList(target, source)
	}
	if _, ok := target.(map[string]any); ok {
		return target, false
	}
	if source == "" {
		return target, true
	}
	if l, ok := target.(*list); ok {
		l.items = append(l.items, source)
		return l, true
	}
	return &list{items: []any{target, source}}, true
}

func mergeObject(target any, source map[string]any) (any, bool) {
	var object map[string]any
	switch target := target.(type) {
	case map[string]any:
		object = target
	case *list:
		object = target.object()
	default:
		return target, false
	}
	for name, v := range source {
		if old, ok := object[name]; ok {
			if v, ok = merge(old, v); !ok {
				return object, false
			}
		}
		object[name] = v
	}
	return object, true
}

func mergeList(target any, source *list) (any, bool) {
	switch target := target.(type) {
	case map[string]any:
		return mergeObject(target, source.object())
	case *list:
		for i, v := range source.items {
			switch {
			case v == nil:
			case i >= len(target.items):
				target.items = append(target.items, make([]any, i-len(target.items)+1)...)
				target.items[i] = v
			case target.items[i] == nil:
				target.items[i] = v
			case isString(target.items[i]) || isString(v):
				target.items = append(target.items, v)
			default:
				var ok bool
				if target.items[i], ok = merge(target.items[i], v); !ok {
					return target, false
				}
			}
		}
		return target, true
	default:
		return &list{items: append([]any{target}, source.items...)}, true
	}
}

func isString(v any) bool {
	_, ok := v.(string)
	return ok
}

// object turns indices into names.
func (l *list) object() map[string]any {
	out := map[string]any{}
	for i, v := range l.items {
		if v != nil {
			out[strconv.Itoa(i)] = v
		}
	}
	return out
}

// compact removes the holes of lists.
func compact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = compact(inner)
		}
	case *list:
		out := []any{}
		for _, item := range v.items {
			if item != nil {
				out = append(out, compact(item))
			}
		}
		return out
	}
	return v
}
