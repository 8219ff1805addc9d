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

// WithProxy sends every call through this proxy (http, https or socks5), whose own address
// may be a private one. The loopback addresses of WithLoopback are still called directly.
//
// The proxy resolves host names and dials, so that the guard sees neither: it refuses
// addresses written out, localhost and names without a dot, and ports but 80 and 443. That
// a name does not lead to a private address is then for the proxy to see to.
func WithProxy(u *url.URL) Option { return func(s *settings) { s.proxy = u } }

// proxied refuses hosts that the dial guard cannot see behind a proxy.
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

// isDirect reports whether u names one of direct by its address.
func isDirect(u *url.URL, direct []netip.AddrPort) bool {
	a, err := netip.ParseAddrPort(dialAddress(u))
	return err == nil && isOpened(a, direct)
}

// publicName reports whether u's host is a public address or may be the name of one. What
// only some resolvers read as an address ("0x7f.1", "2130706433", full-width digits) is
// neither.
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

// isNumber reports whether a name's last label makes an address of it (WHATWG URL, "ends
// in a number").
func isNumber(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	digits, hex := strings.CutPrefix(label, "0x")
	_, err := strconv.ParseUint(digits, 16, 64)
	return hex && (digits == "" || err == nil)
}

// dialAddress is the host and port that u's connection goes to.
func dialAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
