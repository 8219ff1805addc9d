package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A surplus answer of a provider is not logged, although net/http prints it.
func TestSurplusAnswerIsNotLogged(t *testing.T) {
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
			if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_ = req.Body.Close()
			}
			const body = `{"id":"u1","fullName":"Ada","profile":{"firstName":"Ada"}}`
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"+
				"HTTP/1.1 200 OK\r\nX-Other: s3cr3t-canary\r\nContent-Length: 0\r\n\r\n", len(body), body)
		}
	}()
	r := launch(t, "--accounts", writeAccounts(t, "http://"+listener.Addr().String()), "--allow-insecure-upstreams")
	if status, answer := r.patch(t, fileTarget, fileToken, `{"first_name":"Ada"}`); status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(r.stderr.String(), "message of a library left out") && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // net/http reads it in another goroutine
	}
	if text := r.stderr.String(); !strings.Contains(text, `"level":"WARN","msg":"message of a library left out: it may quote a provider","bytes":`) ||
		strings.Contains(text, "canary") || strings.Contains(text, "Unsolicited") {
		t.Errorf("log: %s", text)
	}
}
