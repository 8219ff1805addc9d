package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"portolan/accounts"
	"portolan/gateway"
)

// request is one HTTP request. It is read only.
type request struct {
	*http.Request
	path  echo.Context // for the path's parameters
	id    string       // in answer and log
	start time.Time
}

// answer is the answer to a request, as a value that Server.write writes.
type answer struct {
	status int
	header []gateway.Header
	body   []byte
	// For log and metrics.
	caller  accounts.Token
	problem *gateway.Problem // nil: success
	report  *gateway.Report  // nil: no account is known
}

// with adds headers to the answer.
func (a *answer) with(header ...gateway.Header) *answer {
	a.header = append(a.header, header...)
	return a
}

// withCaller sets the token of the caller.
func (a *answer) withCaller(caller accounts.Token) *answer {
	a.caller = caller
	return a
}

// jsonAnswer returns an answer with v as JSON.
func jsonAnswer(status int, v any) *answer {
	return &answer{status: status, header: []gateway.Header{{Name: "Content-Type", Value: "application/json"}}, body: append(encodeJSON(v), '\n')}
}

// encodeJSON encodes v, which must be encodable.
func encodeJSON(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null")
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}

var validRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// ServeHTTP answers one request. Every answer has a request id.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { serve(s.echo, w, r) }

// serve answers one request by the routes of e.
func serve(e *echo.Echo, w http.ResponseWriter, r *http.Request) {
	if u := normalizeURL(r.URL); u != r.URL {
		r = r.WithContext(r.Context()) // a copy
		r.URL = u
	}
	e.ServeHTTP(w, r)
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// request returns the request of an Echo context.
func (s *Server) request(c echo.Context) *request {
	q := &request{Request: c.Request(), path: c, id: c.Request().Header.Get("X-Request-Id"), start: s.now()}
	if !validRequestID.MatchString(q.id) {
		q.id = newRequestID()
	}
	return q
}

// param returns a path parameter, decoded once. Echo does not decode it if the URL has a RawPath.
func (q *request) param(name string) string {
	v := q.path.Param(name)
	if q.URL.RawPath == "" {
		return v
	}
	decoded, err := url.PathUnescape(v)
	if err != nil {
		return v
	}
	return decoded
}

// handle returns an Echo handler that writes the answer of h. A panic is answered, counted and
// logged as well.
func (s *Server) handle(h func(*request) *answer) echo.HandlerFunc {
	return func(c echo.Context) error {
		q := s.request(c)
		s.write(c.Response().Writer, q, s.answered(q, h))
		return nil
	}
}

func (s *Server) answered(q *request, h func(*request) *answer) (a *answer) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if cause == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does: it is a panic value
			panic(cause)
		}
		s.log.LogAttrs(q.Context(), slog.LevelError, "panic",
			slog.String("request_id", q.id), slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
		a = failed(internalError())
	}()
	if p := s.checkSize(q); p != nil {
		return failed(p)
	}
	return h(q)
}

// write writes the answer, and logs it.
func (s *Server) write(w http.ResponseWriter, q *request, a *answer) {
	h := w.Header()
	for _, header := range a.header {
		h.Add(header.Name, header.Value)
	}
	if h.Get("Content-Type") == "" {
		h["Content-Type"] = nil // otherwise net/http would guess one
	}
	h.Set("X-Request-Id", q.id)
	h.Set("Server-Timing", serverTiming(s.now().Sub(q.start), a.report))
	if a.status == http.StatusNoContent {
		w.WriteHeader(a.status)
	} else {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // fails only if the caller has disconnected
	}
	if f, ok := w.(http.Flusher); ok { // the caller does not wait for the log
		f.Flush()
	}
	s.record(q, a)
}

// record counts and logs an answer.
func (s *Server) record(q *request, a *answer) {
	s.metrics.observe(s.now().Sub(q.start), a)
	s.logAnswer(q, a)
}

func serverTiming(total time.Duration, report *gateway.Report) string {
	if report == nil || report.Result == nil {
		return "gateway;dur=" + milliseconds(total)
	}
	waited := report.Result.Waited()
	timing := "gateway;dur=" + milliseconds(total-waited)
	if report.Result.Calls() > 0 {
		timing = "upstream;dur=" + milliseconds(waited) + ", " + timing
	}
	return timing
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(max(d, 0).Microseconds())/1000, 'f', -1, 64)
}

