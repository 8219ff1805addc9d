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
	op := engine.Operation{Model: q.param("model"), Resource: q.param("resource")}
	name, verbs, found := s.unifiedMethod(routePath(q.path), q.Method, op.Model, op.Resource)
	if !found || strings.Contains(q.path.Param("id"), "/") { // Echo's last parameter takes every further segment
		return failed(noRoute(q))
	}
	if p := s.checkSize(q); p != nil {
		return failed(p)
	}
	token, p := s.authenticate(q)
	if p != nil {
		return failed(p)
	}
	if op.Method = name; op.Method == "" {
		return failed(&gateway.Problem{Status: http.StatusMethodNotAllowed, Message: q.Method + " is not a method of this route", Allow: verbs})
	}
	a := s.call(q, op, gateway.Caller{Environment: token.Environment, AccountID: token.AccountID, RequestID: q.id})
	a.caller = token
	return a
}

// call takes a unified call through the gateway.
func (s *Server) call(q *request, op engine.Operation, caller gateway.Caller) *answer {
	var confirmed []gateway.Header
	strict := prefersStrict(q.Header)
	if strict {
		confirmed = []gateway.Header{{Name: "Preference-Applied", Value: "handling=strict"}}
	}
	id := q.param("id")
	params, failures := readCall(q.URL.RawQuery, id)
	if params.account == "" {
		return failed(gateway.Invalid(append(failures, s.checkWithoutAccount(q, op, params)...))).with(confirmed...)
	}
	ready, p := s.gateway.Open(q.Context(), caller, gateway.Target{Operation: op, AccountID: params.account, ID: id})
	if p != nil {
		p.Allow = verbsOf(routePath(q.path), p.Mapped)
		return failed(p).with(confirmed...)
	}
	body, bad := readBody(q.Request)
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

// checkWithoutAccount is what can be said of a request whose account is not known.
func (s *Server) checkWithoutAccount(q *request, op engine.Operation, params params) []gateway.Failure {
	snapshot := s.gateway.Snapshot()
	failures := snapshot.CheckExclusions(op, params.options.Exclude)
	body, bad := readBody(q.Request)
	if bad != nil {
		return failures
	}
	return append(failures, snapshot.CheckBody(op, body)...)
}

// succeeded answers with the record, in the format asked for.
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

// ReadCall reads a unified request that is written as a verb, a target
// ("/unified/<model>/<resource>/<id>?<query>") and a JSON body, as the server reads it from
// the wire. It knows the syntax of a request; whether there is such a model, account or field
// is for the gateway.
func ReadCall(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return gateway.Target{}, nil, &gateway.Problem{Status: http.StatusNotFound, Message: "there is no route " + target}
	}
	found := false
	for _, route := range unifiedRoutes() {
		values, matches := route.match(u)
		if found = found || matches; !matches || route.verb != verb {
			continue
		}
		params, failures := readCall(u.RawQuery, values["id"])
		decoded, bad := decodeBody(body)
		if bad != nil {
			return gateway.Target{}, nil, bodyProblem(bad)
		}
		if params.account == "" {
			return gateway.Target{}, nil, gateway.Invalid(failures)
		}
		op := engine.Operation{Model: values["model"], Resource: values["resource"], Method: route.method}
		return gateway.Target{Operation: op, AccountID: params.account, ID: values["id"]}, params.input(decoded, failures), nil
	}
	if found {
		return gateway.Target{}, nil, &gateway.Problem{Status: http.StatusMethodNotAllowed, Message: verb + " is not a method of this route"}
	}
	return gateway.Target{}, nil, &gateway.Problem{Status: http.StatusNotFound, Message: "there is no route " + u.EscapedPath()}
}

// readCall decodes the query and judges the path's id. The account is "" if one of them makes
// it pointless to look for it.
func readCall(raw, id string) (params, []gateway.Failure) {
	decoded, failures := decodeQuery(raw)
	p := params{}
	if len(failures) == 0 {
		p, failures = readParams(decoded)
	}
	if reason := badID(id); reason != "" {
		failures = append(failures, gateway.Failuref(gateway.PathID, gateway.CodeFormat, "the id of the path %s", reason))
	}
	return p, failures
}

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

// prefersStrict reads Prefer (RFC 7240).
func prefersStrict(h http.Header) bool {
	for _, line := range h.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.SplitN(preference, ";", 2)[0], "=")
			if strings.EqualFold(strings.TrimSpace(name), "handling") { // the first one stated counts
				return strings.EqualFold(strings.Trim(strings.TrimSpace(value), `"`), "strict")
			}
		}
	}
	return false
}

// forwarded are the headers that go to the provider as they are.
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
