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

// Kind says why there is no grant.
type Kind string

// The kinds.
const (
	// Refused: the grant or code is used up, revoked or expired; the customer must connect again.
	Refused Kind = "refused"
	// Rejected: the authorization server does not accept this application or its request,
	// which its operator must mend.
	Rejected Kind = "rejected"
	// Unreachable: no connection, or an answer that says to come again (5xx, 429).
	Unreachable Kind = "unreachable"
	// Timeout: no answer in time.
	Timeout Kind = "timeout"
	// Malformed: an answer that is none.
	Malformed Kind = "malformed"
)

// maxText bounds an Error's text, in bytes: much of it is the provider's.
const maxText = 300

// Error is a token request that brought no grant. Its text holds no secret and no control
// character, and is at most 300 bytes long.
type Error struct {
	Kind Kind
	Code string // the authorization server's, such as "invalid_grant"; "" where it gave none
	Text string
	Err  error // the cause, to be asked with errors.Is; nil where there is none
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Err }

// refusals are the codes that say that the grant itself is no longer good (RFC 6749 §5.2,
// RFC 6750 §3.1, OpenID Connect Core §3.1.2.6). Others, such as invalid_client, are no
// reason to send every customer to connect again.
var refusals = []string{
	"invalid_grant", "access_denied", "invalid_token", "expired_token", "consent_required", "interaction_required", "login_required",
}

// newError tells what err of a token request means; secrets are those that were sent.
func newError(err error, seen *recorder, secrets []accounts.Secret) *Error {
	e := &Error{Kind: Malformed, Err: err}
	text := "token endpoint's answer is malformed"
	answered, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok:
		e.Err = nil // its text quotes the whole answer
		e.Code = clean(answered.ErrorCode, secrets)
		text = fmt.Sprintf("token endpoint answered %d", seen.status)
		switch {
		case seen.status >= http.StatusInternalServerError, seen.status == http.StatusTooManyRequests:
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
	case seen.err != nil:
		e.Err = cause(seen.err)
		switch {
		case isTimeout(seen.err):
			e.Kind, text = Timeout, "token endpoint did not answer in time"
		case seen.status != 0:
			text = fmt.Sprintf("%s: %v", text, e.Err)
		default:
			e.Kind, text = Unreachable, fmt.Sprintf("token endpoint cannot be reached: %v", e.Err)
		}
	default:
		e.Err = nil // the library's, which may quote the answer
	}
	e.Text = clean(text, secrets)
	return e
}

// cause is err without the *url.Error around it, which quotes the URL.
func cause(err error) error {
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

// clean makes text fit to be shown: secrets masked, one line, at most maxText bytes.
func clean(text string, secrets []accounts.Secret) string {
	longestFirst := func(a, b accounts.Secret) int { return len(b) - len(a) } // one may begin another
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
