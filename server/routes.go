package server

import (
	"net/http"
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

// register puts every route of the server into e.
func (s *Server) register(e *echo.Echo) {
	e.GET("/healthz", s.healthz)
	e.GET("/readyz", s.readyz)
	e.GET("/metrics", s.metrics.serve)
	s.registerAdmin(e)
	s.registerLinks(e)
	var paths []string
	for _, r := range unifiedRoutes() {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
			e.Any(r.path, s.unified) // the verb is checked after the token
			if parent, ok := strings.CutSuffix(r.path, ":id"); ok {
				e.Any(parent, s.unified) // an empty id: Echo takes it for another path
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
		if _, ok := s.methods[engine.Operation{Model: model, Resource: resource, Method: r.method}]; !ok {
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
