package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"portolan/gateway"
)

// maxPrintedFailures limits the printed failures, as in the API. The rest is counted.
const maxPrintedFailures = 100

// printProblem writes status and message, and one line for each failure and for the position in the
// mapping.
func printProblem(w io.Writer, p *gateway.Problem) {
	failures := p.Failures[:min(len(p.Failures), maxPrintedFailures)]
	printFailures(w, p, failures, len(p.Failures)-len(failures))
}

// printFailures is printProblem for failures; omitted is the number of further ones.
func printFailures(w io.Writer, p *gateway.Problem, failures []gateway.Failure, omitted int) {
	fmt.Fprintf(w, "%d %s: %s\n", p.Status, http.StatusText(p.Status), p.Message)
	for _, f := range failures {
		place := ""
		if f.Pointer != "" { // otherwise it is about the whole body
			place = f.Pointer + ": "
		}
		if f.Line > 0 {
			place += fmt.Sprintf("%d:%d: ", f.Line, f.Column)
		}
		fmt.Fprintf(w, "  %s%s: %s\n", place, f.Code, f.Message)
	}
	if omitted > 0 {
		fmt.Fprintf(w, "  and %d more\n", omitted)
	}
	if m := p.Mapping; m != nil {
		fmt.Fprintf(w, "  %s:%d:%d: %s\n", m.File, m.Line, m.Col, m.At)
	}
}

// printErrorBody writes an error answer of the admin API as printProblem does.
func printErrorBody(w io.Writer, body []byte) {
	var envelope struct {
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
		Details    struct {
			Failures  []gateway.Failure     `json:"failures"`
			Truncated int                   `json:"truncated"`
			Mapping   *gateway.MappingPlace `json:"mapping"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.StatusCode == 0 {
		fmt.Fprintf(w, "portolan: %s\n", body)
		return
	}
	p := &gateway.Problem{Status: envelope.StatusCode, Message: envelope.Message, Mapping: envelope.Details.Mapping}
	printFailures(w, p, envelope.Details.Failures, envelope.Details.Truncated)
}
