// Package upstream makes one attempt at a provider. It is the only package that does HTTP to
// them: redirects, size limits and the guard over addresses live here. Whether a call is
// repeated, and for how long it may go on, is the engine's to decide.
package upstream

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"portolan/engine"
)

const maxRedirects = 3

// Client is an engine.Doer over HTTP. Its settings never change, and it is safe for
// concurrent use.
type Client struct {
	pools   *pools
	maxBody int64
}

var _ engine.Doer = (*Client)(nil)

type settings struct {
	maxBody   int64
	pools     int
	transport http.RoundTripper // nil: guarded ones, one for each account
	loopback  []netip.AddrPort
	insecure  bool
	proxy     *url.URL
	resolver  *net.Resolver  // nil: the system's
	roots     *x509.CertPool // nil: the system's
}

// Option changes a default of New.
type Option func(*settings)

// WithMaxBody bounds an answer's body, in bytes after decompression. Default 10 MiB.
func WithMaxBody(bytes int64) Option { return func(s *settings) { s.maxBody = bytes } }

// WithPools bounds how many accounts keep connections: those that made calls most recently.
// Default 1,024; with 0, no call leaves a connection behind.
func WithPools(accounts int) Option { return func(s *settings) { s.pools = accounts } }

// WithRoundTripper replaces the transports, their guard included. Every account's calls go
// through t, which has to keep them apart itself. WithPools, WithLoopback, WithProxy and
// WithInsecure then have no effect.
func WithRoundTripper(t http.RoundTripper) Option { return func(s *settings) { s.transport = t } }

// WithLoopback opens exactly these loopback addresses and ports, for providers that this
// process plays itself. An address that is no loopback address stays closed.
func WithLoopback(addresses ...netip.AddrPort) Option {
	return func(s *settings) { s.loopback = append(s.loopback, addresses...) }
}

// WithInsecure takes the guard away: any address and port may be called. Certificates are
// still checked.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// New returns a Client. By default it calls public addresses on ports 80 and 443 only,
// looked at after the name is resolved, on every connection.
func New(opts ...Option) *Client {
	s := settings{maxBody: 10 << 20, pools: defaultPools}
	for _, opt := range opts {
		opt(&s)
	}
	return &Client{pools: newPools(s), maxBody: s.maxBody}
}

// CloseIdleConnections closes kept connections that no call is using. It leaves those of a
// transport of WithRoundTripper alone.
func (c *Client) CloseIdleConnections() { c.pools.closeIdle() }

// Do sends call once and reads the whole answer, whatever its status. Only ctx bounds how
// long that may take.
//
// Calls of one account share connections, up to 16 of them kept for 90 s; those of two
// accounts never do. A call without an account has a connection of its own, which is closed
// after the answer.
//
// A redirect is followed within the same scheme, host and port, three times at the most,
// and only where the method stays what it is. (The connection pool itself may send a GET
// again whose kept connection turns out to be dead.)
//
// Errors are *engine.Error:
//   - KindUpstream: refused, reset, TLS, unknown host, forbidden address, redirect not
//     followed; Lost if the connection failed before any byte of an answer
//   - KindTimeout: the deadline of ctx passed
//   - KindCanceled: ctx was canceled
//   - KindProvider, with the Reply as far as it came: the body is over the limit or cut off
//   - KindInvalid: a header value that HTTP cannot carry
//   - KindMapping: a URL, method or header name that cannot be sent
//
// Their texts hold neither the query nor a header value, nor anything the provider sent.
func (c *Client) Do(ctx context.Context, call *engine.Call) (*engine.Reply, error) {
	m, err := newMessage(call)
	if err != nil {
		return nil, err
	}
	pool := c.pools.acquire(owner{call.Environment, call.Account})
	defer c.pools.release(pool)
	res, lost, err := send(ctx, pool, m)
	if err != nil {
		failed := noAnswer(ctx, m.op, err)
		failed.Lost = lost && failed.Kind == engine.KindUpstream
		return nil, failed
	}
	defer func() { _ = res.Body.Close() }() // closed unread over the limit, so that the rest is not fetched
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxBody+1))
	reply := &engine.Reply{Status: res.StatusCode, Header: res.Header, Body: body}
	switch {
	case int64(len(body)) > c.maxBody:
		reply.Body = body[:c.maxBody]
		return nil, useless(m.op, reply, tooLarge())
	case err != nil && interrupted(ctx, err):
		return nil, noAnswer(ctx, m.op, err)
	case err != nil:
		return nil, useless(m.op, reply, cutOff(err))
	}
	return reply, nil
}

// send gives the answer's head, after redirects. lost is roundTrip's.
func send(ctx context.Context, over http.RoundTripper, m *message) (res *http.Response, lost bool, err error) {
	for redirects := 0; ; redirects++ {
		res, lost, err := roundTrip(ctx, over, m)
		if err != nil {
			return nil, lost, err
		}
		next, err := redirect(m, res)
		if next == nil && err == nil {
			return res, false, nil
		}
		_ = res.Body.Close()
		if err != nil {
			return nil, false, err
		}
		if redirects == maxRedirects {
			return nil, false, refusedRedirect("too many redirects")
		}
		m.url = next
	}
}

// redirect gives where res sends m: nil where res is the answer itself.
func redirect(m *message, res *http.Response) (*url.URL, error) {
	location := res.Header.Get("Location")
	keepsMethod := m.method == http.MethodGet || m.method == http.MethodHead
	switch res.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		keepsMethod = true
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
	default:
		return nil, nil
	}
	if location == "" {
		return nil, nil
	}
	next, err := m.url.Parse(location)
	switch {
	case err != nil:
		return nil, refusedRedirect("redirect to an unreadable address refused") // err would show the address
	case origin(next) != origin(m.url):
		return nil, refusedRedirect("redirect to another host refused")
	case !keepsMethod:
		return nil, refusedRedirect("redirect that would turn " + m.method + " into GET refused")
	}
	return next, nil
}

// origin is scheme, host and port in one spelling.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
