package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/gateway"
)

// WithStore serves the routes that manage store, and the pages of its links. The gateway of
// New must read its accounts from the same store.
func WithStore(store accounts.Store) Option { return func(s *settings) { s.store = store } }

// WithPublicURL sets the origin at which browsers reach the server:
// "https://portolan.example.com".
func WithPublicURL(origin string) Option {
	return func(s *settings) { s.publicURL = strings.TrimRight(origin, "/") }
}

// adminRoute is one operation of the admin API.
type adminRoute struct {
	verb, path string
	query      []string // the allowed parameters
	body       string   // the name of its schema in schemas.Admin; "": the route has no body
	optional   bool     // an empty body means {}
	checks     bool     // do checks more than the schemas do, and calls refusal itself
	open       bool     // for any token; it needs no store
	makes      bool     // it creates something: the status is 201
	// do returns the answer, which is encoded as JSON. It is ignored if there is a problem.
	do func(ctx context.Context, a *adminCall) (any, *gateway.Problem)
}

// adminRoutes lists every route of the admin API.
func adminRoutes() []adminRoute {
	page := func(more ...string) []string { return append([]string{"next_cursor", "cursor", "limit"}, more...) }
	const account, token, environment, integration = "/integrated-account", "/api-token", "/environment", "/integration"
	return []adminRoute{
		{verb: "GET", path: "/ping", open: true, do: ping},
		{verb: "GET", path: integration, query: page(), open: true, do: listIntegrations},
		{verb: "GET", path: integration + "/:id", open: true, do: getIntegration},
		{verb: "GET", path: account, query: page("integration", "tenant_id", "status"), do: listAccounts},
		{verb: "POST", path: account, query: []string{"verify"}, body: "integrated-account.create", checks: true, makes: true, do: createAccount},
		{verb: "GET", path: account + "/:id", do: getAccount},
		{verb: "PATCH", path: account + "/:id", query: []string{"verify"}, body: "integrated-account.update", checks: true, do: updateAccount},
		{verb: "DELETE", path: account + "/:id", query: []string{"version"}, do: deleteAccount},
		{verb: "POST", path: account + "/:id/token", body: "integrated-account-token.create", optional: true, makes: true, do: createAccountToken},
		{verb: "POST", path: account + "/token", body: "integrated-account-token.create-for", makes: true, do: createTokenFor},
		{verb: "POST", path: account + "/refresh-credentials", body: "integrated-account.refresh", do: refreshCredentials},
		{verb: "POST", path: "/link-token", body: "link-token.create", checks: true, makes: true, do: createLink},
		{verb: "GET", path: token, query: page(), do: listTokens},
		{verb: "POST", path: token, body: "api-token.create", makes: true, do: createToken},
		{verb: "GET", path: token + "/:id", do: getToken},
		{verb: "DELETE", path: token + "/:id", do: revokeToken},
		{verb: "GET", path: environment, query: page(), do: listEnvironments},
		{verb: "POST", path: environment, body: "environment.create", checks: true, makes: true, do: createEnvironment},
		{verb: "GET", path: environment + "/:id", do: getEnvironment},
		{verb: "PATCH", path: environment + "/:id", body: "environment.update", checks: true, do: updateEnvironment},
		{verb: "DELETE", path: environment + "/:id", query: []string{"version"}, checks: true, do: deleteEnvironment},
		{verb: "GET", path: "/audit", query: page("subject", "environment"), checks: true, do: listAudit},
	}
}

// adminCall is a request of an administrator.
type adminCall struct {
	*request
	server   *Server
	token    accounts.Token
	id       string // in the path
	query    adminQuery
	body     map[string]any
	failures []gateway.Failure // so far
	report   *gateway.Report   // of the call that verified credentials; nil if there was none
}

// admin serves every route of the admin API.
func (s *Server) admin(q *request) *answer {
	return s.managed(q).with(gateway.Header{Name: "Cache-Control", Value: "no-store"})
}

func (s *Server) managed(q *request) *answer {
	if strings.Contains(q.path.Param("id"), "/") { // Echo's last parameter matches all remaining segments
		return failed(noRoute(q.URL))
	}
	route, verbs := s.adminRoute(q)
	if a := answerVerb(q.Method, verbs); a != nil {
		return a
	}
	a := &adminCall{request: q, server: s, id: q.param("id")}
	out, p := a.manage(route, verbs)
	var answered *answer
	switch {
	case p != nil:
		answered = failed(p)
	case route.makes:
		answered = jsonAnswer(http.StatusCreated, out)
	default:
		answered = jsonAnswer(http.StatusOK, out)
	}
	answered.caller = a.token
	if answered.report == nil {
		answered.report = a.report
	}
	return answered
}

