package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
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
	do func(ctx context.Context, a *adminCall) (any, *problem)
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
	*exchange
	id       string // of the path
	query    adminQuery
	body     map[string]any
	failures []Failure // so far
}

// admin serves every route for administrators.
func (s *Server) admin(c echo.Context) error {
	x := exchangeOf(c.Request())
	if p := x.manage(c); p != nil {
		x.fail(p)
	}
	return nil
}

// manage takes the exchange through all steps; a problem ends it.
func (x *exchange) manage(c echo.Context) *problem {
	ctx := x.request.Context()
	x.writer.Header().Set("Cache-Control", "no-store")
	if strings.Contains(c.Param("id"), "/") { // Echo's last parameter takes every further segment
		return &problem{status: http.StatusNotFound, message: "there is no route " + x.request.URL.EscapedPath()}
	}
	if p := x.checkSize(); p != nil {
		return p
	}
	if p := x.authenticate(ctx); p != nil {
		return p
	}
	var route *adminRoute
	var verbs []string
	for _, r := range x.server.adminRoutes {
		if r.path == c.Path() {
			verbs = append(verbs, r.verb)
			if r.verb == x.request.Method {
				route = &r
			}
		}
	}
	if route == nil {
		return &problem{status: http.StatusMethodNotAllowed, message: x.request.Method + " is not a method of this route", allow: verbs}
	}
	if x.token.Role != accounts.RoleAdmin || x.token.AccountID != "" {
		return forbidden("this needs a token with the role admin")
	}
	a := &adminCall{exchange: x, id: pathParam(c, "id")}
	a.query, a.failures = readAdminQuery(x.request.URL.RawQuery, route.query)
	if route.body != "" {
		if p := a.readBody(route); p != nil {
			return p
		}
	}
	if x.decodeOnly {
		return a.refusal()
	}
	answer, p := route.do(ctx, a)
	if p != nil {
		return p
	}
	status := http.StatusOK
	if route.verb == http.MethodPost {
		status = http.StatusCreated
	}
	x.writeJSON(status, answer)
	return nil
}

func forbidden(message string) *problem {
	return &problem{status: http.StatusForbidden, message: message}
}

// readBody reads the body and holds it against the route's schema.
func (a *adminCall) readBody(route *adminRoute) *problem {
	body, err := readBody(a.writer, a.request, a.server.limits.Body)
	bad, refused := errors.AsType[*bodyError](err)
	switch {
	case refused && bad.status == http.StatusBadRequest:
		if route.optional && len(bad.failures) == 1 && bad.failures[0].Code == CodeEmpty {
			break
		}
		return invalid(append(a.failures, bad.failures...))
	case err != nil:
		return bodyProblem(err)
	}
	a.body = body
	a.failures = append(a.failures, distinct(bodyFailures(a.server.adminSchemas[route.body], body))...)
	return nil
}

func (a *adminCall) failf(pointer string, code Code, format string, args ...any) {
	a.failures = append(a.failures, failuref(pointer, code, format, args...))
}

// refusal is the problem of all failures so far; nil where there are none.
func (a *adminCall) refusal() *problem {
	if len(a.failures) == 0 {
		return nil
	}
	return invalid(distinct(a.failures))
}

// actor is the caller as the audit names it.
func (a *adminCall) actor() accounts.Actor {
	name := a.token.Name
	if a.token.Prefix != "" {
		name = fmt.Sprintf("token %s (%s)", a.token.Name, a.token.Prefix)
	}
	return accounts.Actor{Name: name, RequestID: a.exchange.id}
}

// storeProblem turns an error of the store into a problem: what names the thing that is
// not there, conflict why it cannot be changed as asked.
func (x *exchange) storeProblem(ctx context.Context, err error, what, conflict string) *problem {
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return &problem{status: http.StatusNotFound, message: "there is no " + what}
	case errors.Is(err, accounts.ErrConflict):
		return &problem{status: http.StatusConflict, message: conflict}
	case errors.Is(err, accounts.ErrCursor):
		return invalid([]Failure{failuref("?cursor", CodeFormat, "cursor is none that this list gave")})
	case errors.Is(ctx.Err(), context.Canceled):
		return &problem{status: statusClosed, message: "the request was cancelled"}
	}
	x.server.log.LogAttrs(ctx, slog.LevelError, "account store failed", slog.String("request_id", x.id), slog.Any("error", err))
	return unavailable()
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
			e.Any(r.path, s.admin) // the verb is checked after the token
		}
	}
}
