package engine

import (
	"errors"
	"fmt"

	"portolan/source"
)

// Kind says whose fault a run-time Error is and of what sort. The set is closed.
type Kind int

// The kinds of Error.
const (
	KindInvalid  Kind = iota + 1 // the caller's: a value that the mapping cannot send
	KindProvider                 // the provider answered with a failure, or with something unusable
	KindUpstream                 // no answer from the provider
	KindTimeout                  // no answer from the provider in time
	KindMapping                  // the mapping's: an expression failed, overran or gave nonsense
	KindCanceled                 // the caller went away
	KindAccount                  // the integrated account's: a credential is missing or malformed
)

// String names the kind in lower case.
func (k Kind) String() string {
	return [...]string{"unknown", "invalid", "provider", "upstream", "timeout", "mapping", "canceled", "account"}[k]
}

// Cause says why a call has no usable answer, in a word for logs. The set is closed.
type Cause string

// The causes of a call that failed, beside what an answer's status says.
const (
	CauseBlocked     Cause = "blocked"     // the guard does not allow the address or port
	CauseDNS         Cause = "dns"         // the host name cannot be resolved
	CauseUnreachable Cause = "unreachable" // there is no way to the host
	CauseRefused     Cause = "refused"     // the connection was refused
	CauseReset       Cause = "reset"       // the connection was reset or closed before an answer
	CauseTLS         Cause = "tls"         // no handshake, or a certificate that is not trusted
	CauseDeadline    Cause = "deadline"    // no answer in time
	CauseRedirect    Cause = "redirect"    // a redirect that is not followed
	CauseTooLarge    Cause = "too_large"   // the answer is larger than the limit
	CauseCutOff      Cause = "cut_off"     // the answer ends too early
	CauseNotJSON     Cause = "not_json"    // the answer is not JSON
	CauseTooDeep     Cause = "too_deep"    // the answer is nested too deep
	CauseOther       Cause = "other"       // none of these: what came is not HTTP, for one
)

// Error is the one run-time error of this package.
type Error struct {
	Kind     Kind
	Op       string     // what was being done: "users.update: request_body_mapping"
	Pos      source.Pos // the mapping line that ran; zero unless Kind is KindMapping
	Pointer  string     // the caller's field at fault ("/roles/0/id", "?collections"); KindInvalid only
	Provider *Provider  // what the provider said; KindProvider only
	Reply    *Reply     // the answer as far as it came; nil where there was none
	Cause    Cause      // why there is no usable answer; "" if the answer's status says it
	Lost     bool       // the connection broke, or never came to be, before any byte of an answer; KindUpstream only
	Err      error      // cause
}

// Statuses of HTTP that mean something to the engine.
const (
	statusBadRequest   = 400
	statusUnauthorized = 401
	statusBadGateway   = 502
)

const verbGet = "GET"

var errGivesNoObject = errors.New("does not return an object")

// Provider is a provider's failure, as the integration's `errors` reads it.
type Provider struct {
	Status  int // what the failure means, 400 to 599
	Message string
	Fields  []FieldError
}

// FieldError is one field that the provider found fault with. Support.Pointer tells which
// field of the caller's feeds it.
type FieldError struct {
	Field   string // the provider's name of it
	Message string
}

// Error gives "op: cause".
func (e *Error) Error() string {
	switch {
	case e.Err != nil && e.Pos.Line > 0:
		return fmt.Sprintf("%s: %s: %v", e.Pos, e.Op, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	case e.Provider != nil:
		return fmt.Sprintf("%s: provider: %s", e.Op, e.Provider.Message)
	default:
		return fmt.Sprintf("%s: %s", e.Op, e.Kind)
	}
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
