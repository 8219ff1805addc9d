package upstream

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portolan/engine"
)

// names returns a resolver of these names only.
func names(known map[string]string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serveDNS(theirs, known)
		return ours, nil
	}}
}

// serveDNS answers one question over TCP (RFC 1035 §4.2.2).
func serveDNS(conn net.Conn, known map[string]string) {
	defer conn.Close()
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	var labels []string
	i := 12
	for query[i] != 0 {
		labels = append(labels, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	kind, question := binary.BigEndian.Uint16(query[i+1:]), query[12:i+5]
	ip, err := netip.ParseAddr(known[strings.ToLower(strings.Join(labels, "."))])
	answers, code := uint16(0), uint16(3) // no such name
	if err == nil {
		code = 0
	}
	if err == nil && (kind == 1 && ip.Is4() || kind == 28 && ip.Is6()) {
		answers = 1
	}
	reply := append([]byte{0, 0}, query[:2]...)
	reply = binary.BigEndian.AppendUint16(reply, 0x8180|code)
	for _, count := range []uint16{1, answers, 0, 0} {
		reply = binary.BigEndian.AppendUint16(reply, count)
	}
	reply = append(reply, question...)
	if answers == 1 {
		reply = append(reply, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(ip.BitLen()/8))
		reply = append(reply, ip.AsSlice()...)
	}
	binary.BigEndian.PutUint16(reply, uint16(len(reply)-2))
	_, _ = conn.Write(reply)
}

const forbidden = "address or port is not allowed"

// Hosts in the local network, in all spellings. Some resolvers parse some of them as addresses, and
// so does the resolver of the tests.
var forbiddenHosts = map[string]string{ // their addresses, if they can be resolved
	"169.254.169.254": "", "127.0.0.1": "", "127.8.8.8": "", "0.0.0.0": "", "10.0.0.1": "", "172.16.0.1": "", "192.168.0.1": "",
	"100.64.0.1": "", "[::1]": "", "[::]": "", "[fe80::1]": "", "[fe80::1%25lo]": "", "[fd00::1]": "", "[::ffff:127.0.0.1]": "",
	"[::ffff:a9fe:a9fe]": "", "[64:ff9b::7f00:1]": "", "[2002:7f00:1::]": "",
	"localhost": "127.0.0.1", "LOCALHOST": "127.0.0.1", "localhost.": "127.0.0.1", "a.localhost": "127.0.0.1",
	"0x7f000001": "127.0.0.1", "0x7f.0x0.0x0.0x1": "127.0.0.1", "0x7f.1": "127.0.0.1", "127.0.0.0x1": "127.0.0.1",
	"2130706433": "127.0.0.1", "0177.0.0.1": "127.0.0.1", "017700000001": "127.0.0.1", "127.1": "127.0.0.1", "127.0.0.1.": "127.0.0.1",
	"metadata": "169.254.169.254", "１２７.０.０.１": "127.0.0.1", "①②⑦.0.0.1": "127.0.0.1", "ⓛocalhost": "127.0.0.1",
}

// Names that resolve to such addresses, which only a direct dial can detect.
var badNames = map[string]string{
	"private.example.com": "10.1.2.3", "loopback.example.com": "127.0.0.1", "v6.example.com": "::1", "link.example.com": "169.254.169.254",
	"mapped.example.com": "::ffff:127.0.0.1", "xn--bcher-kva.example.com": "192.168.1.1", "bücher.example.com": "192.168.1.1",
}

func TestBadHosts(t *testing.T) {
	known := map[string]string{}
	for _, hosts := range []map[string]string{forbiddenHosts, badNames} {
		for host, address := range hosts {
			known[strings.ToLower(strings.TrimSuffix(host, "."))] = address
		}
	}
	var proxied atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	defer proxy.Close()
	through, _ := url.Parse(proxy.URL)
	direct := New(func(s *settings) { s.resolver = names(known) })
	behind := New(WithProxy(through))
	defer direct.CloseIdleConnections()
	defer behind.CloseIdleConnections()
	try := func(t *testing.T, client *Client, target string, texts ...string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(canary))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.HTTP(time.Minute).Do(req)
		if err == nil {
			res.Body.Close()
			t.Fatalf("%s was called", target)
		}
		for _, text := range texts {
			if strings.HasSuffix(err.Error(), text) {
				return
			}
		}
		t.Errorf("%s: got %v", target, err)
	}
	for host := range forbiddenHosts {
		t.Run(host, func(t *testing.T) {
			for _, scheme := range []string{"http://", "https://"} {
				try(t, direct, scheme+host+"/", forbidden, "host name cannot be resolved")
				try(t, behind, scheme+host+"/", forbidden)
			}
		})
	}
	for host := range badNames {
		t.Run(host, func(t *testing.T) { try(t, direct, "http://"+host+"/", forbidden) })
	}
	for _, target := range []string{"https://api.example.com:8443/", "http://api.example.com:22/", proxy.URL} {
		try(t, behind, target, forbidden)
	}
	if n := proxied.Load(); n != 0 {
		t.Errorf("%d calls reached the proxy", n)
	}
	_, err := direct.Do(t.Context(), withSecrets(call(http.MethodPut, "https://loopback.example.com/")))
	wantError(t, err, engine.KindUpstream, forbidden)
	_, err = behind.Do(t.Context(), withSecrets(call(http.MethodPut, "https://localhost/")))
	wantError(t, err, engine.KindUpstream, forbidden)
}

// The resolver of the tests works, so that TestBadHosts fails for the right reason.
func TestResolverOfTest(t *testing.T) {
	got, err := names(map[string]string{"a.example.com": "10.1.2.3", "b.example.com": "fd00::1"}).LookupHost(t.Context(), "b.example.com")
	if err != nil || len(got) != 1 || got[0] != "fd00::1" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestProxy(t *testing.T) {
	var seen atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.RequestURI)
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer proxy.Close()
	own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer own.Close()
	through, _ := url.Parse(proxy.URL)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1/")

	client := New(WithProxy(through), WithLoopback(address(own)))
	defer client.CloseIdleConnections()
	if _, err := client.Do(t.Context(), call(http.MethodGet, "http://api.example.com/users")); err != nil {
		t.Error(err)
	}
	if got := seen.Load(); got != "GET http://api.example.com/users" {
		t.Errorf("the proxy saw %v", got)
	}
	_, err := client.Do(t.Context(), call(http.MethodGet, "https://api.example.com/users"))
	wantError(t, err, engine.KindUpstream, "no usable answer")
	if got := seen.Load(); got != "CONNECT api.example.com:443" {
		t.Errorf("the proxy saw %v", got)
	}
	if _, err := client.Do(t.Context(), call(http.MethodGet, own.URL+"/direct")); err != nil {
		t.Error(err)
	}
	if got := seen.Load(); got != "CONNECT api.example.com:443" {
		t.Errorf("the proxy saw %v", got)
	}
}
