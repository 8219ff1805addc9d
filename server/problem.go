package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/engine"
	"portolan/schemas"
)

// Limits of the failures of one request.
const (
	maxFailures = 100                   // listed in the answer; the rest is counted
	maxBuilt    = schemas.MaxViolations // built of each kind and counted in all; what is more is not looked for
	maxNamed    = 100                   // bytes of a name that a message starts with
)

// problem is why a request got no success. It is what an error envelope is made of.
type problem struct {
	status   int
	message  string
	failures []Failure
	allow    []string // verbs; status 405 only
	retry    string   // Retry-After in seconds; "" for none
	mapping  *mappingPlace
	remote   *remoteProblem
}

// mappingPlace is the mapping's expression at fault.
type mappingPlace struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
	At   string `json:"at"` // which expression
}

// remoteProblem is what the provider answered.
type remoteProblem struct {
	status int // its own
	raw    any // parsed JSON or text
}

// envelope is the error answer in the order in which it is documented.
type envelope struct {
	StatusCode     int                `json:"statusCode"`
	Error          string             `json:"error"`
	Message        string             `json:"message"`
	Details        *details           `json:"details,omitempty"`
	Insight        map[string]insight `json:"truto_error_insight,omitempty"`
	IsRemote       bool               `json:"truto_is_remote_error,omitempty"`
	ProviderStatus int                `json:"provider_status,omitempty"`
	RawResponse    any                `json:"raw_response,omitempty"`
}

type details struct {
	Failures  []Failure     `json:"failures,omitempty"`
	Truncated int           `json:"truncated,omitempty"`
	Mapping   *mappingPlace `json:"mapping,omitempty"`
}

type insight struct {
	Description string `json:"description"`
	Value       any    `json:"value,omitempty"`
}

// invalid is status 400 for failures, of which there is at least one and the first
// maxBuilt are used.
func invalid(failures []Failure) *problem {
	failures = failures[:min(len(failures), maxBuilt)]
	shown := make([]string, 0, 3)
	for _, f := range failures[:min(len(failures), 3)] {
		message := f.Message
		name := strings.TrimLeft(f.Pointer, "/?")
		start := name[:min(len(name), maxNamed)]
		if name != "" && f.Pointer != pathID && !strings.HasPrefix(message, start) {
			message = shortened(name) + " " + message
		}
		shown = append(shown, message)
	}
	message := strings.Join(shown, "; ")
	if more := len(failures) - len(shown); more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	return &problem{status: http.StatusBadRequest, message: message, failures: failures}
}

// shortened is name as a message holds it: maxNamed bytes at most.
func shortened(name string) string {
	if len(name) <= maxNamed {
		return name
	}
	return strings.ToValidUTF8(name[:maxNamed], "") + "…"
}

// fail answers with p, unless the answer has begun.
func (x *exchange) fail(p *problem) {
	x.problem = p
	if x.writer.status != 0 {
		return
	}
	h := x.writer.Header()
	if p.status == http.StatusMethodNotAllowed && p.remote == nil { // empty where nothing is allowed
		h.Set("Allow", strings.Join(p.allow, ", "))
	}
	if p.retry != "" && h.Get("Retry-After") == "" {
		h.Set("Retry-After", p.retry)
	}
	if p.status == http.StatusUnauthorized && p.remote == nil {
		h.Set("WWW-Authenticate", "Bearer")
	}
	x.writeJSON(p.status, p.envelope())
}

func (p *problem) envelope() envelope {
	e := envelope{StatusCode: p.status, Error: http.StatusText(p.status), Message: p.message, Insight: p.insight()}
	if e.Error == "" {
		e.Error = "Error"
	}
	if len(p.failures) > 0 || p.mapping != nil {
		e.Details = &details{Failures: p.failures[:min(len(p.failures), maxFailures)], Mapping: p.mapping}
		e.Details.Truncated = len(p.failures) - len(e.Details.Failures)
	}
	if p.remote != nil {
		e.IsRemote, e.RawResponse = true, p.remote.raw
		if p.remote.status != p.status {
			e.ProviderStatus = p.remote.status
		}
	}
	return e
}

// insight sums up what a client may act on without reading the message. A list in it has
// maxFailures names at most.
func (p *problem) insight() map[string]insight {
	out := map[string]insight{}
	var query, body []string
	for _, f := range p.failures {
		if f.Code != CodeRequired {
			continue
		}
		if name, inQuery := strings.CutPrefix(f.Pointer, "?"); inQuery {
			query = append(query, name)
		} else {
			body = append(body, strings.TrimPrefix(f.Pointer, "/"))
		}
	}
	if len(query) > 0 {
		out["missing_required_query_parameters"] = insight{"The request lacks query parameters that this call needs.", firstNames(query)}
	}
	if len(body) > 0 {
		out["missing_required_body_fields"] = insight{"The body lacks fields that this call needs.", firstNames(body)}
	}
	if p.remote == nil {
		return out
	}
	out["remote_error"] = insight{"The provider refused the call or could not answer it.", p.message}
	switch p.status {
	case http.StatusTooManyRequests:
		out["rate_limit_error"] = insight{Description: "The provider's rate limit is reached. Wait before the next call."}
	case http.StatusForbidden:
		out["forbidden_error"] = insight{Description: "The connected account may not do this at the provider."}
	}
	return out
}