// logAnswer logs the request in one line, without body, query or secrets.
func (s *Server) logAnswer(q *request, a *answer) {
	level := slog.LevelInfo
	if a.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	attrs := append(make([]slog.Attr, 0, 16), // enough for success
		slog.String("request_id", q.id), slog.String("method", q.Method[:min(len(q.Method), maxLoggedVerb)]), slog.String("path", loggedPath(q.Request)),
		slog.Int("status", a.status), milli("duration_ms", s.now().Sub(q.start)))
	if a.caller.ID != "" {
		attrs = append(attrs, slog.String("token_id", a.caller.ID), slog.String("token_prefix", a.caller.Prefix))
	}
	attrs = appendReport(attrs, a.report)
	if a.problem != nil {
		attrs = append(attrs, slog.String("problem", summary(a.problem)))
		attrs = append(attrs, mappingAttrs(a.problem.Mapping)...)
	}
	s.log.LogAttrs(q.Context(), level, "request", attrs...)
}

func milli(name string, d time.Duration) slog.Attr {
	return slog.Float64(name, float64(max(d, 0).Microseconds())/1000)
}

func appendReport(attrs []slog.Attr, r *gateway.Report) []slog.Attr {
	if r == nil {
		return attrs
	}
	if r.AccountID != "" {
		attrs = append(attrs, slog.String("environment", r.Environment), slog.String("integrated_account_id", r.AccountID))
	}
	if r.Mapping != "" {
		attrs = append(attrs, slog.String("mapping", r.Mapping))
	}
	if r.Result != nil {
		attrs = append(attrs, milli("upstream_ms", r.Result.Waited()), slog.Int("calls", r.Result.Calls()))
		if len(r.Result.Partial) > 0 {
			attrs = append(attrs, slog.String("partial", strings.Join(r.Result.Partial, ",")))
		}
	}
	if len(r.Warnings) > 0 {
		attrs = append(attrs, slog.Int("response_warnings", len(r.Warnings)))
	}
	return append(attrs, failedCallAttrs(r.Failed())...)
}

// mappingAttrs describes the expression that failed, without its values.
func mappingAttrs(m *gateway.MappingPlace) []slog.Attr {
	if m == nil {
		return nil
	}
	return []slog.Attr{
		slog.String("mapping_place", fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Col)), slog.String("expression", m.At),
	}
}

// failedCallAttrs describes a provider call that failed.
func failedCallAttrs(f *gateway.FailedCall) []slog.Attr {
	if f == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("step", f.Step)}
	if f.Host != "" {
		attrs = append(attrs, slog.String("provider_host", f.Host))
	}
	if f.Status != 0 {
		attrs = append(attrs, slog.Int("provider_status", f.Status))
	}
	if f.Cause != "" {
		attrs = append(attrs, slog.String("cause", string(f.Cause)))
	}
	return attrs
}

// loggedPath returns the path of the request without secrets, such as that of a link.
func loggedPath(r *http.Request) string {
	const links = "/link/"
	path := r.URL.Path // decoded, because a secret may be sent with any escapes
	if len(path) > len(links) && strings.EqualFold(path[:len(links)], links) {
		return links + "***"
	}
	if strings.Count(path, "_") >= 2 { // a secret has two
		if masked := secretInText.ReplaceAllString(path, "${1}_***"); masked != path {
			return masked
		}
	}
	path = r.URL.EscapedPath()
	return path[:min(len(path), maxLoggedPath)]
}

// The longest verb and path that are logged, in bytes.
const (
	maxLoggedVerb = 32
	maxLoggedPath = 2 << 10
)

// secretInText matches secrets of accounts.NewSecret, which may be sent as an id by mistake.
var secretInText = regexp.MustCompile(`(?i)([a-z]{2,8}_[0-9a-f]{8})_[a-z0-9_-]+`)

// checkSize refuses a target or headers over the limits.
func (s *Server) checkSize(q *request) *gateway.Problem {
	if n := len(q.URL.EscapedPath()) + len(q.URL.RawQuery) + 1; n > s.limits.Target {
		return &gateway.Problem{Status: http.StatusRequestURITooLong, Message: fmt.Sprintf("the request target is longer than %d bytes", s.limits.Target)}
	}
	size := 0
	for name, values := range q.Header {
		for _, v := range values {
			size += len(name) + len(v) + len(": \r\n")
		}
	}
	if size > s.limits.Header {
		return &gateway.Problem{Status: http.StatusRequestHeaderFieldsTooLarge, Message: fmt.Sprintf("the headers are larger than %d bytes", s.limits.Header)}
	}
	return nil
}
