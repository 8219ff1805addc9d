package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"portolan/accounts"
	"portolan/gateway"
)

// authenticate returns the token with which the request authenticates.
func (s *Server) authenticate(q *request) (accounts.Token, *gateway.Problem) {
	values := q.Header.Values("Authorization")
	refused := func(message string) (accounts.Token, *gateway.Problem) {
		return accounts.Token{}, &gateway.Problem{Status: http.StatusUnauthorized, Message: message}
	}
	if len(values) == 0 {
		return refused("the request has no token: send Authorization: Bearer <token>")
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if len(values) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return refused("send one header Authorization: Bearer <token>")
	}
	s.warnOfProxy(q)
	found, err := s.directory.Authenticate(q.Context(), strings.TrimSpace(token))
	switch {
	case errors.Is(err, accounts.ErrUnauthorized):
		if p := s.failedAuthentication(q, s.throttle); p != nil {
			return accounts.Token{}, p
		}
		return refused("the token is not valid")
	case err != nil:
		return accounts.Token{}, s.storeProblem(q, err, "", "")
	}
	return found, nil
}

// storeProblem turns an error of the store into a problem; nil if err is nil. what names the thing
// that may be missing, conflict is the message if it cannot be changed as requested.
func (s *Server) storeProblem(q *request, err error, what, conflict string) *gateway.Problem {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, accounts.ErrNotFound):
		return &gateway.Problem{Status: http.StatusNotFound, Message: "there is no " + what}
	case errors.Is(err, accounts.ErrConflict):
		return &gateway.Problem{Status: http.StatusConflict, Message: conflict}
	case errors.Is(err, accounts.ErrReadOnly):
		return &gateway.Problem{Status: http.StatusConflict, Message: "this integrated account is provided by the server: it can be read and called, not changed"}
	case errors.Is(err, accounts.ErrCursor):
		name := "next_cursor"
		if q.URL.Query().Get(name) == "" {
			name = "cursor"
		}
		return gateway.Invalid([]gateway.Failure{gateway.QueryFailuref(name, gateway.CodeFormat, "is not a cursor of this list")})
	case errors.Is(q.Context().Err(), context.Canceled):
		return gateway.Canceled()
	}
	s.log.LogAttrs(q.Context(), slog.LevelError, "account store failed", slog.String("request_id", q.id), slog.Any("error", err))
	return gateway.StoreProblem(err)
}
