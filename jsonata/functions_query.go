package jsonata

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxPairs is how many pairs $parseQuery reads; npm qs, whose results these are, reads as many.
const maxPairs = 1000

// parseQuery reads a query into nested objects and arrays: a=1&b[c]=2&d[]=3.
func parseQuery(args []any) (any, error) {
	s, _, err := text(args, 0)
	if err != nil {
		return nil, err
	}
	var out any = map[string]any{}
	pairs := 0
	for pair := range strings.SplitSeq(s, "&") {
		if pairs++; pairs > maxPairs {
			return nil, errors.New("the query has more than 1,000 pairs")
		}
		name, value, _ := strings.Cut(pair, "=")
		if name = unescaped(name); name != "" {
			out = withPair(out, queryNames(name), unescaped(value))
		}
	}
	return out, nil
}

func unescaped(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return strings.ReplaceAll(s, "+", " ")
}

// maxBracketNames is how many names in brackets count; the rest is one name, brackets included.
const maxBracketNames = 5

// queryNames splits a[b][] into its names.
func queryNames(name string) []string {
	start := strings.IndexByte(name, '[')
	if start <= 0 {
		return []string{name}
	}
	names, rest := []string{name[:start]}, name[start:]
	for len(names) <= maxBracketNames && strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			break
		}
		names, rest = append(names, rest[1:end]), rest[end+1:]
	}
	if rest != "" {
		names = append(names, rest)
	}
	return names
}

// withPair returns v with value at names. A second value makes an array.
func withPair(v any, names []string, value string) any {
	if len(names) == 0 {
		if v == nil {
			return value
		}
		return append(items(v), value)
	}
	name := names[0]
	index, err := strconv.Atoi(name)
	isIndex := err == nil && index >= 0 && index <= 20
	switch container := v.(type) {
	case map[string]any:
		container[name] = withPair(container[name], names[1:], value)
		return container
	case []any:
		if name == "" || isIndex {
			if name == "" || index >= len(container) {
				return append(container, withPair(nil, names[1:], value))
			}
			container[index] = withPair(container[index], names[1:], value)
			return container
		}
		object := map[string]any{name: withPair(nil, names[1:], value)}
		for i, item := range container {
			object[strconv.Itoa(i)] = item
		}
		return object
	case nil:
		if name == "" || isIndex {
			return []any{withPair(nil, names[1:], value)}
		}
		return map[string]any{name: withPair(nil, names[1:], value)}
	default:
		if name == "" {
			names = names[1:]
		}
		return append([]any{v}, withPair(nil, names, value))
	}
}

// queryOptions are those of $stringifyQuery.
type queryOptions struct {
	ArrayFormat        string
	AddQueryPrefix     bool
	AllowDots          bool
	Encode             *bool
	EncodeValuesOnly   bool
	SkipNulls          bool
	StrictNullHandling bool
}

// options reads argument i, an object, into a struct.
func options(args []any, i int, into any) error {
	if i >= len(args) || args[i] == nil {
		return nil
	}
	if _, ok := args[i].(map[string]any); !ok {
		return errors.New("expects an object as argument " + strconv.Itoa(i+1))
	}
	src, err := json.Marshal(args[i])
	if err == nil {
		err = json.Unmarshal(src, into)
	}
	if err != nil {
		return errors.New("an option has the wrong type")
	}
	return nil
}

// stringifyQuery writes nested objects and arrays as a query.
func stringifyQuery(args []any) (any, error) {
	o := queryOptions{ArrayFormat: "indices"}
	if err := options(args, 1, &o); err != nil {
		return nil, err
	}
	w := queryWriter{queryOptions: o, left: maxWritten}
	switch args[0].(type) {
	case map[string]any, []any:
		w.write("", args[0])
	}
	if w.left < 0 {
		return nil, ErrTooLarge
	}
	out := strings.Join(w.pairs, "&")
	if o.AddQueryPrefix && out != "" {
		out = "?" + out
	}
	return out, nil
}

type queryWriter struct {
	queryOptions

	pairs []string
	left  int // bytes
}

// maxWritten is how much a function of this library writes if that may be much more than it reads, in
// bytes.
const maxWritten = 10 << 20

// write adds the pairs of v, which is called name.
func (w *queryWriter) write(name string, v any) {
	if w.left -= len(name) + 1; w.left < 0 {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			switch {
			case name == "":
				w.write(member, v[member])
			case w.AllowDots:
				w.write(name+"."+member, v[member])
			default:
				w.write(name+"["+member+"]", v[member])
			}
		}
	case []any:
		if w.ArrayFormat == "comma" && len(v) > 0 {
			w.pairs = append(w.pairs, w.escaped(name, w.EncodeValuesOnly)+"="+w.escaped(jsText(v), false))
			return
		}
		for i, item := range v {
			switch {
			case name == "":
				w.write(strconv.Itoa(i), item)
			case w.ArrayFormat == "brackets":
				w.write(name+"[]", item)
			case w.ArrayFormat == "repeat":
				w.write(name, item)
			default:
				w.write(name+"["+strconv.Itoa(i)+"]", item)
			}
		}
	case nil:
		switch {
		case w.SkipNulls:
		case w.StrictNullHandling:
			w.pairs = append(w.pairs, w.escaped(name, w.EncodeValuesOnly))
		default:
			w.pairs = append(w.pairs, w.escaped(name, w.EncodeValuesOnly)+"=")
		}
	default:
		w.pairs = append(w.pairs, w.escaped(name, w.EncodeValuesOnly)+"="+w.escaped(canonicalText(v), false))
	}
}

// canonicalText returns a scalar as JavaScript prints it: 1.50 is 1.5.
func canonicalText(v any) string {
	if n, ok := v.(json.Number); ok && strings.ContainsAny(string(n), ".eE") {
		f, _ := number(n)
		return jsText(f)
	}
	return jsText(v)
}

func (w *queryWriter) escaped(s string, plainly bool) string {
	if plainly || w.Encode != nil && !*w.Encode {
		return s
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
