package server

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
)

type readiness struct {
	Status       string   `json:"status"` // ready or unavailable
	Integrations []string `json:"integrations"`
	Problems     []string `json:"problems"`
}

// healthz says that the process lives.
func (s *Server) healthz(c echo.Context) error {
	exchangeOf(c.Request()).writeJSON(http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// readyz says whether calls can be served. The mappings are loaded before there is a
// server, so the store is what can be missing.
func (s *Server) readyz(c echo.Context) error {
	x := exchangeOf(c.Request())
	r := readiness{Status: "ready", Integrations: s.catalog.Integrations(), Problems: []string{}}
	status := http.StatusOK
	if err := s.accounts.Ready(c.Request().Context()); err != nil {
		r.Status, status = "unavailable", http.StatusServiceUnavailable
		r.Problems = append(r.Problems, unavailable().message) // anyone may ask: where the store is, the log tells
		s.log.LogAttrs(c.Request().Context(), slog.LevelError, "account store failed", slog.String("request_id", x.id), slog.Any("error", err))
	}
	x.writeJSON(status, r)
	return nil
}
