package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"portolan/engine"
)

// debugAnswer is the debug format; Result is null where no call was made.
type debugAnswer struct {
	Result json.RawMessage `json:"result"`
	Debug  debugInfo       `json:"debug"`
}

type debugInfo struct {
	RequestURL      string            `json:"requestUrl"`
	RequestOptions  requestOptions    `json:"requestOptions"`
	Data            any               `json:"data"`
	ResponseHeaders map[string]string `json:"responseHeaders"`
	Fields          []engine.Receipt  `json:"fields"`
	Steps           []debugStep       `json:"steps"`
	Timings         timings           `json:"timings"`
	Warnings        []string          `json:"warnings,omitempty"`
}

type requestOptions struct {
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers"`
	Body    any               `json:"body"`
}

type debugStep struct {
	Name       string  `json:"name"`
	RequestURL string  `json:"requestUrl,omitempty"`
	Method     string  `json:"method,omitempty"`
	Status     int     `json:"status,omitempty"`
	DurationMs float64 `json:"durationMs"`
	Attempts   int     `json:"attempts"`
	Error      string  `json:"error,omitempty"`
}

type timings struct {
	GatewayMs  float64 `json:"gatewayMs"`
	UpstreamMs float64 `json:"upstreamMs"`
}

// debug tells what was sent and what came back, secrets masked.
func (x *exchange) debug() debugInfo {
	call := x.result.Call
	info := debugInfo{
		RequestURL:      x.redact(call.ShownTarget()),
		RequestOptions:  requestOptions{Method: call.Method, Headers: map[string]string{}, Body: x.shownBody(call.Body)},
		ResponseHeaders: map[string]string{},
		Fields:          x.receipts, Steps: []debugStep{}, Warnings: x.warnings,
		Timings: timings{
			GatewayMs:  float64((x.server.now().Sub(x.start) - x.result.Waited).Microseconds()) / 1000,
			UpstreamMs: float64(x.result.Waited.Microseconds()) / 1000,
		},
	}
	if info.Fields == nil {
		info.Fields = []engine.Receipt{}
	}
	for _, p := range call.Header {
		info.RequestOptions.Headers[p.Name] = x.redact(p.Shown())
	}
	if reply := x.result.Reply; reply != nil {
		info.Data = x.shownBody(reply.Body)
		info.ResponseHeaders = x.shownHeader(reply.Header)
	}
	for _, s := range x.result.Steps {
		info.Steps = append(info.Steps, x.debugStep(s))
	}
	return info
}

func (x *exchange) debugStep(s engine.StepResult) debugStep {
	out := debugStep{Name: s.Name, Status: s.Status()}
	if s.Call != nil {
		out.RequestURL, out.Method = x.redact(s.Call.ShownTarget()), s.Call.Method
	}
	if s.Reply != nil {
		out.DurationMs, out.Attempts = float64(s.Reply.Duration.Microseconds())/1000, s.Reply.Attempts
	}
	if s.Err != nil {
		out.Error = x.redact(s.Err.Error())
	}
	return out
}

// shownBody is a body as JSON where it is, text otherwise; null for none.
func (x *exchange) shownBody(body []byte) any {
	if len(body) == 0 {
		return nil
	}
	return x.rawResponse(body)
}

func (x *exchange) shownHeader(h http.Header) map[string]string {
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[strings.ToLower(name)] = x.redact(strings.Join(values, ", "))
	}
	return out
}
