package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/gateway"
)

// WithStore lets administrators manage what store holds. It is what stands behind the
// Accounts given to New.
func WithStore(store accounts.Store) Option { return func(s *settings) { s.store = store } }

// WithPublicURL sets the origin under which browsers reach the server:
// "https://portolan.example.com".
func WithPublicURL(origin string) Option {
	return func(s *settings) { s.publicURL = strings.TrimRight(origin, "/") }
}

// adminRoute is one way to manage something.
type adminRoute struct {
	verb, path string
	query      []string // the parameters that it knows
	body       string   // its schema in schemas.Admin; "" takes none
	optional   bool     // no body at all is {}
	// do answers with what becomes JSON: status 201 for POST, else 200.
	do func(ctx context.Context, a *adminCall) (any, *gateway.Problem)
}

// adminRoutes is the whole surface for administrators.
func adminRoutes() []adminRoute {
	page := func(more ...string) []string { return append([]string{"cursor", "limit"}, more...) }
	const account, token, environment = "/integrated-account", "/api-token", "/environment"
	return []adminRoute{
		{verb: "GET", path: account, query: page("integration", "tenant_id", "status"), do: listAccounts},
		{verb: "POST", path: account, query: []string{"verify"}, body: "integrated-account.create", do: createAccount},
		{verb: "GET", path: account + "/:id", do: getAccount},
		{verb: "PATCH", path: account + "/:id", query: []string{"verify"}, body: "integrated-account.update", do: updateAccount},
		{verb: "DELETE", path: account + "/:id", query: []string{"version"}, do: deleteAccount},
		{verb: "POST", path: account + "/:id/token", body: "integrated-account-token.create", optional: true, do: createAccountToken},
		{verb: "POST", path: "/link-token", body: "link-token.create", do: createLink},
		{verb: "GET", path: token, query: page(), do: listTokens},
		{verb: "POST", path: token, body: "api-token.create", do: createToken},
		{verb: "GET", path: token + "/:id", do: getToken},
		{verb: "DELETE", path: token + "/:id", do: revokeToken},
		{verb: "GET", path: environment, query: page(), do: listEnvironments},
		{verb: "POST", path: environment, body: "environment.create", do: createEnvironment},
		{verb: "GET", path: environment + "/:id", do: getEnvironment},
		{verb: "PATCH", path: environment + "/:id", body: "environment.update", do: updateEnvironment},
		{verb: "DELETE", path: environment + "/:id", query: []string{"version"}, do: deleteEnvironment},
		{verb: "GET", path: "/audit", query: page("subject", "environment"), do: listAudit},
	}
}

// adminCall is an administrator's request, read but for what only its route can judge.
type adminCall struct {
	*request
	server   *Server
	token    accounts.Token
	id       string // of the path
	query    adminQuery
	body     map[string]any
	failures []gateway.Failure // so far
	report   *gateway.Report   // of the provider call that was made, if one was
}

// admin serves every route for administrators.
func (s *Server) admin(q *request) *answer {
	a := &adminCall{request: q, server: s, id: q.param("id")}
	out, p := a.manage()
	var answered *answer
	switch {
	case p != nil:
		answered = failed(p)
	case q.Method == http.MethodPost:
		answered = jsonAnswer(http.StatusCreated, out)
	default:
		answered = jsonAnswer(http.StatusOK, out)
	}
	answered.caller = a.token
	if answered.report == nil {
		answered.report = a.report
	}
	return answered.with(gateway.Header{Name: "Cache-Control", Value: "no-store"})
}

// manage takes the request through all steps and returns what becomes JSON.
func (a *adminCall) manage() (any, *gateway.Problem) {
	if strings.Contains(a.path.Param("id"), "/") { // Echo's last parameter takes every further segment
		return nil, noRoute(a.URL)
	}
	if p := a.server.checkSize(a.request); p != nil {
		return nil, p
	}
	var p *gateway.Problem
	if a.token, p = a.server.authenticate(a.request); p != nil {
		return nil, p
	}
	var route *adminRoute
	var verbs []string
	for _, r := range a.server.adminRoutes {
		if r.path == a.path.Path() {
			verbs = append(verbs, r.verb)
			if r.verb == a.Method {
				route = &r
			}
		}
	}
	if route == nil {
		return nil, notAllowed(a.Method, verbs)
	}
	if a.token.Role != accounts.RoleAdmin || a.token.AccountID != "" {
		return nil, forbidden("this needs a token with the role admin")
	}
	a.query, a.failures = readAdminQuery(a.URL.RawQuery, route.query)
	if route.body != "" {
		if p := a.readBody(route); p != nil {
			return nil, p
		}
	}
	return route.do(a.Context(), a)
}

func forbidden(message string) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusForbidden, Message: message}
}

// readBody reads the body and holds it against the route's schema.
func (a *adminCall) readBody(route *adminRoute) *gateway.Problem {
	body, bad := readBody(a.Request)
	switch {
	case bad != nil && bad.status == http.StatusBadRequest:
		if route.optional && len(bad.failures) == 1 && bad.failures[0].Code == gateway.CodeEmpty {
			break
		}
		return gateway.Invalid(append(a.failures, bad.failures...))
	case bad != nil:
		return bodyProblem(bad)
	}
	a.body = body
	a.failures = append(a.failures, gateway.Distinct(gateway.SchemaFailures(a.server.adminSchemas[route.body], body))...)
	return nil
}

func (a *adminCall) failf(pointer string, code gateway.Code, format string, args ...any) {
	a.failures = append(a.failures, gateway.Failuref(pointer, code, format, args...))
}

// refusal is the problem of all failures so far; nil where there are none.
func (a *adminCall) refusal() *gateway.Problem {
	if len(a.failures) == 0 {
		return nil
	}
	return gateway.Invalid(gateway.Distinct(a.failures))
}

// actor is the caller as the audit names it.
func (a *adminCall) actor() accounts.Actor {
	name := a.token.Name
	if a.token.Prefix != "" {
		name = fmt.Sprintf("token %s (%s)", a.token.Name, a.token.Prefix)
	}
	return accounts.Actor{Name: name, RequestID: a.request.id}
}

// storeProblem is that of the server, for this request.
func (a *adminCall) storeProblem(err error, what, conflict string) *gateway.Problem {
	return a.server.storeProblem(a.request, err, what, conflict)
}

// text is a member of the body that is text; "" where it is absent or something else.
func (a *adminCall) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// textChange is nil where the body does not name the member.
func (a *adminCall) textChange(name string) *string {
	if _, ok := a.body[name]; !ok {
		return nil
	}
	s := a.text(name)
	return &s
}

// listAnswer is a page of a list.
type listAnswer struct {
	Result []any   `json:"result"`
	Next   *string `json:"next_cursor"`
	Prev   *string `json:"prev_cursor"` // lists go one way only
	Count  int     `json:"result_count"`
}

func listOf[T any](p accounts.Page[T], show func(T) any) listAnswer {
	out := listAnswer{Result: make([]any, 0, len(p.Items)), Count: len(p.Items)}
	for _, item := range p.Items {
		out.Result = append(out.Result, show(item))
	}
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

// registerAdmin puts the routes for administrators into e, where there is a store.
func (s *Server) registerAdmin(e *echo.Echo) {
	if s.store == nil {
		return
	}
	s.adminRoutes = adminRoutes()
	var paths []string
	for _, r := range s.adminRoutes {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
			e.Any(r.path, s.handle(s.admin)) // the verb is checked after the token
		}
	}
}
