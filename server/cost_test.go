//go:build !race

package server_test

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"

	"portolan/server"
	"portolan/upstream"
)

// What one call may cost, over sockets and with net/http on both sides. The race detector changes
// both figures.
const (
	maxCallAllocations = 250
	maxCallBytes       = 24 << 10
)

// plainHTTP sends requests to address instead. It changes them.
type plainHTTP struct {
	address string
	next    http.RoundTripper
}

func (p plainHTTP) RoundTrip(req *http.Request) (*http.Response, error) {
	req.URL.Scheme, req.URL.Host = "http", p.address
	return p.next.RoundTrip(req)
}

// nowhere takes the log. The log line is part of the cost.
type nowhere struct{}

func (nowhere) Write(line []byte) (int, error) { return len(line), nil }

// TestCallCost counts what a call allocates in the whole process: its client and its provider
// allocate almost nothing.
func TestCallCost(t *testing.T) {
	const calls = 2000
	u := benchmarkedUpdates()[0]
	provider := answerAlways(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(u.reply), u.reply))
	s := newServer(t, upstream.New(upstream.WithRoundTripper(plainHTTP{provider, &http.Transport{}})),
		server.WithLogger(slog.New(slog.NewJSONHandler(nowhere{}, nil))))
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	conn, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	request := fmt.Appendf(nil, "PATCH %s HTTP/1.1\r\nHost: gateway.example.com\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		u.target(), token, len(u.body), u.body)
	in := bufio.NewReader(conn)
	call := func() {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if status := readMessage(in); status != "HTTP/1.1 200" {
			t.Fatalf("answered with %q", status)
		}
	}
	for range calls / 10 {
		call()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	allocations, size := (after.Mallocs-before.Mallocs)/calls, (after.TotalAlloc-before.TotalAlloc)/calls
	t.Logf("a call: %d allocations, %d bytes", allocations, size)
	if allocations > maxCallAllocations || size > maxCallBytes {
		t.Errorf("a call costs %d allocations and %d bytes, at most %d and %d are allowed", allocations, size, maxCallAllocations, maxCallBytes)
	}
}

// answerAlways starts a server that answers every request alike, and returns its address.
func answerAlways(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in, text := bufio.NewReader(conn), []byte(answer)
				for readMessage(in) != "" {
					if _, err := conn.Write(text); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// readMessage skips one HTTP message with a Content-Length and returns the start of its first line;
// "" at the end.
func readMessage(in *bufio.Reader) string {
	first, length := "", 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return ""
		}
		line = bytes.TrimRight(line, "\r\n")
		if first == "" {
			first = string(line[:min(len(line), 12)])
		}
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			length, _ = strconv.Atoi(string(value))
		}
	}
	if _, err := in.Discard(length); err != nil {
		return ""
	}
	return first
}
