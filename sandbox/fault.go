package sandbox

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// fault is a failure and how it is played.
type fault struct {
	Fault
	on  []string // the routes that it meets; empty: all, and requests without one
	act act
}

// act plays a failure instead of, or by way of, x.play.
type act func(s *Sandbox, w http.ResponseWriter, x *exchange)

func (f *fault) meets(rt *route) bool {
	return len(f.on) == 0 || rt != nil && slices.Contains(f.on, rt.text)
}

// answering gives a's answer; nothing is checked and nothing changes.
func answering(a *answer) act {
	return func(_ *Sandbox, w http.ResponseWriter, x *exchange) {
		if err := x.begin(); err != nil {
			failed(err).write(w)
			return
		}
		x.finish(a, nil).write(w)
	}
}

// changing plays as always, but for the body of an answer that tells of success.
func changing(e *expr) act {
	return func(_ *Sandbox, w http.ResponseWriter, x *exchange) { x.play(e).write(w) }
}

// builtinFaults are the faults of every provider.
func builtinFaults() []*fault {
	return []*fault{
		{Fault: Fault{"rate_limited", "429 with Retry-After and rate limit headers; nothing is done"}, act: rateLimited},
		{Fault: Fault{"server_error", "500 with a JSON body; nothing is done"}, act: serverError},
		{Fault: Fault{"html", "200 with an HTML page instead of JSON; nothing is done"}, act: htmlPage},
		{Fault: Fault{"truncated", "the request is carried out, its answer cut in the middle"}, act: truncated},
		{Fault: Fault{"reset", "the connection is reset instead of an answer; nothing is done"}, act: reset},
		{Fault: Fault{"slow", "no answer until the caller gives up; nothing is done then"}, act: slow},
		{Fault: Fault{"huge", "200 with 20 MiB of JSON; nothing is done"}, act: huge},
		{Fault: Fault{"redirect", "307 to another host; nothing is done"}, act: redirect},
	}
}

func builtinNames() []string {
	var names []string
	for _, f := range builtinFaults() {
		names = append(names, f.Name)
	}
	return names
}

// builtinAct gives what the built-in fault called name does; nil where there is none.
func builtinAct(name string) act {
	for _, f := range builtinFaults() {
		if f.Name == name {
			return f.act
		}
	}
	return nil
}

func rateLimited(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	out := textResponse(http.StatusTooManyRequests, "")
	out.json(map[string]any{"error": "too many requests"})
	out.header.Set("Retry-After", "30")
	out.header.Set("X-RateLimit-Limit", "150")
	out.header.Set("X-RateLimit-Remaining", "0")
	out.header.Set("X-RateLimit-Reset", "30")
	out.write(w)
}

func serverError(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	out := textResponse(http.StatusInternalServerError, "")
	out.json(map[string]any{"error": "internal server error"})
	out.write(w)
}

func htmlPage(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	out := textResponse(http.StatusOK, "<!DOCTYPE html>\n<html><head><title>One moment</title></head><body><h1>One moment</h1></body></html>\n")
	out.header.Set("Content-Type", "text/html; charset=utf-8")
	out.write(w)
}

func truncated(_ *Sandbox, w http.ResponseWriter, x *exchange) {
	out := x.play(nil)
	out.body = out.body[:len(out.body)/2]
	out.write(w)
}

func reset(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		textResponse(http.StatusInternalServerError, fmt.Sprintf("sandbox: this connection cannot be reset: %s", err)).write(w)
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // so that closing resets
	}
	_ = conn.Close()
}

func slow(s *Sandbox, w http.ResponseWriter, x *exchange) {
	timer := time.NewTimer(s.slow)
	defer timer.Stop()
	select {
	case <-x.ctx.Done():
	case <-timer.C:
		x.play(nil).write(w)
	}
}

func huge(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	const size, line = 20 << 20, 1 << 10
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	_, err := w.Write([]byte(`{"padding":"`))
	padding := []byte(strings.Repeat("x", line))
	for sent := 0; sent < size && err == nil; sent += line {
		_, err = w.Write(padding)
	}
	_, _ = w.Write([]byte(`"}`))
}

func redirect(_ *Sandbox, w http.ResponseWriter, _ *exchange) {
	out := textResponse(http.StatusTemporaryRedirect, "")
	out.header.Set("Location", "http://127.0.0.2/elsewhere") // another host, still this machine
	out.write(w)
}
