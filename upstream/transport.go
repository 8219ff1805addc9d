package upstream

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Connections that an account's pool keeps without a call.
const (
	maxIdleConns    = 16
	idleConnTimeout = 90 * time.Second
)

// newTransport is one connection pool. A proxy of the environment is ignored: it would
// dial in the guard's place. Dialing and the TLS handshake have limits of their own,
// because the standard library finishes both in the background for a call that is long over.
func newTransport(s settings) *http.Transport {
	open := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Resolver: s.resolver}
	guarded := *open
	guarded.Control = guard(s.loopback)
	dial := guarded.DialContext
	if s.insecure {
		dial = open.DialContext
	}
	var proxy func(*http.Request) (*url.URL, error)
	if s.proxy != nil {
		address, direct := dialAddress(s.proxy), dial
		proxy = func(req *http.Request) (*url.URL, error) {
			if isDirect(req.URL, s.loopback) {
				return nil, nil
			}
			return s.proxy, nil
		}
		dial = func(ctx context.Context, network, to string) (net.Conn, error) {
			if to == address {
				return open.DialContext(ctx, network, to)
			}
			return direct(ctx, network, to)
		}
	}
	return &http.Transport{
		Proxy:                  proxy,
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdleConns,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// guard refuses every resolved address that is not public, and every port but 80 and 443,
// except for those of loopback.
func guard(loopback []netip.AddrPort) func(network, address string, c syscall.RawConn) error {
	public := ssrf.New()
	return func(network, address string, c syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err == nil && isOpened(a, loopback) {
			return nil
		}
		return public.Safe(network, address, c)
	}
}

// isOpened reports whether a is a loopback address that is one of opened.
func isOpened(a netip.AddrPort, opened []netip.AddrPort) bool {
	same := func(b netip.AddrPort) bool { return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap() }
	return a.Addr().Unmap().IsLoopback() && slices.ContainsFunc(opened, same)
}
