package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"portolan/engine"
	"portolan/schemas"
)

// Statuses of HTTP that a problem can have by itself.
const (
	statusOK               = 200
	statusBadRequest       = 400
	statusUnauthorized     = 401
	statusForbidden        = 403
	statusNotFound         = 404
	statusMethodNotAllowed = 405
	statusUnprocessable    = 422
	statusTooManyRequests  = 429
	statusInternal         = 500
	statusBadGateway       = 502
	statusUnavailable      = 503
	statusTimeout          = 504

	// StatusClosed stands, in logs and metrics only, for a caller that went away.
	StatusClosed = 499
)

// Limits of the failures of one request.
const (
	// MaxFailures is the number of failures after which validation stops, of each kind and in
	// total.
	MaxFailures = schemas.MaxViolations
	// maxNamed is the longest name in a message, in bytes.
	maxNamed = 100
	// maxMessage is the longest message of a provider's, in bytes.
	maxMessage = 2000
)

// busyRetryAfter is the Retry-After of a call that wrote nothing because the server is too busy or an
// expression took too long, in seconds.
const busyRetryAfter = "1"

// Problem is why a call failed. It is an error and contains no secret.
type Problem struct { //nolint:errname // callers see a problem; it is an error for the engine only
	Status     int
	Message    string
	Failures   []Failure
	Mapped     []string // the resource's methods that the integration maps; status 405 only
	Allow      []string // verbs of the route, for the faces that have some; status 405 only
	RetryAfter string   // in seconds; "" if unknown
	Mapping    *MappingPlace
	Remote     *Remote // the provider's answer; nil if it is not the cause
	Report     *Report // nil if the account is not known
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

// MappingPlace is the place of a mapping's failed expression.
type MappingPlace struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
	At   string `json:"at"` // which expression
}

// Remote is the provider's answer.
type Remote struct {
	Status    int
	Raw       any  // parsed JSON or text; nil for none
	Truncated bool // Raw is incomplete
}

// Invalid returns a problem of status 400 with the first MaxFailures failures. There must be at
// least one. Its message names their fields, except if a failure's message starts with a capital.
func Invalid(failures []Failure) *Problem {
	failures = failures[:min(len(failures), MaxFailures)]
	shown := make([]string, 0, 3)
	for _, f := range failures[:min(len(failures), 3)] {
		message := f.Message
		name := strings.TrimLeft(f.Pointer, "/?")
		start := name[:min(len(name), maxNamed)]
		if first, _ := utf8.DecodeRuneInString(message); name != "" && f.Pointer != PathID && !strings.HasPrefix(message, start) && !unicode.IsUpper(first) {
			message = shortened(name) + " " + message
		}
		shown = append(shown, message)
	}
	message := strings.ReplaceAll(strings.Join(shown, "; "), ".; ", "; ")
	if more := len(failures) - len(shown); more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	return &Problem{Status: statusBadRequest, Message: message, Failures: failures}
}

// shortened returns name for a message, at most maxNamed bytes of it.
func shortened(name string) string { return cut(name, maxNamed) }

// cut returns at most maximum bytes of text, and "…" if there are more.
func cut(text string, maximum int) string {
	if len(text) <= maximum {
		return text
	}
	return strings.ToValidUTF8(text[:maximum], "") + "…"
}

// Canceled returns the problem of a caller who left.
func Canceled() *Problem {
	return &Problem{Status: StatusClosed, Message: "the request was cancelled"}
}

// statusOf returns the status of a kind of error. There is no other such table.
func statusOf(kind engine.Kind) int {
	switch kind {
	case engine.KindInvalid:
		return statusBadRequest
	case engine.KindProvider, engine.KindUpstream:
		return statusBadGateway
	case engine.KindTimeout:
		return statusTimeout
	case engine.KindAccount:
		return statusUnprocessable
	case engine.KindCanceled:
		return StatusClosed
	default:
		return statusInternal
	}
}

