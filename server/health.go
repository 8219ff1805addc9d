package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"portolan/gateway"
)

// readiness is the detailed answer of /readyz.
type readiness struct {
	Status       string   `json:"status"` // ready or unavailable
	Integrations []string `json:"integrations"`
	Problems     []string `json:"problems"`
}

// healthz reports that the process is running.
func (s *Server) healthz(*request) *answer {
	return jsonAnswer(http.StatusOK, map[string]string{"status": "ok"})
}

// readyz reports whether calls can be served, and nothing else: anybody may ask it.
func (s *Server) readyz(q *request) *answer {
	r, status := s.readiness(q)
	return jsonAnswer(status, map[string]string{"status": r.Status})
}

// readyzInDetail is readyz for operators.
func (s *Server) readyzInDetail(q *request) *answer {
	r, status := s.readiness(q)
	return jsonAnswer(status, r)
}

// readiness returns whether calls can be served, and its HTTP status. The mappings are loaded before
// the server starts, so that only the store can be unavailable.
func (s *Server) readiness(q *request) (readiness, int) {
	r, status := readiness{Status: "ready", Integrations: []string{}, Problems: []string{}}, http.StatusOK
	for _, in := range s.gateway.Snapshot().Catalog().Integrations() {
		r.Integrations = append(r.Integrations, in.Name)
	}
	if err := s.storeCheck.ready(q.Context(), s.now(), s.directory); err != nil {
		r.Status, status = "unavailable", http.StatusServiceUnavailable
		r.Problems = append(r.Problems, gateway.StoreUnavailable().Message+": "+err.Error())
		s.log.LogAttrs(q.Context(), slog.LevelError, "account store failed", slog.String("request_id", q.id), slog.Any("error", err))
	}
	return r, status
}

// storeCheckedFor is how long the result of a check of the store is used.
const storeCheckedFor = time.Second

// storeCheck remembers the last check of the store, so that anybody who asks /readyz often does not
// keep it busy. It is safe for concurrent use: one caller checks, the others wait.
type storeCheck struct {
	mu   sync.Mutex
	at   time.Time
	done bool
	err  error
}

func (c *storeCheck) ready(ctx context.Context, now time.Time, directory Directory) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done || now.Sub(c.at) >= storeCheckedFor {
		c.err = directory.Ready(context.WithoutCancel(ctx)) // a caller that leaves must not fail it for others
		c.at, c.done = now, true
	}
	return c.err
}
