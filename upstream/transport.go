package upstream

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// newTransport is the connection pool. No proxy: it would dial in the guard's place.
// Dialing and the TLS handshake have limits of their own, because the standard library
// finishes both in the background for a call that is long over.
func newTransport(loopback []netip.AddrPort, insecure bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !insecure {
		dialer.Control = guard(loopback)
	}
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// guard refuses every resolved address that is not public, and every port but 80 and 443,
// except for those of loopback.
func guard(loopback []netip.AddrPort) func(network, address string, c syscall.RawConn) error {
	public := ssrf.New()
	return func(network, address string, c syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Unmap().IsLoopback() {
			same := func(b netip.AddrPort) bool { return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap() }
			if slices.ContainsFunc(loopback, same) {
				return nil
			}
		}
		return public.Safe(network, address, c)
	}
}
