package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"

	"portolan/gateway"
)

// Listener prepares web, whose handler is s, to answer requests that net/http refuses by itself: those
// that are malformed, for example. web must then serve the returned listener in place of l.
func (s *Server) Listener(web *http.Server, l net.Listener) net.Listener {
	web.DisableGeneralOptionsHandler = true
	web.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	web.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*connection); ok && state == http.StateIdle { // the answer of the handler is written
			c.handling.Store(false)
		}
	}
	web.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.handling.Store(true)
		}
		s.ServeHTTP(w, r)
	})
	return listener{l, s}
}

type connectionKey struct{}

type listener struct {
	net.Listener
	server *Server
}

// Accept returns a *connection for TCP.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		return &connection{TCPConn: tcp, server: l.server}, nil
	}
	return c, err
}

// connection replaces the answers that net/http writes by itself.
type connection struct {
	*net.TCPConn
	server   *Server
	handling atomic.Bool // the handler has been called, and its answer is not written yet
}

// Write writes b, or the envelope in its place if net/http has refused the request.
func (c *connection) Write(b []byte) (int, error) {
	if c.handling.Load() {
		return c.TCPConn.Write(b)
	}
	if _, err := c.TCPConn.Write(c.server.refusal(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// refusal returns the whole answer, as sent, in place of one that net/http wrote.
func (s *Server) refusal(written []byte) []byte {
	const protocol, status = len("HTTP/1.1 "), len("400")
	p := &gateway.Problem{Status: http.StatusBadRequest, Message: "the request is malformed"}
	if len(written) > protocol+status {
		if n, err := strconv.Atoi(string(written[protocol : protocol+status])); err == nil {
			p.Status = n
			if n == http.StatusRequestHeaderFieldsTooLarge {
				p.Message = "the target and the headers are too large"
			}
		}
	}
	_, text, _ := bytes.Cut(written, []byte("\r\n\r\n"))
	if _, reason, ok := bytes.Cut(text, []byte(": ")); ok { // "400 Bad Request: too many Host headers"
		p.Message += ": " + string(reason)
	}
	id, body := newRequestID(), append(encodeJSON(envelopeOf(p)), '\n')
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "request", slog.String("request_id", id), slog.Int("status", p.Status), slog.String("problem", "malformed"))
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n%s",
		p.Status, http.StatusText(p.Status), len(body), id, body)
}
