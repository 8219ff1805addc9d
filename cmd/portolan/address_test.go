package main

import (
	"net"
	"testing"
)

func TestOriginOf(t *testing.T) {
	for listen, want := range map[string]string{
		"0.0.0.0:0":      "http://0.0.0.0:4711",
		"127.0.0.1:4711": "http://127.0.0.1:4711",
		"localhost:0":    "http://localhost:4711",
		"[::1]:0":        "http://[::1]:4711",
		":4711":          "http://[::]:4711",
	} {
		if got := originOf(listen, &net.TCPAddr{IP: net.IPv6unspecified, Port: 4711}); got != want {
			t.Errorf("--listen %s: %s, want %s", listen, got, want)
		}
	}
}
