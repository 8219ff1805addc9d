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

// unifiedPrefix is how every path of the unified API begins.
const unifiedPrefix = "/unified"

// unifiedRoute binds a verb and path to a unified method.
type unifiedRoute struct{ verb, path, method string }

// unifiedRoutes is the whole unified surface.
func unifiedRoutes() []unifiedRoute {
	return []unifiedRoute{
		{http.MethodPatch, "/unified/{model}/{resource}/{id}", "update"},
	}
}

// unifiedPath is a path of the unified API, taken apart.
type unifiedPath struct {
	route               string // "/unified/{model}/{resource}/{id}"
	model, resource, id string // decoded
}

// readUnifiedPath takes the path of u apart. A slash at its end is tolerated, but not in the
// place of an id: that id is empty. The problem is 404.
func readUnifiedPath(u *url.URL) (unifiedPath, *gateway.Problem) {
	segments := strings.Split(u.EscapedPath(), "/")
	for _, route := range unifiedRoutes() {
		names := strings.Split(route.path, "/")
		given := segments
		if len(given) == len(names)+1 && given[len(names)] == "" {
			given = given[:len(names)]
		}
		if values, ok := matchSegments(names, given); ok {
			return unifiedPath{route: route.path, model: values["{model}"], resource: values["{resource}"], id: values["{id}"]}, nil
		}
	}
	return unifiedPath{}, noUnifiedRoute(u)
}

// matchSegments returns the decoded segments that stand in the places of "{name}"s.
func matchSegments(names, segments []string) (map[string]string, bool) {
	if len(names) != len(segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, name := range names {
		segment, err := url.PathUnescape(segments[i])
		switch {
		case err != nil:
			return nil, false
		case strings.HasPrefix(name, "{"):
			values[name] = segment
		case name != segment:
			return nil, false
		}
	}
	return values, true
}

// noUnifiedRoute is 404 for a path with too few or too many segments.
func noUnifiedRoute(u *url.URL) *gateway.Problem {
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
	p := noRoute(u)
	p.Message += fmt.Sprintf(": it has too %s segments for %s", amount, strings.Join(forms, " or "))
	return p
}

// method is the method that verb asks for, "" if there is none, and all verbs that the path
// has for its model and resource.
func (p unifiedPath) method(snapshot *gateway.Snapshot, verb string) (method string, verbs []string) {
	for _, r := range unifiedRoutes() {
		if r.path != p.route || !snapshot.Has(engine.Operation{Model: p.model, Resource: p.resource, Method: r.method}) {
			continue
		}
		verbs = append(verbs, r.verb)
		if r.verb == verb {
			method = r.method
		}
	}
	return method, verbs
}

// verbsOf are the verbs of path for those methods that an integration maps.
func (p unifiedPath) verbsOf(methods []string) []string {
	var verbs []string
	for _, r := range unifiedRoutes() {
		if r.path == p.route && slices.Contains(methods, r.method) {
			verbs = append(verbs, r.verb)
		}
	}
	return verbs
}

// notAllowed is 405 for a route that has verbs only.
func notAllowed(verb string, verbs []string) *gateway.Problem {
	return &gateway.Problem{
		Status: http.StatusMethodNotAllowed, Allow: verbs,
		Message: fmt.Sprintf("%s is not a method of this route, which has %s", verb, strings.Join(verbs, ", ")),
	}
}

func noRoute(u *url.URL) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "there is no route " + u.EscapedPath()}
}

// register puts every route of the server into e.
func (s *Server) register(e *echo.Echo) {
	e.GET("/healthz", s.handle(s.healthz))
	e.GET("/readyz", s.handle(s.readyz))
	e.GET("/metrics", s.serveMetrics)
	s.registerAdmin(e)
	s.registerLinks(e)
	for _, path := range []string{unifiedPrefix, unifiedPrefix + "/*"} {
		e.Any(path, s.handle(s.unified)) // the verb is checked after the token
	}
}

// tolerant is u without what clients add whose base URL ends in a slash: a doubled slash at
// the start of its path and, but for unified paths, whose last segment may be an empty id, a
// slash at the end.
func tolerant(u *url.URL) *url.URL {
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
