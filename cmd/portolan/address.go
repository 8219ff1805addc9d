package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portolan/upstream"
)

// publicOrigin parses --public-url, which consists of a scheme and a host. The error is a usageError.
func publicOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" {
		return "", usagef("--public-url: %q is not a URL like https://portolan.example.com", text)
	}
	return u.Scheme + "://" + u.Host, nil
}

// loopbackOrigin returns the URL of a server that listens on a loopback address; "" for other
// addresses, because their public name is not known.
func loopbackOrigin(l net.Listener) string {
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok || !address.IP.IsLoopback() {
		return ""
	}
	return "http://" + address.String()
}

// originOf returns the URL of a server that listens on the address of --listen, with the port that
// it got. The address that it got would be [::] for 0.0.0.0.
func originOf(listen string, got net.Addr) string {
	host, _, err := net.SplitHostPort(listen)
	address, ok := got.(*net.TCPAddr)
	if err != nil || host == "" || !ok {
		return "http://" + got.String()
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(address.Port))
}

// isLoopback reports whether a listen address is reachable from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// proxyURL is the address of a proxy. It may hold a password, so it prints as "***".
type proxyURL struct{ url *url.URL }

// UnmarshalText parses an address. Its error does not show the address.
func (x *proxyURL) UnmarshalText(text []byte) error {
	u, err := url.Parse(string(text))
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) || u.Hostname() == "" {
		return errors.New("not a URL like http://proxy.example.com:3128")
	}
	x.url = u
	return nil
}

// Format writes "***".
func (proxyURL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// options returns the options of the client that calls providers.
func (x proxyURL) options() []upstream.Option {
	if x.url == nil {
		return nil
	}
	return []upstream.Option{upstream.WithProxy(x.url)}
}
