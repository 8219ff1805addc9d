package sandbox

import (
	"fmt"
	"net/url"
	"strings"
)

// segment is one segment of a route: fixed text, or a variable between fixed texts.
type segment struct {
	prefix, variable, suffix string
}

// parseRoute parses "PUT /users/{id}.json".
func parseRoute(text string) (method string, path []segment, err error) {
	method, rest, ok := strings.Cut(text, " /")
	if !ok || method == "" || method != strings.ToUpper(method) {
		return "", nil, fmt.Errorf("%q is not a valid route, want a method and a path: GET /users/{id}", text)
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, "/") {
		prefix, tail, variable := strings.Cut(part, "{")
		if !variable {
			path = append(path, segment{prefix: part})
			continue
		}
		name, suffix, closed := strings.Cut(tail, "}")
		if !closed || name == "" || seen[name] || strings.ContainsAny(suffix, "{}") {
			return "", nil, fmt.Errorf("%q is not a valid route: a segment has at most one {variable}, and names are unique", text)
		}
		seen[name] = true
		path = append(path, segment{prefix: prefix, variable: name, suffix: suffix})
	}
	return method, path, nil
}

// match compares decoded segments with the route and returns its variables, which are never
// empty.
func (r *route) match(method string, path []string) (map[string]any, bool) {
	if method != r.method || len(path) != len(r.path) {
		return nil, false
	}
	params := map[string]any{}
	for i, s := range r.path {
		if s.variable == "" {
			if path[i] != s.prefix {
				return nil, false
			}
			continue
		}
		rest, ok := strings.CutPrefix(path[i], s.prefix)
		if ok {
			rest, ok = strings.CutSuffix(rest, s.suffix)
		}
		if !ok || rest == "" {
			return nil, false
		}
		params[s.variable] = rest
	}
	return params, true
}

// segments splits an encoded path and decodes each segment: a%2Fb is one segment.
func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if decoded, err := url.PathUnescape(part); err == nil {
			parts[i] = decoded
		}
	}
	return parts
}
