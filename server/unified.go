package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/engine"
)

// unified serves every unified method.
func (s *Server) unified(c echo.Context) error {
	x := exchangeOf(c.Request())
	if p := x.run(c); p != nil {
		x.fail(p)
	}
	return nil
}

// run takes the exchange through all steps; a problem ends it.
func (x *exchange) run(c echo.Context) *problem {
	s, ctx := x.server, x.request.Context()
	op := engine.Operation{Model: pathParam(c, "model"), Resource: pathParam(c, "resource")}
	name, verbs, found := s.unifiedMethod(routePath(c), x.request.Method, op.Model, op.Resource)
	if !found || strings.Contains(c.Param("id"), "/") { // Echo's last parameter takes every further segment
		return &problem{status: http.StatusNotFound, message: "there is no route " + x.request.URL.EscapedPath()}
	}
	if p := x.checkSize(); p != nil {
		return p
	}
	if p := x.authenticate(ctx); p != nil {
		return p
	}
	if name == "" {
		return &problem{status: http.StatusMethodNotAllowed, message: x.request.Method + " is not a method of this route", allow: verbs}
	}
	op.Method = name
	x.method = s.methods[op]
	x.strict = x.prefersStrict()
	x.call = &engine.Request{ID: pathParam(c, "id"), Header: x.forwarded()}

	failures := x.readQuery()
	if x.params.account == "" {
		return invalid(append(failures, x.judgeWithoutMapping()...))
	}
	if p := x.findAccount(ctx); p != nil {
		return p
	}
	x.plan = s.catalog.Plan(x.account.Integration, op)
	if x.plan == nil {
		return &problem{
			status: http.StatusMethodNotAllowed, message: fmt.Sprintf("the integration of this account does not map %s", op),
			allow: verbsOf(routePath(c), s.catalog.Methods(x.account.Integration, op.Model, op.Resource)),
		}
	}
	if p := x.override(); p != nil {
		return p
	}
	x.writer.Header().Set("Portolan-Mapping", x.plan.Version())
	body, err := readBody(x.writer, x.request, s.limits.Body)
	if err != nil {
		return bodyProblem(err)
	}
	x.fill(body)
	x.receipts = x.plan.Receipts(x.call)
	if failures = distinct(append(failures, x.judge()...)); len(failures) > 0 {
		return invalid(failures)
	}
	if x.decodeOnly {
		return nil
	}
	x.noteReceipts()
	return x.carryOut(ctx)
}

// pathParam is one path segment, decoded once. Echo hands it on still encoded where the
// path holds an escape that the path's plain form does not show.
func pathParam(c echo.Context, name string) string {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v
	}
	decoded, err := url.PathUnescape(v)
	if err != nil {
		return v
	}
	return decoded
}

func (x *exchange) checkSize() *problem {
	limits := x.server.limits
	if n := len(x.request.URL.EscapedPath()) + len(x.request.URL.RawQuery) + 1; n > limits.Target {
		return &problem{status: http.StatusRequestURITooLong, message: fmt.Sprintf("the request target is over %d bytes", limits.Target)}
	}
	size := 0
	for name, values := range x.request.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > limits.Header {
		return &problem{status: http.StatusRequestHeaderFieldsTooLarge, message: fmt.Sprintf("the headers are over %d bytes", limits.Header)}
	}
	return nil
}

func (x *exchange) authenticate(ctx context.Context) *problem {
	values := x.request.Header.Values("Authorization")
	refused := func(message string) *problem { return &problem{status: http.StatusUnauthorized, message: message} }
	if len(values) == 0 {
		return refused("the request has no token: send Authorization: Bearer <token>")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return refused("send one header Authorization: Bearer <token>")
	}
	if p := x.throttled(); p != nil {
		return p
	}
	found, err := x.server.accounts.Authenticate(ctx, strings.TrimSpace(token))
	switch {
	case errors.Is(err, accounts.ErrUnauthorized):
		x.failedAuthentication()
		return refused("the token is not valid")
	case err != nil:
		return x.storeProblem(ctx, err, "", "")
	}
	x.token = found
	return nil
}

// storeRetryAfter is what a caller is told to wait when the store is away, in seconds.
const storeRetryAfter = "5"

