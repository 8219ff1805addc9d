package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// service is an HTTP server and its listener.
type service struct {
	server   *http.Server
	listener net.Listener
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return l, nil
}

// newHTTPServer returns a server with limits on time and headers. The handler has smaller
// limits, so that it answers long targets and headers itself.
func newHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    256 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// serve serves until ctx ends. Then it waits for calls in flight, at most for drain, one service
// after the other. If a service fails, all stop and its error is returned.
func serve(ctx context.Context, drain time.Duration, log *slog.Logger, services ...service) error {
	var wg sync.WaitGroup
	failures := make(chan error, len(services))
	for _, s := range services {
		wg.Go(func() {
			if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				failures <- fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
			}
		})
	}
	var failure error
	select {
	case <-ctx.Done():
		log.InfoContext(ctx, "stopping", slog.Float64("drain_seconds", drain.Seconds()))
	case failure = <-failures:
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	for _, s := range services {
		if err := s.server.Shutdown(draining); err != nil {
			log.WarnContext(ctx, "calls in flight were cut off", slog.String("reason", err.Error()))
			_ = s.server.Close() // the calls are lost already
		}
	}
	wg.Wait()
	return failure
}
