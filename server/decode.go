package server

import (
	"errors"
	"net/http"

	"portolan/engine"
)

// Decode reads and judges r as ServeHTTP does and stops before any call: what the engine
// would be given, and the plan that would carry it out. The error is the refusal's message.
func (s *Server) Decode(r *http.Request) (*engine.Request, *engine.Plan, error) {
	x := s.begin(nowhere{}, r)
	x.decodeOnly = true
	s.echo.ServeHTTP(x.writer, x.request)
	if x.problem != nil {
		return nil, nil, errors.New(x.problem.message)
	}
	return x.call, x.plan, nil
}

// nowhere is a writer for an answer that nobody waits for.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}