func unavailable() *problem {
	return &problem{status: http.StatusServiceUnavailable, message: "the account store cannot be reached", retry: storeRetryAfter}
}

func (x *exchange) findAccount(ctx context.Context) *problem {
	account, err := x.server.accounts.Account(ctx, x.token.Environment, x.params.account)
	if err == nil && x.token.AccountID != "" && x.token.AccountID != account.ID { // whose token it is, is all it knows
		err = accounts.ErrNotFound
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return &problem{status: http.StatusNotFound, message: "there is no integrated account " + x.params.account}
	case err != nil:
		return x.storeProblem(ctx, err, "", "")
	}
	x.account = account
	return x.checkStatus()
}

// prefersStrict reads Prefer (RFC 7240) and confirms what it asks for.
func (x *exchange) prefersStrict() bool {
	for _, line := range x.request.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.SplitN(preference, ";", 2)[0], "=")
			if !strings.EqualFold(strings.TrimSpace(name), "handling") {
				continue
			}
			// The first one stated counts.
			strict := strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "strict")
			if strict {
				x.writer.Header().Set("Preference-Applied", "handling=strict")
			}
			return strict
		}
	}
	return false
}

func (x *exchange) forwarded() []engine.Param {
	var out []engine.Param
	for _, name := range x.server.forward {
		if v := x.request.Header.Get(name); v != "" {
			out = append(out, engine.Param{Name: name, Value: v})
		}
	}
	return out
}

func bodyProblem(err error) *problem {
	var b *bodyError
	if !errors.As(err, &b) {
		return &problem{status: http.StatusBadRequest, message: "the body cannot be read"}
	}
	if len(b.failures) > 0 {
		return invalid(b.failures)
	}
	return &problem{status: b.status, message: b.message}
}

// readQuery decodes the query and the path's id; the account is "" where one of them makes
// it pointless to look for it.
func (x *exchange) readQuery() []Failure {
	decoded, failures := decodeQuery(x.request.URL.RawQuery)
	undecoded := len(failures) > 0
	if !undecoded {
		x.params, failures = readParams(decoded)
		failures = append(failures, x.checkExclusions()...)
	}
	if undecoded {
		x.params.account = ""
	}
	if reason := badID(x.call.ID); reason != "" {
		failures = append(failures, failuref(pathID, CodeFormat, "the id of the path %s", reason))
	}
	return failures
}

// pathID is the pointer of the path's id, which is neither in the body nor in the query.
const pathID = "{id}"

func badID(id string) string {
	switch {
	case id == "":
		return "is empty"
	case id == "." || id == "..":
		return `must not be "." or ".."`
	case !utf8.ValidString(id):
		return "is not valid UTF-8"
	case strings.ContainsFunc(id, unicode.IsControl):
		return "holds a control character"
	}
	return ""
}

// fill completes the engine's request with what has been read.
func (x *exchange) fill(body map[string]any) {
	x.call.Body = body
	x.call.Query = completeConsts(x.server.plans[x.plan.Base()].queryDoc, x.params.query)
	x.call.RawQuery = x.params.rawQuery
	x.call.RemoteQuery = x.params.remote
	x.call.Context = engine.Context(x.account.Context)
	x.call.BaseURL = x.account.BaseURL
}

// carryOut calls the provider and answers.
func (x *exchange) carryOut(ctx context.Context) *problem {
	mode := engine.Full
	switch {
	case x.params.skipCall:
		mode = engine.PlanOnly
	case x.params.format == formatRaw:
		mode = engine.MainOnly
	}
	if mode != engine.PlanOnly {
		if p := x.renew(ctx, x.server.keeper.Fresh); p != nil {
			return p
		}
	}
	err := x.attempt(ctx, mode)
	if mode != engine.PlanOnly && x.refusedToken(err) {
		refused := x.account.Grant.AccessToken
		if p := x.renew(ctx, x.server.keeper.Renew); p != nil {
			return p
		}
		if x.account.Grant.AccessToken != refused { // else it is not the token that the provider minds
			err = x.attempt(ctx, mode)
		}
	}
	x.noteResult()
	if err != nil {
		return x.problemOf(err)
	}
	return x.answer(ctx)
}
