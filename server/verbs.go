package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/gateway"
)

// isVerb reports whether HTTP has the verb. All others are answered with 501.
func isVerb(verb string) bool {
	switch verb {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return true
	}
	return false
}

// routedVerb returns the verb whose route serves verb: HEAD is served as GET, without the body.
func routedVerb(verb string) string {
	if verb == http.MethodHead {
		return http.MethodGet
	}
	return verb
}

// withHead returns the verbs of a route with HEAD after GET, as the header Allow lists them.
func withHead(verbs []string) []string {
	if i := slices.Index(verbs, http.MethodGet); i >= 0 {
		return slices.Insert(slices.Clone(verbs), i+1, http.MethodHead)
	}
	return verbs
}

// answerVerb answers OPTIONS, and verbs that HTTP does not have, on a route that supports verbs.
// They need no token. For other verbs it returns nil.
func answerVerb(verb string, verbs []string) *answer {
	switch {
	case !isVerb(verb):
		return failed(unknownVerb())
	case verb == http.MethodOptions:
		allow := append(slices.Clone(withHead(verbs)), http.MethodOptions)
		return (&answer{status: http.StatusNoContent}).with(gateway.Header{Name: "Allow", Value: strings.Join(allow, ", ")})
	default:
		return nil
	}
}

// unknownVerb is the problem 501 for a verb that HTTP does not have.
func unknownVerb() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotImplemented, Message: "the HTTP method is unknown"}
}

// notAllowed is the problem 405 for a route that supports verbs only.
func notAllowed(verb string, verbs []string) *gateway.Problem {
	verbs = withHead(verbs)
	return &gateway.Problem{
		Status: http.StatusMethodNotAllowed, Allow: verbs,
		Message: fmt.Sprintf("%s is not allowed for this route, which supports %s", verb, strings.Join(verbs, ", ")),
	}
}

// handleAll binds path to h, for all verbs. Any leaves out verbs that Echo does not know.
func handleAll(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.Any(path, h)
	e.RouteNotFound(path, h)
}

// verbHandler is the handler of a path for one verb.
type verbHandler struct {
	verb   string
	handle echo.HandlerFunc
}

// handleVerbs binds path, which needs no token, to the handlers of its verbs. Other verbs are
// refused.
func (s *Server) handleVerbs(e *echo.Echo, path string, handlers ...verbHandler) {
	var verbs []string
	for _, h := range handlers {
		verbs = append(verbs, h.verb)
	}
	other := s.handle(func(q *request) *answer {
		if a := answerVerb(q.Method, verbs); a != nil {
			return a
		}
		return failed(notAllowed(q.Method, verbs))
	})
	handleAll(e, path, func(c echo.Context) error {
		if i := slices.Index(verbs, routedVerb(c.Request().Method)); i >= 0 {
			return handlers[i].handle(c)
		}
		return other(c)
	})
}
