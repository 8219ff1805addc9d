package server

import (
	"net/http"

	"portolan/accounts"
)

// checkStatus refuses an account that cannot be called.
func (x *exchange) checkStatus() *problem {
	switch x.account.Status {
	case accounts.StatusDisabled:
		return &problem{status: http.StatusForbidden, message: "the integrated account is disabled"}
	case accounts.StatusNeedsReauth:
		return mustReconnect(x.account.LastError)
	default:
		return nil
	}
}

// mustReconnect is the provider's refusal of a grant: an answer of its own, though not to
// this request.
func mustReconnect(reason string) *problem {
	message := "the integrated account must be connected again"
	if reason != "" {
		message += ": " + reason
	}
	return &problem{status: http.StatusUnauthorized, message: message, remote: &remoteProblem{status: http.StatusUnauthorized}}
}
