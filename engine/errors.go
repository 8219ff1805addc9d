package engine

import (
	"errors"
	"fmt"

	"portolan/source"
)

// Kind classifies run-time errors. The set is closed.
type Kind int

// The kinds of Error.
const (
	KindInvalid  Kind = iota + 1 // a value of the caller's cannot be sent
	KindProvider                 // the provider answered with a failure, or its answer is not usable
	KindUpstream                 // no answer from the provider
	KindTimeout                  // no answer from the provider in time
	KindMapping                  // an expression failed, took too long or returned an invalid value
	KindCanceled                 // the caller canceled the request
	KindBusy                     // this process is too busy; the call itself may be done
	KindAccount                  // a credential of the integrated account is missing or malformed
)

// String returns the kind in lower case.
func (k Kind) String() string {
	return [...]string{"unknown", "invalid", "provider", "upstream", "timeout", "mapping", "canceled", "busy", "account"}[k]
}

// Cause is why a call has no usable answer, in a word for logs. The set is closed.
type Cause string

// The causes of a failed call, beside the statuses of answers.
const (
	CauseBlocked       Cause = "blocked"         // the guard does not allow the address or port
	CauseDNS           Cause = "dns"             // the host name cannot be resolved
	CauseUnreachable   Cause = "unreachable"     // the network has no route to the host
	CauseRefused       Cause = "refused"         // the connection was refused
	CauseReset         Cause = "reset"           // the connection was reset or closed before an answer
	CauseTLS           Cause = "tls"             // the handshake failed, or the certificate is not trusted
	CauseDeadline      Cause = "deadline"        // no answer in time
	CauseRedirect      Cause = "redirect"        // a redirect that is not followed
	CauseTooLarge      Cause = "too_large"       // the answer is larger than the limit
	CauseCutOff        Cause = "cut_off"         // the answer ends too early
	CauseNotJSON       Cause = "not_json"        // the answer is not JSON
	CauseTooDeep       Cause = "too_deep"        // the answer is nested too deep
	CauseNoRecord      Cause = "no_record"       // the answer has something else at the record's place
	CauseTooManyValues Cause = "too_many_values" // the answer has too many values
	CauseBusy          Cause = "busy"            // this process is too busy to read the answer
	CauseOther         Cause = "other"           // anything else, for example an answer that is not HTTP
)

// Error is the one run-time error of this package.
type Error struct {
	Kind     Kind
	Op       string     // the operation: "users.update: request_body_mapping"
	Pos      source.Pos // of the expression; zero unless Kind is KindMapping
	Pointer  string     // the caller's field ("/roles/0/id", "?collections"); KindInvalid only
	Provider *Provider  // the provider's failure; KindProvider only
	Reply    *Reply     // the answer, perhaps incomplete; nil if there is none
	Cause    Cause      // the reason why the answer is missing or unusable; "" if its status is the reason
	Lost     bool       // there was no connection, or it broke before any byte of an answer; KindUpstream only
	Err      error      // cause
}

// Statuses of HTTP that the engine knows.
const (
	statusBadRequest        = 400
	statusUnauthorized      = 401
	statusProxyAuthRequired = 407
	statusBadGateway        = 502
	maxStatus               = 599
)

const verbGet = "GET"

// Errors of expressions whose result is of the wrong type.
var (
	errNotObject = errors.New("the expression does not return an object")
	errNotText   = errors.New("the expression does not return a text")
)

// Provider is a provider's failure, as the integration's `errors` reads it.
type Provider struct {
	Status  int    // the status that the caller gets, 400 to 599
	Message string // of any length, as everything that the provider says
	Fields  []FieldError
}

// FieldError is the provider's error about one field. Support.Pointer finds the caller's field.
type FieldError struct {
	Field   string // the provider's name
	Message string
}

// Error returns "op: cause", after the place of the expression if there is one.
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

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