// problemOf returns the problem of an engine's error. report may be nil.
func problemOf(err error, report *Report) *Problem {
	var p *Problem
	failed, isEngineError := errors.AsType[*engine.Error](err)
	switch own, isProblem := errors.AsType[*Problem](err); {
	case isProblem:
		with := *own
		p = &with
	case isEngineError:
		p = engineProblem(failed, report)
	default:
		p = &Problem{Status: statusInternal, Message: "internal error"}
	}
	p.Report = report
	return p
}

func engineProblem(e *engine.Error, report *Report) *Problem {
	p := &Problem{Status: statusOf(e.Kind)}
	switch e.Kind {
	case engine.KindInvalid:
		return Invalid(invalidCall(e, report))
	case engine.KindProvider:
		return remoteProblem(e, report)
	case engine.KindUpstream:
		p.Message = report.redact("no answer from the provider: " + e.Err.Error())
	case engine.KindTimeout:
		p.Message = "the provider did not answer in time"
	case engine.KindAccount:
		p.Message = "the integrated account cannot be used: " + e.Err.Error()
	case engine.KindCanceled:
		return Canceled()
	case engine.KindBusy:
		if errors.Is(e.Err, context.Canceled) {
			return Canceled()
		}
		p.Message = "the server is too busy: " + e.Err.Error()
		if report.wroteNothing() {
			p.Status, p.RetryAfter = statusUnavailable, busyRetryAfter
		}
	default:
		if errors.Is(e.Err, context.DeadlineExceeded) && report.wroteNothing() {
			p.Status, p.RetryAfter = statusUnavailable, busyRetryAfter
		}
		p.Message = "the mapping failed: " + e.Op
		if e.Pos.Line > 0 {
			p.Mapping = &MappingPlace{File: e.Pos.File, Line: e.Pos.Line, Col: e.Pos.Col, At: e.Op}
			if e.Err != nil {
				p.Message += ": " + e.Err.Error()
			}
		}
	}
	return p
}

func invalidCall(e *engine.Error, report *Report) []Failure {
	if errors.Is(e.Err, engine.ErrNothingToSend) {
		return nothingToSend(report.receipts())
	}
	return []Failure{Failuref(e.Pointer, CodeFormat, "%s", e.Err)}
}

// remoteProblem returns the provider's failure, with the caller's field names.
func remoteProblem(e *engine.Error, report *Report) *Problem {
	p := &Problem{Status: statusBadGateway, Message: "the provider's answer cannot be used", Remote: &Remote{}}
	if e.Err != nil {
		p.Message = e.Err.Error()
	}
	if e.Provider != nil {
		p.Status, p.Message = e.Provider.Status, report.message(e.Provider.Message)
		for _, f := range e.Provider.Fields[:min(len(e.Provider.Fields), MaxFailures)] {
			p.Failures = append(p.Failures, Failure{
				Pointer: report.callerField(f.Field), Code: CodeProvider, Message: report.message(f.Message), ProviderField: report.message(f.Field),
			})
		}
	}
	if e.Reply != nil {
		text, _ := e.Reply.Text()
		if e.Cause == engine.CauseTooManyValues { // it would be shown whole; now it is text, which is cut again
			text = text[:min(len(text), 2*maxRawText)]
		}
		raw, cut := report.masker().shownBody(text)
		p.Remote.Status, p.Remote.Raw, p.Remote.Truncated = e.Reply.Status, raw, cut || e.Reply.Truncated
		if p.Remote.Raw == nil {
			p.Remote.Raw = ""
		}
		p.RetryAfter = retryAfter(e.Reply.HeaderValue("Retry-After"), report.endedAt())
	}
	if p.RetryAfter == "" && p.Status == statusTooManyRequests && report != nil && report.Result != nil {
		p.RetryAfter = retryAfterReset(report.Result.Rate.Reset)
	}
	return p
}
