package golden

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"portolan/engine"
	"portolan/gateway"
)

// HTTPRequest is the case's request to the server at base ("http://127.0.0.1:8080").
func (c *Case) HTTPRequest(ctx context.Context, base string) (*http.Request, error) {
	m := c.Request.withContentType("application/json")
	r, err := http.NewRequestWithContext(ctx, m.Method, base+m.Target, bytes.NewReader(m.Body))
	if err != nil {
		return nil, err
	}
	r.Header = m.httpHeader()
	if !m.lists("Authorization") {
		r.Header.Set("Authorization", "Bearer "+Token)
	}
	return r, nil
}

// ReadAnswer reads an answer that came over a socket; it leaves the body to be closed.
func ReadAnswer(r *http.Response) (Message, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Message{}, err
	}
	return Message{Status: r.StatusCode, Header: headersOf(r.Header), Body: body}, nil
}

// HandlerFor builds the server of one run. It calls providers through doer, knows account
// and no other, takes Token and tells the time by Clock.
type HandlerFor func(doer engine.Doer, account Account) (http.Handler, error)

// RunHandler runs c through an http.Handler, in process. The error says that it could not
// be run at all.
func RunHandler(ctx context.Context, handlerFor HandlerFor, c *Case) (*Result, error) {
	upstream := NewUpstream(c)
	handler, err := handlerFor(upstream, c.Account)
	if err != nil {
		return nil, err
	}
	r, err := c.served(ctx)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: http.Header{}}
	handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK) // where the handler did not
	return upstream.Judge(Message{Status: w.status, Header: headersOf(w.sent), Body: w.body.Bytes()}), nil
}

// served is the case's request as a handler gets it from net/http.
func (c *Case) served(ctx context.Context) (*http.Request, error) {
	r, err := c.HTTPRequest(ctx, "http://portolan.example.com")
	if err != nil {
		return nil, err
	}
	if r.URL, err = url.ParseRequestURI(c.Request.Target); err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr = c.Request.Target, "192.0.2.1:1024"
	return r, nil
}

// recorder keeps what a handler answers.
type recorder struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Read reads a request as it is written, as the server does before the gateway.
type Read func(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem)

// GatewayFor builds the gateway of one run. It calls providers through doer, knows account
// and no other, and tells the time by Clock.
type GatewayFor func(doer engine.Doer, account Account) *gateway.Gateway

// RunGateway runs c without HTTP. It compares the calls, the status and, of a success, the
// headers and the body. The body of an error, the debug format and headers of the request
// are of HTTP: they are left to the other runs. A case that is refused before the gateway, or
// whose request has headers of its own, is NotApplicable.
func RunGateway(ctx context.Context, read Read, gatewayFor GatewayFor, c *Case) *Result {
	target, in, p := read(c.Request.Method, c.Request.Target, c.Request.Body)
	if p != nil || len(c.Request.Header) > 0 {
		return &Result{Case: c, State: NotApplicable}
	}
	upstream := NewUpstream(c)
	var outcome *gateway.Outcome
	ready, p := gatewayFor(upstream, c.Account).Open(ctx, gateway.Caller{}, target)
	if p == nil {
		outcome, p = ready.Do(ctx, in)
	}
	result := upstream.result(Message{})
	if p != nil {
		result.Answer.Status = p.Status
		want := strconv.Itoa(c.Answer.Status)
		return result.judge(result.compareCalls(), differ(sectionError, want, strconv.Itoa(p.Status)+note(want, p)))
	}
	result.Answer = Message{Status: outcome.Status, Body: outcome.Body}
	for _, h := range outcome.Header {
		result.Answer.Header = append(result.Answer.Header, Header(h))
	}
	if in.Options.PlanOnly || in.Options.Format == gateway.FormatDebug {
		return result.judge(result.compareCalls())
	}
	return result.judge(result.compareCalls(), result.compareAnswer())
}

// note is the problem's message if its status is not the one wanted.
func note(want string, p *gateway.Problem) string {
	if strconv.Itoa(p.Status) == want {
		return ""
	}
	return "\n" + p.Message
}
