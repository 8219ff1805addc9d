package gateway

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan/engine"
	"portolan/plain"
)

// Report is everything known of a call, whether it failed or not. It is immutable. Its fields may
// contain secrets; the results of its methods do not.
type Report struct {
	Integration string
	Operation   string // "ticketing.users.update", or the name of an endpoint
	Mapping     string // version of the plan or endpoint
	Environment string
	AccountID   string
	Receipts    []engine.Receipt
	Result      *engine.Result // nil: no provider call was begun
	Warnings    []string       // violations of the response schema, and answers that were converted to UTF-8

	plan    *engine.Plan // nil: an endpoint without a mapping
	body    map[string]any
	secrets func() *masker // of the account; nil: none
	refused bool           // the call was not carried out and has no headers
	unsent  bool           // the call failed before its main call was begun
	ended   time.Time      // zero: the call was not carried out
}

func (r *Report) receipts() []engine.Receipt {
	if r == nil {
		return nil
	}
	return r.Receipts
}

func (r *Report) endedAt() time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.ended
}

// wroteNothing reports whether no provider call was begun that may write.
func (r *Report) wroteNothing() bool {
	return r != nil && (r.Result == nil || !slices.ContainsFunc(r.Result.Steps, func(s engine.StepResult) bool {
		return s.Call != nil && s.Call.Method != "GET"
	}))
}

// callerField returns the caller's field that sets the provider's; "" if none is known.
func (r *Report) callerField(field string) string {
	if r == nil || r.plan == nil {
		return ""
	}
	return r.plan.Support().Pointer(field, r.body)
}

// FailedCall is a failed provider call for logs. It contains no secret, and of the answer only the
// status.
type FailedCall struct {
	Step   string       // "main" for the main call
	Host   string       // with its port if the URL names one; "" if the call could not be built
	Status int          // the provider's; 0 if there was no answer
	Cause  engine.Cause // "" if the status is the cause
}

// Failed returns the last provider call that failed and was not made again; nil if none did.
func (r *Report) Failed() *FailedCall {
	if r.Result == nil {
		return nil
	}
	s := r.Result.Failed()
	if s == nil {
		return nil
	}
	out := &FailedCall{Step: s.Name, Status: s.Status()}
	if s.Call != nil {
		out.Host = r.redact(hostOf(s.Call.ShownURL))
	}
	if e, ok := errors.AsType[*engine.Error](s.Err); ok {
		out.Cause = e.Cause
	}
	return out
}

