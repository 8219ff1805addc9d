package server

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"portolan/engine"
	"portolan/gateway"
)

// unified serves every unified method.
func (s *Server) unified(q *request) *answer {
	path, p := readUnifiedPath(q.URL)
	snapshot := s.gateway.Snapshot()
	if p != nil {
		return s.notFound(q, p, func() *gateway.Problem { return unknownPart(snapshot, q.URL) })
	}
	method, verbs := path.method(snapshot, q.Method)
	if len(verbs) == 0 {
		return s.notFound(q, noRoute(q.URL), func() *gateway.Problem { return snapshot.Unknown(path.operation("")) })
	}
	if a := answerVerb(q.Method, verbs); a != nil {
		return a
	}
	token, p := s.authenticate(q)
	switch {
	case p != nil:
		return failed(p)
	case method == "":
		return failed(notAllowed(q.Method, verbs)).withCaller(token)
	default:
		return s.call(q, path, method, gateway.Caller{Environment: token.Environment, AccountID: token.AccountID, RequestID: q.id}).withCaller(token)
	}
}

// notFound answers 404. Only callers with a valid token get the problem that names what exists.
func (s *Server) notFound(q *request, public *gateway.Problem, named func() *gateway.Problem) *answer {
	token, p := s.authenticate(q)
	if p != nil {
		return failed(public)
	}
	return failed(named()).withCaller(token)
}

// call makes a unified call with the gateway.
func (s *Server) call(q *request, path unifiedPath, method string, caller gateway.Caller) *answer {
	op := path.operation(method)
	var confirmed []gateway.Header
	strict := prefersStrict(q.Header)
	if strict {
		confirmed = []gateway.Header{{Name: "Preference-Applied", Value: "handling=strict"}}
	}
	params, failures := readCall(q.URL.RawQuery, path.id)
	if params.account == "" {
		return failed(gateway.Invalid(append(failures, s.checkWithoutAccount(q, op, params)...))).with(confirmed...)
	}
	ready, p := s.gateway.Open(q.Context(), caller, gateway.Target{Operation: op, AccountID: params.account, ID: path.id})
	if p != nil {
		p.Allow = path.verbsOf(p.Mapped)
		return failedWith(p, s.debug(q, p.Report, params.options)).with(confirmed...)
	}
	body, bad := readBody(q.Request, s.limits.Body)
	if bad != nil {
		return failed(bodyProblem(bad)).with(confirmed...).with(gateway.Header{Name: "Portolan-Mapping", Value: ready.Mapping()})
	}
	in := params.input(body, failures)
	in.Options.Strict, in.Header = strict, s.forwarded(q.Header)
	outcome, p := ready.Do(q.Context(), in)
	if p != nil {
		return failedWith(p, s.debug(q, p.Report, params.options)).with(confirmed...)
	}
	return s.succeeded(q, outcome, params.options).with(confirmed...)
}

// checkWithoutAccount returns the failures that do not depend on the account.
func (s *Server) checkWithoutAccount(q *request, op engine.Operation, params params) []gateway.Failure {
	snapshot := s.gateway.Snapshot()
	failures := snapshot.CheckExclusions(op, params.options.Exclude)
	body, bad := readBody(q.Request, s.limits.Body)
	if bad != nil {
		return failures
	}
	return append(failures, snapshot.CheckBody(op, body)...)
}

// succeeded returns the answer with the record, in the requested format.
func (s *Server) succeeded(q *request, o *gateway.Outcome, options gateway.Options) *answer {
	a := &answer{status: o.Status, header: o.Header, report: o.Report}
	switch {
	case options.PlanOnly:
		a.body = encodeJSON(debugAnswer{Debug: s.debugOf(q, o.Report)})
	case options.Format == gateway.FormatRaw:
		a.body = o.Body
		return a.with(gateway.Header{Name: "X-Content-Type-Options", Value: "nosniff"})
	case options.Format == gateway.FormatDebug:
		a.body = encodeJSON(debugAnswer{Result: o.Body, Debug: s.debugOf(q, o.Report)})
	default:
		a.body = o.Body
	}
	a.body = append(a.body, '\n')
	return a.with(gateway.Header{Name: "Content-Type", Value: "application/json"})
}

// ReadCall reads a unified request from a verb, a target
// ("/unified/<model>/<resource>/<id>?<query>") and a JSON body, as the server does. It checks
// the syntax, and whether the model and resource exist in snapshot; the gateway checks the rest.
func ReadCall(snapshot *gateway.Snapshot, verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return gateway.Target{}, nil, &gateway.Problem{Status: http.StatusNotFound, Message: "there is no route " + target}
	}
	u = normalizeURL(u)
	path, p := readUnifiedPath(u)
	if p != nil {
		return gateway.Target{}, nil, unknownPart(snapshot, u)
	}
	method, verbs := path.method(snapshot, verb)
	op := path.operation(method)
	switch {
	case len(verbs) == 0:
		return gateway.Target{}, nil, snapshot.Unknown(op)
	case !isVerb(verb):
		return gateway.Target{}, nil, unknownVerb()
	case method == "":
		return gateway.Target{}, nil, notAllowed(verb, verbs)
	}
	params, failures := readCall(u.RawQuery, path.id)
	decoded, bad := decodeBody(body)
	if bad != nil {
		return gateway.Target{}, nil, bodyProblem(bad)
	}
	if params.account == "" {
		return gateway.Target{}, nil, gateway.Invalid(failures)
	}
	return gateway.Target{Operation: op, AccountID: params.account, ID: path.id}, params.input(decoded, failures), nil
}

// readCall decodes the query and checks the id of the path. The account is "" if the query does not
// have a valid one.
func readCall(raw, id string) (params, []gateway.Failure) {
	decoded, failures := decodeQuery(raw)
	p := params{}
	if len(failures) == 0 {
		p, failures = readParams(decoded)
	}
	if reason := idProblem(id); reason != "" {
		failures = append(failures, gateway.Failuref(gateway.PathID, gateway.CodeFormat, "the id of the path %s", reason))
	}
	return p, failures
}

func idProblem(id string) string {
	switch {
	case id == "":
		return "is empty"
	case id == "." || id == "..":
		return `must not be "." or ".."`
	case !utf8.ValidString(id):
		return "is not valid UTF-8"
	case strings.ContainsFunc(id, unicode.IsControl):
		return "contains a control character"
	}
	return ""
}

// prefersStrict reports whether the header Prefer asks for handling=strict (RFC 7240).
func prefersStrict(h http.Header) bool {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.SplitN(preference, ";", 2)[0], "=")
			if strings.EqualFold(strings.TrimSpace(name), "handling") { // the first one counts
				return strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "strict")
			}
		}
	}
	return false
}

// forwarded returns the headers that are forwarded to the provider.
func (s *Server) forwarded(h http.Header) []engine.Param {
	var out []engine.Param
	for _, name := range s.forward {
		if v := h.Get(name); v != "" {
			out = append(out, engine.Param{Name: name, Value: v})
		}
	}
	return out
}

func bodyProblem(bad *bodyError) *gateway.Problem {
	if len(bad.failures) > 0 {
		return gateway.Invalid(bad.failures)
	}
	return &gateway.Problem{Status: bad.status, Message: bad.message}
}
