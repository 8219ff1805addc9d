package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"portolan/upstream"
)

// publicOrigin reads --public-url: scheme and host, nothing behind it.
func publicOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" {
		return "", usagef("--public-url: %q is not like https://portolan.example.com", text)
	}
	return u.Scheme + "://" + u.Host, nil
}

// loopbackOrigin is where the server is reached from this machine; "" where it is meant
// for others too, so that its own name is not known.
func loopbackOrigin(l net.Listener) string {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsLoopback() {
		return ""
	}
	return "http://" + address.String()
}

// isLoopback reports whether an address to listen at is reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// proxy is the address of a proxy, which may hold a password: it prints as "***".
type proxy struct{ url *url.URL }

// UnmarshalText reads an address. Its error does not show it.
func (x *proxy) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) || u.Hostname() == "" {
		return errors.New("it is no address like http://proxy.example.com:3128")
	}
	x.url = u
	return nil
}

// Format writes "***".
func (proxy) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// options are for the client that calls providers.
func (x proxy) options() []upstream.Option {
	if x.url == nil {
		return nil
	}
	return []upstream.Option{upstream.WithProxy(x.url)}
}
