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

// healthz reports that the process lives.
func (s *Server) healthz(*request) *answer {
	return jsonAnswer(http.StatusOK, map[string]string{"status": "ok"})
}

// readyz reports whether calls can be served. The mappings are loaded before there is a
// server, so only the store can be missing.
func (s *Server) readyz(q *request) *answer {
	r := readiness{Status: "ready", Integrations: []string{}, Problems: []string{}}
	for _, in := range s.gateway.Snapshot().Catalog().Integrations() {
		r.Integrations = append(r.Integrations, in.Name)
	}
	status := http.StatusOK
	if err := s.directory.Ready(q.Context()); err != nil {
		r.Status, status = "unavailable", http.StatusServiceUnavailable
		r.Problems = append(r.Problems, gateway.StoreUnavailable().Message) // anyone may ask: only the log says where the store is
		s.log.LogAttrs(q.Context(), slog.LevelError, "account store failed", slog.String("request_id", q.id), slog.Any("error", err))
	}
	return jsonAnswer(status, r)
}
