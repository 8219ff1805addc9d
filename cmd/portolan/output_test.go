package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	var out bytes.Buffer
	err := describe(&out, []byte(`{"version":9007199254740993,"overrides":{"ticketing.users.update":{"replace":true},"a.b.c":{}},"status":"active",
		"credentials":[{"name":"api_key","set_at":"2026-01-02T03:04:05Z"},{"name":"site"}],"label":"red \u001b[31m\nline","last_error":null,
		"id":"a1","verification":{"status":200},"empty":[]}`))
	want := `id: a1
label: "red \x1b[31m\nline"
status: active
credentials: api_key, site
overrides: a.b.c, ticketing.users.update
verification: status 200
version: 9007199254740993
`
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	err := writeTable(&out, []string{"A", "LONG"}, [][]string{{"ab\tc", "x"}, {"日本", ""}})
	want := "A        LONG\n\"ab\\tc\"  x\n日本\n"
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestPublicOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"https://portolan.example.com": "https://portolan.example.com", "http://127.0.0.1:8080/": "http://127.0.0.1:8080",
		"": "", "portolan.example.com": "", "ftp://example.com": "", "https://": "", "https://u@example.com": "",
		"https://example.com/x": "", "https://example.com?x": "", "https://example.com#x": "", "https://exa mple.com": "",
	} {
		got, err := publicOrigin(text)
		var usage usageError
		if got != want || errors.As(err, &usage) != (want == "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestLoopbackOrigin(t *testing.T) {
	for text, want := range map[string]string{"127.0.0.1:80": "http://127.0.0.1:80", "[::1]:8080": "http://[::1]:8080", "0.0.0.0:80": "", "192.0.2.1:80": "", "[::]:80": ""} {
		address, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := loopbackOrigin(stub{address: address}); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
}

type stub struct {
	net.Listener
	address net.Addr
}

func (s stub) Addr() net.Addr { return s.address }

func TestProxyDoesNotPrint(t *testing.T) {
	var x proxyURL
	if err := x.UnmarshalText([]byte("http://user:pass-w0rd@proxy.example.com:3128")); err != nil || len(x.options()) != 1 {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", x, &x, x, x); strings.Contains(text, "pass-w0rd") {
		t.Error(text)
	}
	for _, bad := range []string{"", "proxy.example.com:3128", "ftp://pass-w0rd", "http://pass-w0rd@", "http://pass-w0rd\n"} {
		if err := x.UnmarshalText([]byte(bad)); err == nil || strings.Contains(err.Error(), "pass-w0rd") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
