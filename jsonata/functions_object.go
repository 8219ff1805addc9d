package jsonata

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// ownValue is the member of an object with functions that holds the value which it is for everything
// else: the result of an expression, $string, an argument.
const ownValue = ownPrefix + "value"

type ownPlain struct{ value any } // plain JSON

// plainOf returns the value of an object with functions.
func plainOf(v any) (any, bool) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	own, ok := object[ownValue].(ownPlain)
	return own.value, ok
}

// objects returns the functions whose results are objects with functions.
func (g *guard) objects() map[string]builtin {
	return map[string]builtin{
		"dtFromIso":       checked("dtFromIso", 1, 2, g.dtFromISO),
		"dtFromFormat":    checked("dtFromFormat", 2, 3, g.dtFromFormat),
		"parseUrl":        checked("parseUrl", 1, 1, g.parseURL),
		"dependencyGraph": checked("dependencyGraph", 3, 3, g.dependencyGraph),
	}
}

// checked returns f for gnata.
func checked(name string, least, most int, f func(args []any) (any, error)) builtin {
	return func(args []any, _ any) (any, error) {
		if len(args) < least || len(args) > most {
			return nil, &functionError{name, "wrong number of arguments"}
		}
		v, err := f(args)
		if err != nil {
			return nil, &functionError{name, err.Error()}
		}
		return v, nil
	}
}

// method returns f as a member of an object. Missing arguments are nil.
func (g *guard) method(name string, f func(args []any) (any, error)) any {
	return g.function(checked(name, 0, 4, func(args []any) (any, error) {
		return f(append(slices.Clone(args), nil, nil)[:max(len(args), 2)])
	}))
}

// textArgument returns an argument of gnata's types that is a text.
func textArgument(args []any, i int) (string, bool) {
	if i >= len(args) {
		return "", false
	}
	s, ok := args[i].(string)
	return s, ok
}

// parseURL returns the parts of a URL.
func (g *guard) parseURL(args []any) (any, error) {
	s, ok := textArgument(args, 0)
	if !ok {
		return nil, nil
	}
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, errors.New("the text is not a complete URL")
	}
	u.Host = strings.ToLower(u.Host)
	if port := u.Port(); port == map[string]string{"http": "80", "https": "443", "ftp": "21"}[u.Scheme] && port != "" {
		u.Host = strings.TrimSuffix(u.Host, ":"+port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	search, hash := "", ""
	if u.RawQuery != "" {
		u.RawQuery = escapedQuery(u.RawQuery)
		search = "?" + u.RawQuery
	}
	if u.Fragment != "" {
		hash = "#" + u.EscapedFragment()
	}
	password, _ := u.User.Password()
	query := u.Query()
	return map[string]any{
		ownValue: ownPlain{u.String()}, "href": u.String(), "origin": u.Scheme + "://" + u.Host, "protocol": u.Scheme + ":",
		"username": u.User.Username(), "password": password, "host": u.Host, "hostname": u.Hostname(), "port": u.Port(),
		"pathname": u.EscapedPath(), "search": search, "hash": hash,
		"searchParams": map[string]any{
			"size": float64(sizeOf(query)),
			"get": g.method("get", func(args []any) (any, error) {
				if all := query[jsText(args[0])]; len(all) > 0 {
					return all[0], nil
				}
				return gnataNull, nil
			}),
			"getAll": g.method("getAll", func(args []any) (any, error) { return texts(query[jsText(args[0])]), nil }),
			"has":    g.method("has", func(args []any) (any, error) { return query.Has(jsText(args[0])), nil }),
		},
	}, nil
}

func sizeOf(query url.Values) (n int) {
	for _, all := range query {
		n += len(all)
	}
	return n
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// escapedQuery escapes what a query must not contain.
func escapedQuery(s string) string {
	var out strings.Builder
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`"#<>'`, b) >= 0 {
			out.WriteString(url.QueryEscape(string([]byte{b})))
		} else {
			out.WriteByte(b)
		}
	}
	return strings.ReplaceAll(out.String(), "+", "%20")
}

