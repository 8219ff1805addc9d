package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"syscall"

	"code.dny.dev/ssrf"

	"portolan/engine"
)

// failure is an error with a safe text: that of the standard library may quote the URL or what the
// provider sent.
type failure struct {
	cause engine.Cause
	text  string
	err   error // the wrapped error; may be nil
}

func (f *failure) Error() string { return f.text }

func (f *failure) Unwrap() error { return f.err }

// callError is the Error of a call that failed with err before its answer was complete.
func callError(ctx context.Context, op string, err error) *engine.Error {
	kind, why := engine.KindUpstream, reason(err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		kind, why = engine.KindCanceled, &failure{"", "caller canceled the call", context.Canceled}
	case interrupted(ctx, err):
		if ctx.Err() != nil {
			err = context.DeadlineExceeded
		}
		kind, why = engine.KindTimeout, deadlineFailure(err)
	}
	return &engine.Error{Kind: kind, Op: op, Cause: why.cause, Err: why}
}

// incompleteAnswer is the Error of an answer whose body is not complete.
func incompleteAnswer(op string, reply *engine.Reply, why *failure) *engine.Error {
	reply.Truncated = true
	return &engine.Error{Kind: engine.KindProvider, Op: op, Reply: reply, Cause: why.cause, Err: why}
}

func deadlineFailure(err error) *failure {
	return &failure{engine.CauseDeadline, "no answer in time", err}
}

// tooLargeFailure is the failure of an answer of more than limit bytes.
func tooLargeFailure(limit int64) *failure {
	return &failure{engine.CauseTooLarge, "answer is larger than the limit of " + size(limit), nil}
}

// size is a number of bytes as text: "10 MiB" or "1000 bytes".
func size(bytes int64) string {
	const mebi = 1 << 20
	if bytes > 0 && bytes%mebi == 0 {
		return strconv.FormatInt(bytes/mebi, 10) + " MiB"
	}
	return strconv.FormatInt(bytes, 10) + " bytes"
}

func cutOffFailure(err error) *failure { return &failure{engine.CauseCutOff, "answer is cut off", err} }

// refusedRedirect is the failure of a redirect that is not followed.
func refusedRedirect(text string) *failure { return &failure{engine.CauseRedirect, text, nil} }

// interrupted reports whether a deadline or the caller ended the call.
func interrupted(ctx context.Context, err error) bool {
	var n net.Error
	return ctx.Err() != nil || errors.As(err, &n) && n.Timeout()
}

// reason returns the failure for err, with the reason why a call has no answer.
func reason(err error) *failure {
	var (
		ours        *failure
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &ours):
		return &failure{ours.cause, ours.text, err}
	case isAny(err, ssrf.ErrProhibitedIP, ssrf.ErrProhibitedPort, ssrf.ErrProhibitedNetwork, ssrf.ErrInvalidHostPort):
		return &failure{engine.CauseBlocked, "address or port is not allowed", err}
	case errors.As(err, &dns):
		return &failure{engine.CauseDNS, "host name cannot be resolved", err}
	case errors.As(err, &certificate):
		return &failure{engine.CauseTLS, "TLS certificate is not trusted", err}
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return &failure{engine.CauseTLS, "TLS handshake failed", err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &failure{engine.CauseRefused, "connection refused", err}
	case isAny(err, syscall.ECONNRESET, syscall.EPIPE):
		return &failure{engine.CauseReset, "connection reset", err}
	case isAny(err, io.EOF, io.ErrUnexpectedEOF):
		return &failure{engine.CauseReset, "connection closed before an answer", err}
	case isAny(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH):
		return &failure{engine.CauseUnreachable, "host cannot be reached", err}
	default:
		return &failure{engine.CauseOther, "no usable answer", err}
	}
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
