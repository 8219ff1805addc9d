package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"portolan/accounts"
	"portolan/engine"
)

// exchange is one request on its way, and what has become known of it so far.
type exchange struct {
	server  *Server
	request *http.Request
	writer  *responseWriter
	start   time.Time
	id      string

	token    accounts.Token
	account  accounts.Account
	method   *method
	plan     *engine.Plan
	params   params
	strict   bool
	call     *engine.Request
	receipts []engine.Receipt
	result   *engine.Result
	warnings []string
	hidden   []accounts.Secret // besides the account's
	problem  *problem

	decodeOnly bool // stop before any call
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

var saneRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// begin opens the exchange: every answer carries a request id, whatever becomes of it.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{server: s, start: s.now(), id: r.Header.Get("X-Request-Id")}
	if !saneRequestID.MatchString(x.id) {
		x.id = newRequestID()
	}
	x.writer = &responseWriter{ResponseWriter: w, beforeHeader: x.timing}
	x.request = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	w.Header().Set("X-Request-Id", x.id)
	return x
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// end answers a panic, counts and logs.
func (x *exchange) end() {
	if cause := recover(); cause != nil {
		if cause == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does: it is a panic value
			panic(cause)
		}
		x.server.log.LogAttrs(x.request.Context(), slog.LevelError, "panic",
			slog.String("request_id", x.id), slog.String("type", fmt.Sprintf("%T", cause)), slog.String("stack", string(debug.Stack())))
		if x.writer.status == 0 {
			x.fail(&problem{status: http.StatusInternalServerError, message: "internal error"})
		}
	}
	x.server.metrics.observe(x)
	x.log(x.request.Context())
}

// timing is set as late as can be: just before the answer's header leaves.
func (x *exchange) timing() {
	waited := time.Duration(0)
	if x.result != nil {
		waited = x.result.Waited
	}
	timing := "gateway;dur=" + milliseconds(x.server.now().Sub(x.start)-waited)
	if x.result != nil && calls(x.result) > 0 {
		timing = "upstream;dur=" + milliseconds(waited) + ", " + timing
	}
	x.writer.Header().Set("Server-Timing", timing)
}

// calls counts the provider calls that were made.
func calls(r *engine.Result) int {
	n := 0
	for _, s := range r.Steps {
		if s.Reply != nil || s.Err != nil {
			n++
		}
	}
	return n
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(max(d, 0).Microseconds())/1000, 'f', -1, 64)
}

// log writes the one line of this exchange: no body, no query, no secret.
func (x *exchange) log(ctx context.Context) {
	level := slog.LevelInfo
	if x.writer.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("method", x.request.Method), slog.String("path", loggedPath(x.request)),
		slog.Int("status", x.writer.status), slog.Duration("duration", x.server.now().Sub(x.start)),
	}
	if x.token.ID != "" {
		attrs = append(attrs, slog.String("token_id", x.token.ID), slog.String("token_prefix", x.token.Prefix))
	}
	if x.account.ID != "" {
		attrs = append(attrs, slog.String("environment", x.account.Environment), slog.String("integrated_account_id", x.account.ID))
	}
	if x.plan != nil {
		attrs = append(attrs, slog.String("mapping", x.plan.Version()))
	}
	if x.result != nil {
		attrs = append(attrs, slog.Duration("upstream", x.result.Waited), slog.Int("calls", calls(x.result)))
		if len(x.result.Partial) > 0 {
			attrs = append(attrs, slog.String("partial", strings.Join(x.result.Partial, ",")))
		}
	}
	if x.problem != nil {
		attrs = append(attrs, slog.String("problem", x.problem.summary()))
	}
	if len(x.warnings) > 0 {
		attrs = append(attrs, slog.Int("response_warnings", len(x.warnings)))
	}
	x.server.log.LogAttrs(ctx, level, "request", attrs...)
}

// loggedPath is the request's path without the secret that a link's is.
func loggedPath(r *http.Request) string {
	const links = "/link/"
	path := r.URL.EscapedPath()
	if len(path) > len(links) && strings.EqualFold(path[:len(links)], links) {
		return links + masked
	}
	return secretInText.ReplaceAllString(path, "${1}_"+masked)
}

// secretInText finds what accounts.NewSecret makes, where somebody takes it for an id.
var secretInText = regexp.MustCompile(`(?i)([a-z]{2,8}_[0-9a-f]{8})_[a-z0-9_-]+`)

// responseWriter notes the status, and gives way to beforeHeader once, just before the
// header leaves.
type responseWriter struct {
	http.ResponseWriter
	status       int
	beforeHeader func()
}

func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.beforeHeader()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives the writer underneath, for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
