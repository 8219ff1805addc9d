package server

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/engine"
	"portolan/gateway"
)

// unifiedPrefix is the prefix of all paths of the unified API.
const unifiedPrefix = "/unified"

// unifiedRoute binds a verb and path to a unified method.
type unifiedRoute struct{ verb, path, method string }

// unifiedRoutes lists all routes of the unified API.
func unifiedRoutes() []unifiedRoute {
	return []unifiedRoute{
		{http.MethodPatch, "/unified/{model}/{resource}/{id}", "update"},
	}
}

// unifiedPath is a parsed path of the unified API.
type unifiedPath struct {
	route               string // "/unified/{model}/{resource}/{id}"
	model, resource, id string // decoded
}

// readUnifiedPath parses the path of u. A slash at its end is ignored, unless it stands before an
// empty id. The problem is 404.
func readUnifiedPath(u *url.URL) (unifiedPath, *gateway.Problem) {
	segments := strings.Split(u.EscapedPath(), "/")
	for _, route := range unifiedRoutes() {
		names := strings.Split(route.path, "/")
		given := segments
		if len(given) == len(names)+1 && given[len(names)] == "" {
			given = given[:len(names)]
		}
		if path, ok := matchSegments(names, given); ok {
			path.route = route.path
			return path, nil
		}
	}
	return unifiedPath{}, noUnifiedRoute(u)
}

// matchSegments returns the decoded segments at the places of {model}, {resource} and {id}.
func matchSegments(names, segments []string) (path unifiedPath, ok bool) {
	if len(names) != len(segments) {
		return unifiedPath{}, false
	}
	for i, name := range names {
		segment, err := url.PathUnescape(segments[i])
		if err != nil {
			return unifiedPath{}, false
		}
		switch name {
		case "{model}":
			path.model = segment
		case "{resource}":
			path.resource = segment
		case "{id}":
			path.id = segment
		case segment:
		default:
			return unifiedPath{}, false
		}
	}
	return path, true
}

// segmentsProblem reports that a path has too few or too many segments.
func segmentsProblem(u *url.URL) string {
	var forms []string
	longest := 0
	for _, r := range unifiedRoutes() {
		if !slices.Contains(forms, r.path) {
			forms = append(forms, r.path)
			longest = max(longest, strings.Count(r.path, "/"))
		}
	}
	amount := "few"
	if strings.Count(strings.TrimSuffix(u.EscapedPath(), "/"), "/") > longest {
		amount = "many"
	}
	return fmt.Sprintf("it has too %s segments for %s", amount, strings.Join(forms, " or "))
}

// noUnifiedRoute is the problem 404 for a path with too few or too many segments.
func noUnifiedRoute(u *url.URL) *gateway.Problem {
	p := noRoute(u)
	p.Message += ": " + segmentsProblem(u)
	return p
}

// unknownPart is noUnifiedRoute for callers that may see which models and resources exist: the
// unknown one of the path comes first.
func unknownPart(snapshot *gateway.Snapshot, u *url.URL) *gateway.Problem {
	var names [2]string // of the model and resource
	segments := strings.Split(strings.TrimPrefix(u.EscapedPath(), unifiedPrefix), "/")
	for i, segment := range segments[1:min(len(segments), 3)] {
		name, err := url.PathUnescape(segment)
		if err != nil || name == "" {
			break
		}
		names[i] = name
	}
	if names[0] == "" {
		return noUnifiedRoute(u)
	}
	p := snapshot.CheckNames(names[0], names[1])
	if p == nil {
		return noUnifiedRoute(u)
	}
	p.Message += "; the path has" + strings.TrimPrefix(segmentsProblem(u), "it has")
	return p
}

// operation returns the operation of a unified method.
func (p unifiedPath) operation(method string) engine.Operation {
	return engine.Operation{Model: p.model, Resource: p.resource, Method: method}
}

// method returns the unified method of verb, "" if there is none, and all verbs that the path
// supports for its model and resource.
func (p unifiedPath) method(snapshot *gateway.Snapshot, verb string) (method string, verbs []string) {
	for _, r := range unifiedRoutes() {
		if r.path != p.route || !snapshot.Has(p.operation(r.method)) {
			continue
		}
		verbs = append(verbs, r.verb)
		if r.verb == routedVerb(verb) {
			method = r.method
		}
	}
	return method, verbs
}

// verbsOf returns the verbs of the path for unified methods.
func (p unifiedPath) verbsOf(methods []string) []string {
	var verbs []string
	for _, r := range unifiedRoutes() {
		if r.path == p.route && slices.Contains(methods, r.method) {
			verbs = append(verbs, r.verb)
		}
	}
	return verbs
}

func noRoute(u *url.URL) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "there is no route " + u.EscapedPath()}
}

// register adds all routes of the server to e.
func (s *Server) register(e *echo.Echo) {
	s.handleVerbs(e, "/healthz", verbHandler{http.MethodGet, s.handle(s.healthz)})
	s.handleVerbs(e, "/readyz", verbHandler{http.MethodGet, s.handle(s.readyz)})
	s.registerAdmin(e)
	s.registerLinks(e)
	for _, path := range []string{unifiedPrefix, unifiedPrefix + "/*"} {
		handleAll(e, path, s.handle(s.unified)) // a verb that the route lacks is refused after the token
	}
}

// normalizeURL removes slashes that clients add if their base URL ends in one: a doubled slash at
// the start of the path, and a slash at its end. It keeps the last slash of a unified path, which
// may stand before an empty id.
func normalizeURL(u *url.URL) *url.URL {
	escaped := u.EscapedPath()
	first, last := strings.HasPrefix(escaped, "//"), len(escaped) > 1 && strings.HasSuffix(escaped, "/")
	if first && strings.HasPrefix(escaped, "/"+unifiedPrefix+"/") || strings.HasPrefix(escaped, unifiedPrefix+"/") {
		last = false
	}
	if !first && !last {
		return u
	}
	out := *u
	for _, path := range []*string{&out.Path, &out.RawPath} {
		if first {
			*path = strings.TrimPrefix(*path, "/")
		}
		if last && len(*path) > 1 {
			*path = strings.TrimSuffix(*path, "/")
		}
	}
	return &out
}
