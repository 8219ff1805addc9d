package golden

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"portolan/engine"
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

// Decode turns a request into what the engine takes, as the server does. Its error says
// that the server refuses the request before any call.
type Decode func(r *http.Request, account Account) (*engine.Request, *engine.Plan, error)

// RunEngine runs c against the engine alone. It compares the calls and, of an error, the
// status; of a success the record, where the caller asked for it plain and whole. A case
// that the server refuses before any call is NotApplicable. The error says that c could
// not be run at all.
func RunEngine(ctx context.Context, decode Decode, c *Case) (*Result, error) {
	r, err := c.served(ctx)
	if err != nil {
		return nil, err
	}
	req, plan, err := decode(r, c.Account)
	if err != nil {
		if c.Answer.Status >= http.StatusBadRequest && len(c.Upstream) == 0 {
			return &Result{Case: c, State: NotApplicable}, nil
		}
		result := &Result{Case: c}
		return result.judge([]string{"the request is refused: " + err.Error()}), nil
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // decode took it
	mode := modeOf(query)
	upstream := NewUpstream(c)
	record, err := carryOut(ctx, plan, req, upstream, mode)
	result := upstream.result(Message{Status: http.StatusOK})
	want := strconv.Itoa(c.Answer.Status)
	var failed *engine.Error
	switch {
	case errors.As(err, &failed):
		result.Answer.Status = statusOf(failed)
		return result.judge(result.compareCalls(), differ(sectionError, want, strconv.Itoa(result.Answer.Status)+note(want, failed))), nil
	case err != nil:
		return nil, err
	case c.Answer.Status >= http.StatusBadRequest:
		return result.judge(result.compareCalls(), differ(sectionError, want, "no error")), nil
	case mode != engine.Full || !isPlain(query):
		return result.judge(result.compareCalls()), nil
	}
	if result.Answer.Body, err = recordBody(record); err != nil {
		return nil, err
	}
	return result.judge(result.compareCalls(),
		differ(sectionResponse, canonicalBody(c.Answer.Body), canonicalBody(result.Answer.Body))), nil
}

// note is the error's text where its status is not the one wanted.
func note(want string, e *engine.Error) string {
	if strconv.Itoa(statusOf(e)) == want {
		return ""
	}
	return "\n" + e.Error()
}

// carryOut takes a method of one call through the engine's pure parts, one by one, and
// any other through Engine.Do.
func carryOut(ctx context.Context, plan *engine.Plan, req *engine.Request, doer engine.Doer, mode engine.Mode) (*engine.Record, error) {
	e := engine.New(doer, Clock)
	planned, err := e.Do(ctx, plan, req, engine.PlanOnly)
	if err != nil || mode == engine.PlanOnly {
		return nil, err
	}
	if len(planned.Steps) > 1 || mode != engine.Full {
		result, err := e.Do(ctx, plan, req, mode)
		return result.Record, err
	}
	call, err := plan.Build(ctx, req, nil)
	if err != nil {
		return nil, err
	}
	reply, err := doer.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	answer, err := plan.Read(ctx, reply, true)
	if err != nil {
		return nil, err
	}
	return plan.Transform(ctx, req, engine.Answers{Main: answer})
}

func modeOf(query url.Values) engine.Mode {
	switch skip := query.Get("truto_skip_api_call"); {
	case skip == "true" || skip == "1":
		return engine.PlanOnly
	case query.Get("truto_response_format") == "raw":
		return engine.MainOnly
	}
	return engine.Full
}

// isPlain reports whether the answer is the whole record and nothing else.
func isPlain(query url.Values) bool {
	for name := range query {
		switch {
		case name == "truto_response_format" && query.Get(name) == "unified",
			name == "truto_ignore_remote_data" && (query.Get(name) == "false" || query.Get(name) == "0"),
			name == "truto_skip_api_call", len(name) < len("truto_") || name[:len("truto_")] != "truto_":
		default:
			return false
		}
	}
	return true
}

// statusOf is what the server answers for an engine's error.
func statusOf(e *engine.Error) int {
	switch e.Kind {
	case engine.KindInvalid:
		return http.StatusBadRequest
	case engine.KindProvider:
		if e.Provider != nil {
			return e.Provider.Status
		}
		return http.StatusBadGateway
	case engine.KindUpstream:
		return http.StatusBadGateway
	case engine.KindTimeout:
		return http.StatusGatewayTimeout
	case engine.KindAccount:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}

func recordBody(record *engine.Record) ([]byte, error) {
	fields := make(map[string]any, len(record.Fields)+1)
	maps.Copy(fields, record.Fields)
	if record.Remote != nil {
		fields[engine.RemoteData] = record.Remote
	}
	return json.Marshal(fields)
}
