package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// setup is what a process of the benchmark reads from its standard input.
type setup struct {
	Provider string            `json:"provider"` // its origin, such as http://127.0.0.1:4711
	BasePath string            `json:"base_path"`
	Token    string            `json:"token"`
	Account  string            `json:"account"`
	Context  map[string]string `json:"context"` // the account's credentials
}

// Roles that the program plays in processes of their own, so that each has its own CPU time.
const (
	providerRole = "provider"
	byHandRole   = "by-hand"
	proxyRole    = "proxy"
	loaderRole   = "loader"
)

// play plays a role. A server ends with its standard input, so that none outlives the benchmark.
func play(ctx context.Context, role string, in io.Reader, out, log io.Writer) error {
	decoder := json.NewDecoder(in)
	if role == loaderRole {
		var l load
		if err := decoder.Decode(&l); err != nil {
			return err
		}
		measured, err := l.run(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(measured)
	}
	var s setup
	if err := decoder.Decode(&s); err != nil {
		return err
	}
	var handler http.Handler
	switch role {
	case providerRole:
		j, err := readJob()
		if err != nil {
			return err
		}
		handler = newProvider(j.Provider)
	case byHandRole:
		handler = newByHand(s, log).handler()
	case proxyRole:
		target, err := url.Parse(s.Provider)
		if err != nil {
			return err
		}
		handler = newProxy(target)
	}
	return serve(ctx, handler, in, out, log)
}

// newProxy passes the provider's own requests on. It shows what forwarding alone costs.
func newProxy(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: newTransport(),
	}
}

// newTransport keeps a connection for every client of the benchmark.
func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConns: 100, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}
}

// serve prints its address, and serves until in or ctx ends.
func serve(ctx context.Context, handler http.Handler, in io.Reader, out, log io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(slog.NewJSONHandler(log, nil), slog.LevelError),
	}
	if _, err := fmt.Fprintf(out, "listens on http://%s\n", listener.Addr()); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, in)
	}()
	go func() {
		select {
		case <-ended:
		case <-ctx.Done():
		}
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
