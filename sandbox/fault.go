package sandbox

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// fault is a failure and its implementation.
type fault struct {
	Fault
	on  []string // the routes that it applies to; empty for every request
	act act
}

// act answers instead of x.run, which it may call.
type act func(s *Sandbox, w http.ResponseWriter, x *exchange)

func (f *fault) appliesTo(rt *route) bool {
	return len(f.on) == 0 || rt != nil && slices.Contains(f.on, rt.text)
}

// answerFault returns an act that answers with a; nothing is checked and nothing changes.
func answerFault(a *answer) act {
	return func(_ *Sandbox, w http.ResponseWriter, x *exchange) {
		if err := x.begin(); err != nil {
			failed(err).write(w)
			return
		}
		x.finish(a, nil).write(w)
	}
}

// changeFault returns an act that changes the body of a successful answer.
func changeFault(e *expr) act {
	return func(_ *Sandbox, w http.ResponseWriter, x *exchange) { x.run(e).write(w) }
}

// builtinFaults are the faults of every provider.
func builtinFaults() []*fault {
	return []*fault{
		{Fault: Fault{"rate_limited", "429 with Retry-After and rate limit headers; the request is not carried out"}, act: rateLimited},
		{Fault: Fault{"server_error", "500 with a JSON body; the request is not carried out"}, act: serverError},
		{Fault: Fault{"html", "200 with an HTML page instead of JSON; the request is not carried out"}, act: htmlPage},
		{Fault: Fault{"truncated", "the request is carried out, its answer is cut in the middle"}, act: truncated},
		{Fault: Fault{"reset", "the connection is reset instead of an answer; the request is not carried out"}, act: reset},
		{Fault: Fault{"slow", "no answer until the caller gives up; then the request is not carried out"}, act: slow},
		{Fault: Fault{"huge", "200 with 20 MiB of JSON; the request is not carried out"}, act: huge},
		{Fault: Fault{"redirect", "307 to another host; the request is not carried out"}, act: redirect},
	}
}

func builtinNames() []string {
	var names []string
	for _, f := range builtinFaults() {
		names = append(names, f.Name)
	}
	return names
}

// builtinAct returns the act of a built-in fault; nil if there is none.
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
	out := x.run(nil)
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
		_ = tcp.SetLinger(0) // closing resets the connection
	}
	_ = conn.Close()
}

func slow(s *Sandbox, w http.ResponseWriter, x *exchange) {
	timer := time.NewTimer(s.slow)
	defer timer.Stop()
	select {
	case <-x.ctx.Done():
	case <-timer.C:
		x.run(nil).write(w)
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