// hostOf returns host and port of a URL that may be masked.
func hostOf(shown string) string {
	_, rest, _ := strings.Cut(shown, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

// Header is one header of an answer.
type Header struct{ Name, Value string }

// Header returns the headers of the contract, whether the call succeeded or not.
func (r *Report) Header() []Header {
	var out []Header
	set := func(name, value string) {
		if value != "" {
			out = append(out, Header{name, value})
		}
	}
	set("Portolan-Mapping", r.Mapping)
	if r.refused {
		return out
	}
	set("Portolan-Unsupported", unsupportedHeader(r.Receipts))
	if len(r.Warnings) > 0 {
		set("Portolan-Response-Warnings", strconv.Itoa(len(r.Warnings)))
	}
	if r.Result == nil {
		return out
	}
	rate := func(name, value string) {
		if strings.Trim(value, "0123456789") != "" {
			value = r.redact(value)
		}
		set(name, value)
	}
	rate("ratelimit-limit", r.Result.Rate.Limit)
	rate("ratelimit-remaining", r.Result.Rate.Remaining)
	rate("ratelimit-reset", r.Result.Rate.Reset)
	set("Portolan-Partial", strings.Join(r.Result.Partial, ", "))
	if main := r.Result.Main; main != nil && main.Reply != nil {
		set("Retry-After", retryAfter(main.Reply.HeaderValue("Retry-After"), r.ended))
	}
	return out
}

// Debug is the member debug of the debug format: requests and answers, with secrets masked.
type Debug struct {
	RequestURL      string            `json:"requestUrl"`
	RequestOptions  RequestOptions    `json:"requestOptions"`
	Data            any               `json:"data"`                    // JSON, or text; nil for none
	DataTruncated   bool              `json:"dataTruncated,omitempty"` // Data is incomplete
	ResponseHeaders map[string]string `json:"responseHeaders"`
	Fields          []engine.Receipt  `json:"fields"`                    // at most maxReceipts
	FieldsTruncated int               `json:"fieldsTruncated,omitempty"` // number of further receipts
	Steps           []DebugStep       `json:"steps"`
	Timings         Timings           `json:"timings"`
	Warnings        []string          `json:"warnings,omitempty"`
}

// RequestOptions are the parts of the main call beside its URL.
type RequestOptions struct {
	Method        string            `json:"method"`
	Headers       map[string]string `json:"headers"`
	Body          any               `json:"body"`                    // JSON, or text; nil for none
	BodyTruncated bool              `json:"bodyTruncated,omitempty"` // Body is incomplete
}

// DebugStep is one provider call.
type DebugStep struct {
	Name       string   `json:"name"`
	RequestURL string   `json:"requestUrl,omitempty"`
	Method     string   `json:"method,omitempty"`
	DependsOn  []string `json:"dependsOn,omitempty"` // steps whose answers a planned call needs
	Status     int      `json:"status,omitempty"`
	DurationMs float64  `json:"durationMs"`
	Attempts   int      `json:"attempts"`
	Error      string   `json:"error,omitempty"`
}

// Timings are in milliseconds. The face sets GatewayMs, because it knows when the request began.
type Timings struct {
	GatewayMs  float64 `json:"gatewayMs"`
	UpstreamMs float64 `json:"upstreamMs"`
}

// Debug returns the report in the debug format.
func (r *Report) Debug() Debug {
	out := Debug{
		RequestOptions: RequestOptions{Headers: map[string]string{}}, ResponseHeaders: map[string]string{},
		Steps: []DebugStep{}, Warnings: r.Warnings,
	}
	out.Fields, out.FieldsTruncated = r.shownReceipts()
	if r.Result == nil {
		return out
	}
	out.Timings.UpstreamMs = float64(r.Result.Waited().Microseconds()) / 1000
	for i := range r.Result.Steps {
		out.Steps = append(out.Steps, r.debugStep(&r.Result.Steps[i]))
	}
	main := r.Result.Main
	if main == nil {
		return out
	}
	if call := main.Call; call != nil {
		out.RequestURL = r.redact(call.ShownTarget())
		out.RequestOptions.Method = call.Method
		out.RequestOptions.Body, out.RequestOptions.BodyTruncated = r.masker().shownBody(call.Body)
		for _, p := range call.Header {
			out.RequestOptions.Headers[p.Name] = r.redact(p.Shown())
		}
	}
	if reply := main.Reply; reply != nil {
		text, _ := reply.Text()
		data, cut := r.masker().shownBody(text)
		out.Data, out.DataTruncated = data, cut || reply.Truncated
		for name, value := range reply.PublicHeader() {
			out.ResponseHeaders[name] = r.redact(plain.Text(value))
		}
	}
	return out
}

// maxReceipts limits the receipts of one answer. The rest is counted.
const maxReceipts = 1000

// shownReceipts returns the first receipts and the number of further ones. If the main call was not
// begun, nothing is applied, and only what is unsupported is listed.
func (r *Report) shownReceipts() (shown []engine.Receipt, more int) {
	shown = []engine.Receipt{}
	for _, receipt := range r.Receipts {
		switch {
		case r.unsent && receipt.Outcome != engine.Unsupported:
		case len(shown) == maxReceipts:
			more++
		default:
			shown = append(shown, receipt)
		}
	}
	return shown, more
}

func (r *Report) debugStep(s *engine.StepResult) DebugStep {
	out := DebugStep{
		Name: s.Name, Status: s.Status(), DependsOn: s.Depends, Attempts: s.Attempts,
		DurationMs: float64(s.Waited.Microseconds()) / 1000,
	}
	if s.Call != nil {
		out.RequestURL, out.Method = r.redact(s.Call.ShownTarget()), s.Call.Method
	}
	if s.Err != nil {
		out.Error = r.message(s.Err.Error())
	}
	return out
}
