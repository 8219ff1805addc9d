package server

import (
	"encoding/json"

	"portolan/gateway"
)

// debugAnswer is the debug format; Result is null if no call was made.
type debugAnswer struct {
	Result json.RawMessage `json:"result"`
	Debug  gateway.Debug   `json:"debug"`
}

// debug returns the debug part of an error answer; nil if the request did not ask for it or the
// account is not known.
func (s *Server) debug(q *request, report *gateway.Report, options gateway.Options) *gateway.Debug {
	if report == nil || options.Format != gateway.FormatDebug && !options.PlanOnly {
		return nil
	}
	d := s.debugOf(q, report)
	return &d
}

func (s *Server) debugOf(q *request, report *gateway.Report) gateway.Debug {
	d := report.Debug()
	d.Timings.GatewayMs = float64(s.now().Sub(q.start).Microseconds())/1000 - d.Timings.UpstreamMs
	return d
}
