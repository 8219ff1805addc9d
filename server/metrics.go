package server

import (
	"strconv"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"portolan/engine"
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
			Name: "portolan_requests_total", Help: "Requests by integration, operation, status and whether the provider refused.",
		}, append(labels[:2:2], "status", "remote")),
		gateway: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portolan_gateway_seconds", Help: "Time of a request without the wait for the provider.", Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
		}, labels),
		upstream: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "portolan_upstream_seconds", Help: "Wait for the provider in a request.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 10),
		}, labels),
	}
	m.registry.MustRegister(m.requests, m.gateway, m.upstream)
	return m
}

// observe counts one finished request.
func (m *metrics) observe(x *exchange) {
	integration, operation := "", ""
	if x.plan != nil {
		integration, operation = x.plan.Integration(), x.operation()
	}
	remote := x.problem != nil && x.problem.remote != nil
	m.requests.WithLabelValues(integration, operation, strconv.Itoa(x.writer.status), strconv.FormatBool(remote)).Inc()
	if x.result == nil {
		return
	}
	m.gateway.WithLabelValues(integration, operation).Observe((x.server.now().Sub(x.start) - x.result.Waited).Seconds())
	if calls(x.result) > 0 {
		m.upstream.WithLabelValues(integration, operation).Observe(x.result.Waited.Seconds())
	}
}

// operation is the unified method of the plan, or "verify".
func (x *exchange) operation() string {
	if op := x.plan.Operation(); op != (engine.Operation{}) {
		return op.String()
	}
	return "verify"
}

func (m *metrics) serve(c echo.Context) error {
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	return nil
}
