package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/engine"
)

// unifiedRoute binds a verb and path to a unified method.
type unifiedRoute struct{ verb, path, method string }

// unifiedRoutes is the whole unified surface.
func unifiedRoutes() []unifiedRoute {
	return []unifiedRoute{
		{http.MethodPatch, "/unified/:model/:resource/:id", "update"},
	}
}

// match takes the parameters out of a path that is one of the route; false if it is not.
func (r unifiedRoute) match(u *url.URL) (values map[string]string, ok bool) {
	names, segments := strings.Split(r.path, "/"), strings.Split(u.EscapedPath(), "/")
	if len(names) != len(segments) {
		return nil, false
	}
	values = map[string]string{}
	for i, name := range names {
		segment, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		if parameter, isParameter := strings.CutPrefix(name, ":"); isParameter {
			values[parameter] = segment
		} else if name != segment {
			return nil, false
		}
	}
	return values, true
}

// register puts every route of the server into e.
func (s *Server) register(e *echo.Echo) {
	e.GET("/healthz", s.handle(s.healthz))
	e.GET("/readyz", s.handle(s.readyz))
	e.GET("/metrics", s.serveMetrics)
	s.registerAdmin(e)
	s.registerLinks(e)
	var paths []string
	for _, r := range unifiedRoutes() {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
			e.Any(r.path, s.handle(s.unified)) // the verb is checked after the token
			if parent, ok := strings.CutSuffix(r.path, ":id"); ok {
				e.Any(parent, s.handle(s.unified)) // an empty id: Echo takes it for another path
			}
		}
	}
}

// unifiedMethod finds the unified method that verb asks for on path, and the verbs that
// the path has for this model and resource. found is false where there is no such
// resource at all.
func (s *Server) unifiedMethod(path, verb, model, resource string) (method string, verbs []string, found bool) {
	for _, r := range unifiedRoutes() {
		if r.path != path {
			continue
		}
		if !s.gateway.Snapshot().Has(engine.Operation{Model: model, Resource: resource, Method: r.method}) {
			continue
		}
		found = true
		verbs = append(verbs, r.verb)
		if r.verb == verb {
			method = r.method
		}
	}
	return method, verbs, found
}

// verbsOf are the verbs of path for those methods that an integration maps.
func verbsOf(path string, methods []string) []string {
	var verbs []string
	for _, r := range unifiedRoutes() {
		if r.path == path && slices.Contains(methods, r.method) {
			verbs = append(verbs, r.verb)
		}
	}
	return verbs
}

// routePath is the unified route that c was matched to, also where its id is empty.
func routePath(c echo.Context) string {
	path := c.Path()
	if strings.HasSuffix(path, "/") {
		path += ":id"
	}
	return path
}
