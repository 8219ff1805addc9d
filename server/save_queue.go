package server

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"portolan/gateway"
)

const (
	// maxSaves limits the requests of an environment that save overrides at the same time: one
	// compiles, the others wait.
	maxSaves = 8
	// saveRetryAfter is the Retry-After of a request over maxSaves, in seconds.
	saveRetryAfter = "5"
)

// errTooManySaves means that maxSaves requests of an environment are saving already.
var errTooManySaves = errors.New("too many requests are saving overrides in this environment")

// saves lets one request at a time compile overrides in each environment, so that one environment
// cannot use all of the CPU. It is safe for concurrent use.
type saves struct {
	mu           sync.Mutex
	environments map[string]*saveQueue // those with a request that saves
}

// saveQueue holds the requests that save in one environment.
type saveQueue struct {
	turn     chan struct{} // full while a request compiles
	requests int           // that compile or wait
}

func newSaves() *saves { return &saves{environments: map[string]*saveQueue{}} }

// enter waits until no other request saves in the environment. The caller must call leave after
// compiling. The error is errTooManySaves or that of ctx.
func (s *saves) enter(ctx context.Context, environment string) (leave func(), err error) {
	q, err := s.join(environment)
	if err != nil {
		return nil, err
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; s.quit(environment, q) }, nil
	case <-ctx.Done():
		s.quit(environment, q)
		return nil, context.Cause(ctx)
	}
}

func (s *saves) join(environment string) (*saveQueue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.environments[environment]
	if q == nil {
		q = &saveQueue{turn: make(chan struct{}, 1)}
		s.environments[environment] = q
	}
	if q.requests >= maxSaves {
		return nil, errTooManySaves
	}
	q.requests++
	return q, nil
}

func (s *saves) quit(environment string, q *saveQueue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.requests--; q.requests == 0 {
		delete(s.environments, environment)
	}
}

// saving calls saves.enter and returns its error as a problem.
func (a *adminCall) saving(ctx context.Context, environment string) (leave func(), p *gateway.Problem) {
	leave, err := a.server.saves.enter(ctx, environment)
	switch {
	case err == nil:
		return leave, nil
	case errors.Is(err, errTooManySaves):
		return nil, &gateway.Problem{Status: http.StatusTooManyRequests, RetryAfter: saveRetryAfter, Message: err.Error() + ": wait before the next one"}
	default:
		return nil, gateway.Canceled()
	}
}
