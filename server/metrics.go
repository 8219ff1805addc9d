package server

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests. Labels name providers, methods and outcomes, never ids.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	gateway  *prometheus.HistogramVec
	upstream *prometheus.HistogramVec
}

func newMetrics() *metrics {
	labels := []string{"integration", "operation"}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portolan_requests_total", Help: "Requests by integration, operation, status and whether the error came from the provider.",
		}, append(labels[:2:2], "status", "remote")),
		gateway: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portolan_gateway_seconds", Help: "Duration of a request without the time that the provider took.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, labels),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portolan_upstream_seconds", Help: "Time that the provider took in a request.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 10),
		}, labels),
	}
	m.registry.MustRegister(m.requests, m.gateway, m.upstream)
	return m
}

// observe counts one finished request and its total duration.
func (m *metrics) observe(total time.Duration, a *answer) {
	integration, operation := "", ""
	if a.report != nil && a.report.Mapping != "" {
		integration, operation = a.report.Integration, a.report.Operation
	}
	remote := a.problem != nil && a.problem.Remote != nil
	m.requests.WithLabelValues(integration, operation, strconv.Itoa(a.status), strconv.FormatBool(remote)).Inc()
	if a.report == nil || a.report.Result == nil {
		return
	}
	waited := a.report.Result.Waited()
	m.gateway.WithLabelValues(integration, operation).Observe((total - waited).Seconds())
	if a.report.Result.Calls() > 0 {
		m.upstream.WithLabelValues(integration, operation).Observe(waited.Seconds())
	}
}

// Operations returns the handler for operators: metrics, profiles, and a /readyz that names what is
// wrong. It asks for no token, so it must not be reachable for callers.
func (s *Server) Operations() http.Handler {
	e := s.newEcho()
	s.handleVerbs(e, "/healthz", verbHandler{http.MethodGet, s.handle(s.healthz)})
	s.handleVerbs(e, "/readyz", verbHandler{http.MethodGet, s.handle(s.readyzInDetail)})
	s.handleVerbs(e, "/metrics", verbHandler{http.MethodGet, s.serveMetrics})
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { serve(e, w, r) })
	return mux
}

// serveMetrics answers in the text format of Prometheus.
func (s *Server) serveMetrics(c echo.Context) error {
	q := s.request(c)
	c.Response().Header().Set("X-Request-Id", q.id)
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	s.record(q, &answer{status: c.Response().Status})
	return nil
}
