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

// HTTPRequest returns the case's request to the server at base ("http://127.0.0.1:8080").
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

// ReadAnswer reads an answer. It does not close the body.
func ReadAnswer(r *http.Response) (Message, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Message{}, err
	}
	return Message{Status: r.StatusCode, Header: headersOf(r.Header), Body: body}, nil
}

// HandlerFor returns the server of one run. It calls providers through doer, its only
// account is account, it accepts Token and uses Clock.
type HandlerFor func(doer engine.Doer, account Account) (http.Handler, error)

// RunHandler runs c through an http.Handler, in process. An error means that it could not
// run.
func RunHandler(ctx context.Context, handlerFor HandlerFor, c *Case) (*Result, error) {
	upstream := NewUpstream(c)
	handler, err := handlerFor(upstream, c.Account)
	if err != nil {
		return nil, err
	}
	r, err := c.serverRequest(ctx)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: http.Header{}}
	handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK) // if the handler did not
	return upstream.Compare(Message{Status: w.status, Header: headersOf(w.sent), Body: w.body.Bytes()}), nil
}

// serverRequest returns the case's request as net/http passes it to a handler.
func (c *Case) serverRequest(ctx context.Context) (*http.Request, error) {
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

// recorder records the answer of a handler.
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

// Face is what a server adds to a gateway: Read parses a request, Failed returns the headers and
// the body of the answer for a problem.
type Face struct {
	Read   func(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem)
	Failed func(p *gateway.Problem) ([]gateway.Header, []byte)
}

// GatewayFor returns the gateway of one run. It calls providers through doer, its only
// account is account, and it uses Clock.
type GatewayFor func(doer engine.Doer, account Account) *gateway.Gateway

// RunGateway runs c without HTTP. It compares the calls and the answer, but only the status of the
// debug format. A case is NotApplicable if it is refused before the gateway or if its request has
// headers.
func RunGateway(ctx context.Context, face Face, gatewayFor GatewayFor, c *Case) *Result {
	target, in, p := face.Read(c.Request.Method, c.Request.Target, c.Request.Body)
	if p != nil || len(c.Request.Header) > 0 {
		return &Result{Case: c, State: NotApplicable}
	}
	upstream := NewUpstream(c)
	outcome := &gateway.Outcome{}
	ready, p := gatewayFor(upstream, c.Account).Open(ctx, gateway.Caller{}, target)
	if p == nil {
		outcome, p = ready.Do(ctx, in)
	}
	if p != nil {
		outcome = &gateway.Outcome{Status: p.Status}
		outcome.Header, outcome.Body = face.Failed(p)
	}
	result := upstream.result(Message{Status: outcome.Status, Body: outcome.Body})
	for _, h := range outcome.Header {
		result.Answer.Header = append(result.Answer.Header, Header(h))
	}
	if in.Options.PlanOnly || in.Options.Format == gateway.FormatDebug {
		section := answerSection(c.Answer.Status)
		return result.setDiff(result.compareCalls(), compareText(section, strconv.Itoa(c.Answer.Status), strconv.Itoa(outcome.Status)))
	}
	return result.setDiff(result.compareCalls(), result.compareAnswer())
}