// firstNames are the first maxFailures of names, repetitions beside each other left out.
func firstNames(names []string) []string {
	names = slices.Compact(names)
	return names[:min(len(names), maxFailures)]
}

// summary is for the log: no text that a caller or provider chose.
func (p *problem) summary() string {
	if len(p.failures) == 0 {
		return http.StatusText(p.status)
	}
	codes := make([]string, 0, len(p.failures))
	for _, f := range p.failures {
		codes = append(codes, string(f.Code))
	}
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), ",")
}

// StatusClosed is told, in logs and metrics only, of a caller that went away.
const statusClosed = 499

// problemOf turns a run-time error into a problem. It is the one place that gives a Kind
// its status.
func (x *exchange) problemOf(err error) *problem {
	var e *engine.Error
	if !errors.As(err, &e) {
		return &problem{status: http.StatusInternalServerError, message: "internal error"}
	}
	switch e.Kind {
	case engine.KindInvalid:
		return invalid([]Failure{invalidCall(e)})
	case engine.KindProvider:
		return x.remoteProblem(e)
	case engine.KindUpstream:
		return &problem{status: http.StatusBadGateway, message: x.redact("no answer from the provider: " + e.Err.Error())}
	case engine.KindTimeout:
		return &problem{status: http.StatusGatewayTimeout, message: "the provider did not answer in time"}
	case engine.KindAccount:
		return &problem{status: http.StatusUnprocessableEntity, message: "the integrated account cannot be used: " + e.Err.Error()}
	case engine.KindCanceled:
		return &problem{status: statusClosed, message: "the request was cancelled"}
	default:
		p := &problem{status: http.StatusInternalServerError, message: "the mapping failed: " + e.Op}
		if e.Pos.Line > 0 {
			p.mapping = &mappingPlace{File: e.Pos.File, Line: e.Pos.Line, Col: e.Pos.Col, At: e.Op}
			if e.Err != nil {
				p.message += ": " + e.Err.Error()
			}
		}
		return p
	}
}

func invalidCall(e *engine.Error) Failure {
	code := CodeFormat
	if errors.Is(e.Err, engine.ErrNothingToSend) {
		code = CodeEmpty
	}
	return failuref(e.Pointer, code, "%s", e.Err)
}

// remoteProblem tells what the provider said, its field names turned into the caller's.
func (x *exchange) remoteProblem(e *engine.Error) *problem {
	p := &problem{status: http.StatusBadGateway, message: "the provider's answer is no use", remote: &remoteProblem{}}
	if e.Err != nil {
		p.message = e.Err.Error()
	}
	if e.Provider != nil {
		p.status, p.message = e.Provider.Status, x.redact(e.Provider.Message)
		for _, f := range e.Provider.Fields[:min(len(e.Provider.Fields), maxBuilt)] {
			p.failures = append(p.failures, Failure{
				Pointer: x.plan.Support().Pointer(f.Field, x.call.Body), Code: CodeProvider,
				Message: x.redact(f.Message), ProviderField: f.Field,
			})
		}
	}
	if e.Reply != nil {
		p.remote.status, p.remote.raw = e.Reply.Status, x.rawResponse(e.Reply.Body)
		p.retry = e.Reply.Header.Get("Retry-After")
	}
	if p.retry == "" && p.status == http.StatusTooManyRequests {
		p.retry = defaultRetryAfter
		if x.result != nil && x.result.Rate.Reset != "" {
			p.retry = x.result.Rate.Reset
		}
	}
	return p
}

// defaultRetryAfter is for a provider that limits and does not say for how long, in seconds.
const defaultRetryAfter = "60"

// maxRawText is how much of an answer that is no JSON is shown, in bytes.
const maxRawText = 64 << 10

// rawResponse is the provider's body for the error envelope: JSON as it is, text cut.
func (x *exchange) rawResponse(body []byte) any {
	text := x.redact(string(body))
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	if len(text) > maxRawText {
		text = text[:maxRawText]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// otherwise answers what Echo found no handler for.
func (s *Server) otherwise(err error, c echo.Context) {
	x := exchangeOf(c.Request())
	p := &problem{status: http.StatusInternalServerError, message: "internal error"}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		p.status = he.Code
		p.message = "there is no route " + c.Request().URL.EscapedPath()
		if he.Code == http.StatusMethodNotAllowed {
			p.message = c.Request().Method + " is not a method of this route"
			p.allow = strings.Split(c.Response().Header().Get("Allow"), ", ")
		}
	}
	x.fail(p)
}
