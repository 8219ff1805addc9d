package upstream

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"portolan/engine"
)

func TestNoAnswer(t *testing.T) {
	secureServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	secureServer.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs refused connections
	secureServer.StartTLS()
	defer secureServer.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/eof":
			hangUp(w)
		case "/reset":
			reset(w)
		case "/garbage":
			conn := hijack(w)
			_, _ = io.WriteString(conn, "no HTTP, "+canary+"\r\n\r\n")
			_ = conn.Close()
		case "/headers":
			w.Header().Set("Long", strings.Repeat("x", 2<<20))
		}
	}))
	defer plain.Close()
	opened := WithLoopback(address(secureServer), address(closed), address(plain))
	for name, tt := range map[string]struct {
		url, text string
		cause     engine.Cause
	}{
		"refused":           {closed.URL, "connection refused", engine.CauseRefused},
		"closed":            {plain.URL + "/eof", "connection closed before an answer", engine.CauseReset},
		"reset":             {plain.URL + "/reset", "connection reset", engine.CauseReset},
		"not HTTP":          {plain.URL + "/garbage", "no usable answer", engine.CauseOther},
		"endless headers":   {plain.URL + "/headers", "no usable answer", engine.CauseOther},
		"untrusted":         {secureServer.URL, "TLS certificate is not trusted", engine.CauseTLS},
		"TLS to plain HTTP": {"https" + strings.TrimPrefix(plain.URL, "http"), "TLS handshake failed", engine.CauseTLS},
		"other loopback":    {"http://127.0.0.1:9/", "address or port is not allowed", engine.CauseBlocked},
		"other name of it":  {"http://localhost:443/", "address or port is not allowed", engine.CauseBlocked},
		"v6 loopback":       {"http://[::1]:80/", "address or port is not allowed", engine.CauseBlocked},
		"private":           {"https://10.0.0.1/", "address or port is not allowed", engine.CauseBlocked},
		"metadata service":  {"http://169.254.169.254/latest", "address or port is not allowed", engine.CauseBlocked},
		"unspecified":       {"http://0.0.0.0:80/", "address or port is not allowed", engine.CauseBlocked},
		"mapped":            {"http://[::ffff:127.0.0.1]:80/", "address or port is not allowed", engine.CauseBlocked},
		"odd port":          {"https://192.0.2.1:8443/", "address or port is not allowed", engine.CauseBlocked},
	} {
		t.Run(name, func(t *testing.T) {
			client := New(opened)
			defer client.CloseIdleConnections()
			c := withSecrets(call(http.MethodPut, tt.url))
			c.Repeatable = true
			_, err := client.Do(t.Context(), c)
			wantError(t, err, engine.KindUpstream, tt.text)
			wantCause(t, err, tt.cause)
			if e := asEngineError(err); e.Reply != nil || e.Op != "main: PUT https://shown.example.com/users/u1" {
				t.Errorf("got reply %v, op %q", e.Reply, e.Op)
			}
		})
	}
}

func TestNoWayToHost(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		text  string
		cause engine.Cause
	}{
		"unknown":     {&net.DNSError{Err: "no such host", Name: canary, IsNotFound: true}, "host name cannot be resolved", engine.CauseDNS},
		"unreachable": {os.NewSyscallError("connect", syscall.EHOSTUNREACH), "host cannot be reached", engine.CauseUnreachable},
		"no network":  {os.NewSyscallError("connect", syscall.ENETUNREACH), "host cannot be reached", engine.CauseUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			client := New(WithRoundTripper(roundTripper(func(*http.Request) (*http.Response, error) {
				return nil, &net.OpError{Op: "dial", Err: tt.err}
			})))
			_, err := client.Do(t.Context(), call(http.MethodGet, "https://api.example.com/"))
			wantError(t, err, engine.KindUpstream, tt.text)
			wantCause(t, err, tt.cause)
			if !errors.Is(err, tt.err) {
				t.Error("the error is lost")
			}
		})
	}
}

func TestInsecureOpensEverything(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	client := New(WithInsecure())
	defer client.CloseIdleConnections()
	if _, err := client.Do(t.Context(), call(http.MethodGet, server.URL)); err != nil {
		t.Error(err)
	}
}

func TestTimeAndCancel(t *testing.T) {
	for name, afterHead := range map[string]bool{"before the head": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			arrived, release := make(chan struct{}, 8), make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if afterHead {
					_, _ = io.WriteString(w, "{")
					_ = http.NewResponseController(w).Flush()
				}
				arrived <- struct{}{}
				<-release
			}))
			defer server.Close()
			defer close(release)
			c := withSecrets(call(http.MethodPut, server.URL))
			c.Repeatable = true
			do := func(ctx context.Context) error {
				client := New(WithLoopback(address(server)))
				defer client.CloseIdleConnections()
				_, err := client.Do(ctx, c)
				return err
			}

			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			err := do(ctx)
			wantError(t, err, engine.KindTimeout, "no answer in time")
			wantCause(t, err, engine.CauseDeadline)
			if !errors.Is(err, context.DeadlineExceeded) || asEngineError(err).Reply != nil || asEngineError(err).Lost {
				t.Errorf("got %#v", err)
			}
			<-arrived
			if len(arrived) != 0 {
				t.Error("a call that timed out was sent again")
			}

			ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			go func() { <-arrived; cancel() }()
			err = do(ctx)
			wantError(t, err, engine.KindCanceled, "caller canceled the call")
			wantCause(t, err, "")
			if !errors.Is(err, context.Canceled) || asEngineError(err).Lost {
				t.Errorf("got %#v", err)
			}
		})
	}
}
