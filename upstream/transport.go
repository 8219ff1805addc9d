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

// Limits of the idle connections of one account.
const (
	maxIdleConns    = 16
	idleConnTimeout = 90 * time.Second
)

// newTransport returns a connection pool. A proxy of the environment is ignored, because it would
// bypass the guard. Dialing and the TLS handshake have timeouts, because the standard library
// continues both in the background after the end of a call.
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

// guard refuses all resolved addresses that are not public, and all ports except 80 and 443. The
// addresses in loopback are allowed.
func guard(loopback []netip.AddrPort) func(network, address string, c syscall.RawConn) error {
	public := ssrf.New()
	return func(network, address string, c syscall.RawConn) error {
		if a, err := netip.ParseAddrPort(address); err == nil && isAllowedLoopback(a, loopback) {
			return nil
		}
		return public.Safe(network, address, c)
	}
}

// isAllowedLoopback reports whether a is a loopback address in allowed.
func isAllowedLoopback(a netip.AddrPort, allowed []netip.AddrPort) bool {
	same := func(b netip.AddrPort) bool { return a.Port() == b.Port() && a.Addr().Unmap() == b.Addr().Unmap() }
	return a.Addr().Unmap().IsLoopback() && slices.ContainsFunc(allowed, same)
}
