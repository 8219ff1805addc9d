package server

import (
	"log/slog"
	"net/http"

	"portolan/gateway"
)

type readiness struct {
	Status       string   `json:"status"` // ready or unavailable
	Integrations []string `json:"integrations"`
	Problems     []string `json:"problems"`
}

// healthz reports that the process is running.
func (s *Server) healthz(*request) *answer {
	return jsonAnswer(http.StatusOK, map[string]string{"status": "ok"})
}

// readyz reports whether calls can be served. The mappings are loaded before the
// server starts, so that only the store can be unavailable.
func (s *Server) readyz(q *request) *answer {
	r := readiness{Status: "ready", Integrations: []string{}, Problems: []string{}}
	for _, in := range s.gateway.Snapshot().Catalog().Integrations() {
		r.Integrations = append(r.Integrations, in.Name)
	}
	status := http.StatusOK
	if err := s.directory.Ready(q.Context()); err != nil {
		r.Status, status = "unavailable", http.StatusServiceUnavailable
		r.Problems = append(r.Problems, gateway.StoreUnavailable().Message) // the route is public: only the log has the details
		s.log.LogAttrs(q.Context(), slog.LevelError, "account store failed", slog.String("request_id", q.id), slog.Any("error", err))
	}
	return jsonAnswer(status, r)
}
