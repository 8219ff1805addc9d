package golden

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"portolan/engine"
)

// Upstream is a fake provider: it returns a case's answers in order and records the calls.
// It is an engine.Doer for runs in process and an http.Handler for runs over sockets. It is
// safe for concurrent use.
type Upstream struct {
	golden *Case
	mu     sync.Mutex
	calls  []Message
	wire   bool
}

var (
	_ engine.Doer  = (*Upstream)(nil)
	_ http.Handler = (*Upstream)(nil)
)

// NewUpstream returns the provider of one run of c.
func NewUpstream(c *Case) *Upstream { return &Upstream{golden: c} }

var errNotListed = errors.New("the case does not list this call")

// Do returns the case's next answer. A call beyond those listed gets an *engine.Error of
// KindUpstream.
func (u *Upstream) Do(_ context.Context, call *engine.Call) (*engine.Reply, error) {
	answer, listed := u.next(messageOf(call), false)
	if !listed {
		return nil, &engine.Error{Kind: engine.KindUpstream, Op: call.Name, Err: errNotListed}
	}
	return &engine.Reply{Status: answer.Status, Header: answer.httpHeader(), Body: answer.Body}, nil
}

// ServeHTTP returns the case's next answer. A call beyond those listed gets 501.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller is gone
	}
	target := r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		target += "?" + r.URL.RawQuery
	}
	answer, listed := u.next(Message{Method: r.Method, Target: target, Header: headersOf(r.Header), Body: body}, true)
	if !listed {
		http.Error(w, errNotListed.Error(), http.StatusNotImplemented)
		return
	}
	maps.Copy(w.Header(), answer.httpHeader())
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // an error means that the status allows no body
}

// Compare compares the recorded calls and the answer to the caller with the case.
func (u *Upstream) Compare(answer Message) *Result {
	r := u.result(answer)
	return r.setDiff(r.compareCalls(), r.compareAnswer())
}

func (u *Upstream) result(answer Message) *Result {
	u.mu.Lock()
	defer u.mu.Unlock()
	return &Result{Case: u.golden, Calls: slices.Clone(u.calls), Answer: answer, wire: u.wire}
}

func (u *Upstream) next(call Message, wire bool) (Message, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls, u.wire = append(u.calls, call), u.wire || wire
	n := len(u.calls)
	if n > len(u.golden.Upstream) {
		return Message{}, false
	}
	answer := u.golden.Upstream[n-1].Response
	contentType := "text/plain"
	if _, isJSON := decodeJSON(answer.Body); isJSON {
		contentType = "application/json"
	}
	return answer.withContentType(contentType), true
}

func messageOf(call *engine.Call) Message {
	m := Message{Method: call.Method, Target: call.Target(), Body: call.Body}
	if u, err := url.Parse(m.Target); err == nil {
		if m.Target = u.EscapedPath(); u.RawQuery != "" {
			m.Target += "?" + u.RawQuery
		}
	}
	for _, p := range call.Header {
		m.Header = append(m.Header, Header{p.Name, p.Value})
	}
	return m
}

// headersOf returns header sorted by name.
func headersOf(header http.Header) []Header {
	var out []Header
	for name, values := range header {
		for _, v := range values {
			out = append(out, Header{name, v})
		}
	}
	slices.SortStableFunc(out, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}
