package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"portolan/gateway"
)

// maxListed limits the failures, and the names of an insight, in one answer. The rest is counted.
const maxListed = 100

// envelope is the body of an error answer, in the documented order.
type envelope struct {
	StatusCode     int                `json:"statusCode"`
	Error          string             `json:"error"`
	Message        string             `json:"message"`
	Details        *details           `json:"details,omitempty"`
	Insight        map[string]insight `json:"truto_error_insight,omitempty"`
	IsRemote       bool               `json:"truto_is_remote_error,omitempty"`
	ProviderStatus int                `json:"provider_status,omitempty"`
	RawResponse    any                `json:"raw_response,omitempty"`
	RawTruncated   bool               `json:"raw_response_truncated,omitempty"`
	Debug          *gateway.Debug     `json:"debug,omitempty"`
}

type details struct {
	Failures  []gateway.Failure     `json:"failures,omitempty"`
	Truncated int                   `json:"truncated,omitempty"`
	Mapping   *gateway.MappingPlace `json:"mapping,omitempty"`
}

type insight struct {
	Description string `json:"description"`
	Value       any    `json:"value,omitempty"`
}

// failed returns the error answer for p.
func failed(p *gateway.Problem) *answer { return failedWith(p, nil) }

// failedWith returns the error answer for p with a debug part, which may be nil.
func failedWith(p *gateway.Problem, debug *gateway.Debug) *answer {
	e := envelopeOf(p)
	e.Debug = debug
	a := jsonAnswer(p.Status, e)
	a.problem, a.report = p, p.Report
	if p.Report != nil {
		a = a.with(p.Report.Header()...)
	}
	if p.Status == http.StatusMethodNotAllowed && p.Remote == nil { // an empty header means that no method is allowed
		a = a.with(gateway.Header{Name: "Allow", Value: strings.Join(p.Allow, ", ")})
	}
	if p.RetryAfter != "" && !slices.ContainsFunc(a.header, func(h gateway.Header) bool { return h.Name == "Retry-After" }) {
		a = a.with(gateway.Header{Name: "Retry-After", Value: p.RetryAfter})
	}
	if p.Status == http.StatusUnauthorized && p.Remote == nil {
		a = a.with(gateway.Header{Name: "WWW-Authenticate", Value: "Bearer"})
	}
	return a
}

// debugAnswer is the debug format; Result is null if no call was made.
type debugAnswer struct {
	Result json.RawMessage `json:"result"`
	Debug  gateway.Debug   `json:"debug"`
}

// debug returns the debug part of an error answer; nil if the request did not ask for it or the
// account is not known.
func (s *Server) debug(q *request, report *gateway.Report, options gateway.Options) *gateway.Debug {
	if report == nil || options.Format != gateway.FormatDebug && !options.PlanOnly {
		return nil
	}
	d := s.debugOf(q, report)
	return &d
}

func (s *Server) debugOf(q *request, report *gateway.Report) gateway.Debug {
	d := report.Debug()
	d.Timings.GatewayMs = float64(s.now().Sub(q.start).Microseconds())/1000 - d.Timings.UpstreamMs
	return d
}

// ErrorAnswer returns the headers and the body of the answer for p.
func ErrorAnswer(p *gateway.Problem) (header []gateway.Header, body []byte) {
	a := failed(p)
	return a.header, a.body
}

func envelopeOf(p *gateway.Problem) *envelope {
	e := &envelope{StatusCode: p.Status, Error: http.StatusText(p.Status), Message: p.Message, Insight: insights(p)}
	if e.Error == "" {
		e.Error = "Error"
	}
	if len(p.Failures) > 0 || p.Mapping != nil {
		e.Details = &details{Failures: p.Failures[:min(len(p.Failures), maxListed)], Mapping: p.Mapping}
		e.Details.Truncated = len(p.Failures) - len(e.Details.Failures)
	}
	if p.Remote != nil {
		e.IsRemote, e.RawResponse, e.RawTruncated = true, p.Remote.Raw, p.Remote.Truncated
		if p.Remote.Status != p.Status {
			e.ProviderStatus = p.Remote.Status
		}
	}
	return e
}

// insights returns what a client can act on without reading the message. A list has at most
// maxListed names.
func insights(p *gateway.Problem) map[string]insight {
	out := map[string]insight{}
	var query, body []string
	for _, f := range p.Failures {
		if f.Code != gateway.CodeRequired {
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
	if p.Remote == nil {
		return out
	}
	out["remote_error"] = insight{"The provider refused the call or could not answer it.", p.Message}
	switch p.Status {
	case http.StatusTooManyRequests:
		out["rate_limit_error"] = insight{Description: "The provider's rate limit is reached. Wait before the next call."}
	case http.StatusForbidden:
		out["forbidden_error"] = insight{Description: "The connected account may not do this at the provider."}
	}
	return out
}

// firstNames returns the first maxListed of names, without consecutive repetitions.
func firstNames(names []string) []string {
	names = slices.Compact(names)
	return names[:min(len(names), maxListed)]
}

// summary describes p for the log, without text that comes from a caller or provider.
func summary(p *gateway.Problem) string {
	if len(p.Failures) == 0 {
		return http.StatusText(p.Status)
	}
	codes := make([]string, 0, len(p.Failures))
	for _, f := range p.Failures {
		codes = append(codes, string(f.Code))
	}
	slices.Sort(codes)
	return strings.Join(slices.Compact(codes), ",")
}

// internalError is the problem of a mistake in the server. Its log says more.
func internalError() *gateway.Problem {
	return &gateway.Problem{Status: http.StatusInternalServerError, Message: "internal error"}
}

// handleError answers requests for which Echo has no handler.
func (s *Server) handleError(err error, c echo.Context) {
	q := s.request(c)
	p := internalError()
	if errors.Is(err, echo.ErrNotFound) {
		p = noRoute(q.URL)
	}
	s.write(c.Response().Writer, q, s.answered(q, func(*request) *answer { return failed(p) }))
}