// adminRoute returns the route of the request, nil if its path lacks the verb, and all verbs of the
// path.
func (s *Server) adminRoute(q *request) (route *adminRoute, verbs []string) {
	for _, r := range s.adminRoutes {
		if r.path == q.path.Path() {
			verbs = append(verbs, r.verb)
			if r.verb == routedVerb(q.Method) {
				route = &r
			}
		}
	}
	return route, verbs
}

// manage authenticates and checks the request, and returns the answer of route, which is nil if the
// path supports other verbs only.
func (a *adminCall) manage(route *adminRoute, verbs []string) (any, *gateway.Problem) {
	var p *gateway.Problem
	if a.token, p = a.server.authenticate(a.request); p != nil {
		return nil, p
	}
	if route == nil {
		return nil, notAllowed(a.Method, verbs)
	}
	if !route.open && (a.token.Role != accounts.RoleAdmin || a.token.AccountID != "") {
		return nil, forbidden("this route needs a token with the role admin")
	}
	a.query, a.failures = readAdminQuery(a.URL.RawQuery, route.query)
	if route.body != "" {
		if p := a.readBody(route); p != nil {
			return nil, p
		}
	}
	if p := a.refusal(); p != nil && !route.checks {
		return nil, p
	}
	return route.do(a.Context(), a)
}

func forbidden(message string) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusForbidden, Message: message}
}

// readBody reads the body and checks it against the route's schema.
func (a *adminCall) readBody(route *adminRoute) *gateway.Problem {
	body, bad := readBody(a.Request, a.server.limits.Body)
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

// refusal is the problem with all failures so far; nil if there are none.
func (a *adminCall) refusal() *gateway.Problem {
	if len(a.failures) == 0 {
		return nil
	}
	return gateway.Invalid(gateway.Distinct(a.failures))
}

// actor is the caller as it appears in the audit log.
func (a *adminCall) actor() accounts.Actor {
	name := a.token.Name
	if a.token.Prefix != "" {
		name = fmt.Sprintf("token %s (%s)", a.token.Name, a.token.Prefix)
	}
	return accounts.Actor{Name: name, RequestID: a.request.id}
}

// storeProblem is Server.storeProblem for this request; nil if err is nil.
func (a *adminCall) storeProblem(err error, what, conflict string) *gateway.Problem {
	return a.server.storeProblem(a.request, err, what, conflict)
}

// text returns a string member of the body; "" if it is absent or not a string.
func (a *adminCall) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

// textChange is text for a change; nil if the body does not have the member.
func (a *adminCall) textChange(name string) *string {
	if _, ok := a.body[name]; !ok {
		return nil
	}
	s := a.text(name)
	return &s
}

// listAnswer is one page of a list.
type listAnswer struct {
	Result []any   `json:"result"`
	Next   *string `json:"next_cursor"`
	Prev   *string `json:"prev_cursor"` // always null: lists have no way back
	Count  int     `json:"result_count"`
	Limit  int     `json:"limit"`
}

func listOf[T, V any](a *adminCall, p accounts.Page[T], show func(T) V) listAnswer {
	out := listAnswer{Result: make([]any, 0, len(p.Items)), Count: len(p.Items), Limit: a.limit()}
	for _, item := range p.Items {
		out.Result = append(out.Result, show(item))
	}
	if p.Next != "" {
		out.Next = &p.Next
	}
	return out
}

// limit returns the length of a full page.
func (a *adminCall) limit() int { return cmp.Or(a.query.Limit, accounts.DefaultPage) }

// texts returns a member of the body that is an array of texts, without its other entries.
func (a *adminCall) texts(name string) []string {
	var out []string
	list, _ := a.body[name].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// registerAdmin adds the routes of the admin API to e; without a store, the open ones only.
func (s *Server) registerAdmin(e *echo.Echo) {
	s.adminRoutes = slices.DeleteFunc(adminRoutes(), func(r adminRoute) bool { return s.store == nil && !r.open })
	var paths []string
	for _, r := range s.adminRoutes {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
			handleAll(e, r.path, s.handle(s.admin)) // a verb that the route lacks is refused after the token
		}
	}
}
