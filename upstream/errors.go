package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"

	"portolan/engine"
)

// failure is a cause with a text of our own: the standard library's may quote the URL or
// what the provider sent.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.cause }

// noAnswer is the Error of a call that err ended before its answer was complete.
func noAnswer(ctx context.Context, op string, err error) *engine.Error {
	kind, text := engine.KindUpstream, reason(err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		kind, text, err = engine.KindCanceled, "caller went away", context.Canceled
	case interrupted(ctx, err):
		kind, text = engine.KindTimeout, "no answer in time"
		if ctx.Err() != nil {
			err = context.DeadlineExceeded
		}
	}
	return &engine.Error{Kind: kind, Op: op, Err: &failure{text, err}}
}

// useless is the Error of an answer that cannot be used.
func useless(op string, reply *engine.Reply, err error) *engine.Error {
	return &engine.Error{Kind: engine.KindProvider, Op: op, Reply: reply, Err: err}
}

// interrupted reports whether time or the caller ended the call, and not the provider.
func interrupted(ctx context.Context, err error) bool {
	var n net.Error
	return ctx.Err() != nil || errors.As(err, &n) && n.Timeout()
}

// reason says in words of our own why there is no answer.
func reason(err error) string {
	var (
		ours        *failure
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &ours):
		return ours.text
	case isAny(err, ssrf.ErrProhibitedIP, ssrf.ErrProhibitedPort, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort):
		return "address or port is not allowed"
	case errors.As(err, &dns):
		return "host name cannot be resolved"
	case errors.As(err, &certificate):
		return "TLS certificate is not trusted"
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS handshake failed"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case isAny(err, syscall.ECONNRESET, syscall.EPIPE):
		return "connection reset"
	case isAny(err, io.EOF, io.ErrUnexpectedEOF):
		return "connection closed before an answer"
	default:
		return "no usable answer"
	}
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
