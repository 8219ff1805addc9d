package upstream

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"code.dny.dev/ssrf"
)

// WithProxy sends all calls through this proxy (http, https or socks5), whose address may be
// private. The loopback addresses of WithLoopback are still called directly.
//
// The proxy resolves host names, so that the guard cannot check the addresses. The guard refuses
// forbidden IP addresses in URLs, localhost, names without a dot, and ports other than 80 and 443.
// The proxy has to refuse names that resolve to private addresses.
func WithProxy(u *url.URL) Option { return func(s *settings) { s.proxy = u } }

// proxied refuses forbidden hosts by name, because the dial guard cannot check them behind a proxy.
type proxied struct {
	*http.Transport
	direct []netip.AddrPort
}

func (p *proxied) RoundTrip(req *http.Request) (*http.Response, error) {
	if !isDirect(req.URL, p.direct) && !publicName(req.URL) {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, ssrf.ErrProhibitedIP
	}
	return p.Transport.RoundTrip(req)
}

// isDirect reports whether the host of u is an address in direct.
func isDirect(u *url.URL, direct []netip.AddrPort) bool {
	a, err := netip.ParseAddrPort(dialAddress(u))
	return err == nil && isAllowedLoopback(a, direct)
}

// publicName reports whether u's host is a public address, or a name that may have one. Names that
// some resolvers parse as an address are refused ("0x7f.1", "2130706433", full-width digits).
func publicName(u *url.URL) bool {
	host, port, err := net.SplitHostPort(dialAddress(u))
	if err != nil || port != "80" && port != "443" {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ssrf.New().SafeAddr(ip.Unmap()) == nil
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }):
		return false
	case last == host, last == "", last == "localhost":
		return false
	case isNumber(last):
		return false
	}
	return true
}

// isNumber reports whether the last label of a name makes it an address (WHATWG URL, "ends in a
// number").
func isNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	digits, hex := strings.CutPrefix(label, "0x")
	_, err := strconv.ParseUint(digits, 16, 64)
	return hex && (digits == "" || err == nil)
}

// dialAddress returns the host and port to which u connects.
func dialAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