// dependencyGraph returns the order of items that name their parents.
func (g *guard) dependencyGraph(args []any) (any, error) {
	w := converter{left: g.limit}
	list, _, err := w.value(args[0], 0)
	if err != nil {
		return nil, err
	}
	parentPath, _ := textArgument(args, 1)
	path, _ := textArgument(args, 2)
	graph := &dependencies{data: map[string]any{}, parent: map[string]string{}, children: map[string][]string{}}
	byKey := map[string]any{}
	for _, item := range items(list) {
		byKey[keyOf(item, path)] = item
	}
	add := func(name string, item any) {
		if _, known := graph.data[name]; !known {
			graph.names, graph.data[name] = append(graph.names, name), item
		}
	}
	for _, item := range items(list) {
		name, parent := keyOf(item, path), keyOf(item, parentPath)
		add(name, item)
		if above, known := byKey[parent]; known {
			add(parent, above)
			if graph.parent[name] == "" {
				graph.parent[name] = parent
				graph.children[parent] = append(graph.children[parent], name)
			}
		}
	}
	name := func(args []any) (string, error) {
		name := jsText(args[0])
		if _, known := graph.data[name]; !known {
			return "", errors.New("the graph does not have the item")
		}
		return name, nil
	}
	return map[string]any{
		"overallOrder": g.method("overallOrder", func(args []any) (any, error) {
			order, err := graph.order()
			if args[0] == true {
				order = slices.DeleteFunc(order, func(name string) bool { return graph.parent[name] != "" })
			}
			return texts(order), err
		}),
		"dependenciesOf": g.method("dependenciesOf", func(args []any) (any, error) {
			from, err := name(args)
			if err != nil {
				return nil, err
			}
			above, err := graph.above(from)
			return texts(above), err
		}),
		"dependantsOf": g.method("dependantsOf", func(args []any) (any, error) {
			from, err := name(args)
			if err != nil {
				return nil, err
			}
			below, err := graph.below(from)
			return texts(below), err
		}),
		"hasNode": g.method("hasNode", func(args []any) (any, error) {
			_, err := name(args)
			return err == nil, nil
		}),
		"getNodeData": g.method("getNodeData", func(args []any) (any, error) {
			from, err := name(args)
			if err != nil {
				return nil, err
			}
			return withNulls(graph.data[from])
		}),
	}, nil
}

// dependencies is a graph in which each item depends on one other at most.
type dependencies struct {
	names    []string // in the order in which they were added
	data     map[string]any
	parent   map[string]string
	children map[string][]string
}

var errCycle = errors.New("the items depend on each other in a circle")

// above returns what name depends on, the first one first.
func (d *dependencies) above(name string) ([]string, error) {
	var out []string
	for at := d.parent[name]; at != ""; at = d.parent[at] {
		if out = append(out, at); len(out) > len(d.names) {
			return nil, errCycle
		}
	}
	slices.Reverse(out)
	return out, nil
}

// below returns what depends on name, those that nothing depends on first.
func (d *dependencies) below(name string) ([]string, error) {
	var out []string
	stack := []string{name}
	for len(stack) > 0 {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if at != name {
			out = append(out, at)
		}
		if stack = append(stack, d.children[at]...); len(out) > len(d.names) {
			return nil, errCycle
		}
	}
	slices.Reverse(out)
	return out, nil
}

// order returns all items, each after what it depends on.
func (d *dependencies) order() ([]string, error) {
	var out []string
	done := map[string]bool{}
	for _, name := range d.names {
		var chain []string
		for at := name; at != "" && !done[at]; at = d.parent[at] {
			if chain = append(chain, at); len(chain) > len(d.names) {
				return nil, errCycle
			}
		}
		for _, at := range slices.Backward(chain) {
			done[at], out = true, append(out, at)
		}
	}
	return out, nil
}

// methods are the names of functions that objects have. Lint accepts them as steps of a path.
var methods = []string{
	"toISO", "toISODate", "toISOTime", "toFormat", "toUTC", "toMillis", "valueOf", "toSeconds", "toUnixInteger", "toHTTP", "toRFC2822", "toJSDate", "plus", "minus",
	"set", "startOf", "endOf", "setZone", "diff", "as", "toObject", "get", "getAll", "has", "overallOrder", "dependenciesOf", "dependantsOf", "hasNode", "getNodeData",
}

// staysOut are the functions of Truto's public library that are not here, with the reason.
var staysOut = map[string]string{
	"blob": binary, "base64ToBlob": binary, "getArrayBuffer": binary, "bufferToString": binary, "teeStream": binary,
	"jsonToParquet": binary, "convertMdToPdf": binary, "parseDocument": "reads binary documents",
	"generateEmbeddingsCohere": "calls a service", "recursiveCharacterTextSplitter": "prepares texts for such a service",
	"convertMarkdownToNotion": product, "convertNotionToMd": product, "convertNotionToMarkdown": product, "convertMarkdownToSlack": product,
	"convertMarkdownToGoogleDocs": product, "convertMarkdownToAdf": product, "convertQueryToSql": "writes SQL", "zipSqlResponse": "reads answers in SQL",
	"convertCurrencyToSubunit": currency, "convertCurrencyFromSubunit": currency,
}

const (
	binary   = "makes or reads binary data, and values here are JSON"
	product  = "belongs to the documents of one product"
	currency = "needs a list of currencies; multiply or divide by the currency's factor"
)
