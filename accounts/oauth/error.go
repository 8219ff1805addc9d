package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/oauth2"

	"portolan/accounts"
)

// Kind is the reason why the authorization server issued no grant.
type Kind string

// The kinds.
const (
	// Refused: the grant or code is used, revoked or expired; the customer must connect again.
	Refused Kind = "refused"
	// Rejected: the authorization server does not accept this application or its request; the
	// operator must fix that.
	Rejected Kind = "rejected"
	// Unreachable: no connection, or a response that asks to retry (5xx, 429).
	Unreachable Kind = "unreachable"
	// Timeout: no response in time.
	Timeout Kind = "timeout"
	// Malformed: a response that is not a token response.
	Malformed Kind = "malformed"
)

// maxText bounds an Error's text, in bytes: the provider writes much of it.
const maxText = 300

// Error is a failed token request. Text has no secret and no control character, and at most
// 300 bytes.
type Error struct {
	Kind Kind
	Code string // the authorization server's, such as "invalid_grant"; may be ""
	Text string
	Err  error // the cause; may be nil
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// refusals are the codes that mean that the grant itself is no longer valid (RFC 6749 §5.2,
// RFC 6750 §3.1, OpenID Connect Core §3.1.2.6). For others, such as invalid_client, customers
// need not connect again.
var refusals = []string{
	"invalid_grant", "access_denied", "invalid_token", "expired_token", "consent_required", "interaction_required", "login_required",
}

// newError returns the Error for err of a token request with these secrets.
func newError(err error, rec *recorder, secrets []accounts.Secret) *Error {
	e := &Error{Kind: Malformed, Err: err}
	text := "token endpoint's answer is malformed"
	answered, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok:
		e.Err = nil // its text quotes the whole response
		e.Code = sanitize(answered.ErrorCode, secrets)
		text = fmt.Sprintf("token endpoint answered %d", rec.status)
		switch {
		case rec.status >= http.StatusInternalServerError, rec.status == http.StatusTooManyRequests:
			e.Kind = Unreachable
		case slices.Contains(refusals, e.Code):
			e.Kind = Refused
		case e.Code != "":
			e.Kind = Rejected
		}
		if e.Code != "" {
			text += ": " + answered.ErrorCode
		}
		if answered.ErrorDescription != "" {
			text += ": " + answered.ErrorDescription
		}
	case rec.err != nil:
		e.Err = withoutURL(rec.err)
		switch {
		case isTimeout(rec.err):
			e.Kind, text = Timeout, "token endpoint did not answer in time"
		case rec.status != 0:
			text = fmt.Sprintf("%s: %v", text, e.Err)
		default:
			e.Kind, text = Unreachable, fmt.Sprintf("token endpoint cannot be reached: %v", e.Err)
		}
	default:
		e.Err = nil // the library's error may quote the response
	}
	e.Text = sanitize(text, secrets)
	return e
}

// withoutURL returns err without wrapping *url.Error, which quotes the URL.
func withoutURL(err error) error {
	for {
		outer, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = outer.Err
	}
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}

// sanitize returns text with secrets masked, on one line, with at most maxText bytes.
func sanitize(text string, secrets []accounts.Secret) string {
	longestFirst := func(a, b accounts.Secret) int { return len(b) - len(a) } // one may contain another
	for _, s := range slices.SortedFunc(slices.Values(secrets), longestFirst) {
		if s != "" {
			text = strings.ReplaceAll(text, s.Reveal(), "***")
			text = strings.ReplaceAll(text, url.QueryEscape(s.Reveal()), "***")
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return text
}
