// Package upstream makes single attempts of provider calls over HTTP: with redirects, size limits
// and a guard against addresses that must not be called. Repetition and deadlines are up to package
// engine.
package upstream

import (
	"bytes"
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

// Client is an engine.Doer over HTTP. It is safe for concurrent use.
type Client struct {
	pools   *pools
	maxBody int64
}

var _ engine.Doer = (*Client)(nil)

type settings struct {
	maxBody   int64
	pools     int
	transport http.RoundTripper // nil: a guarded one for each account
	loopback  []netip.AddrPort
	insecure  bool
	proxy     *url.URL
	resolver  *net.Resolver  // nil: the system's
	roots     *x509.CertPool // nil: the system's
}

// Option changes a default of New.
type Option func(*settings)

// WithMaxBody limits the body of an answer, in bytes after decompression. Default 10 MiB.
func WithMaxBody(bytes int64) Option { return func(s *settings) { s.maxBody = bytes } }

// WithPools limits how many accounts keep idle connections: those that made calls most recently.
// Default 1,024; with 0, no connection is kept.
func WithPools(accounts int) Option { return func(s *settings) { s.pools = accounts } }

// WithRoundTripper replaces the transports, including their guard. All accounts use t, which must
// not mix up their answers. WithPools, WithLoopback, WithProxy and WithInsecure then have no effect.
func WithRoundTripper(t http.RoundTripper) Option { return func(s *settings) { s.transport = t } }

// WithLoopback allows exactly these loopback addresses and ports, for providers that this process
// simulates. Addresses that are not loopback addresses stay forbidden.
func WithLoopback(addresses ...netip.AddrPort) Option {
	return func(s *settings) { s.loopback = append(s.loopback, addresses...) }
}

// WithInsecure removes the guard: all addresses and ports can be called. Certificates are still
// checked.
func WithInsecure() Option { return func(s *settings) { s.insecure = true } }

// New returns a Client. By default it calls public addresses on ports 80 and 443 only; the address
// is checked after the name is resolved, for every connection.
func New(opts ...Option) *Client {
	s := settings{maxBody: 10 << 20, pools: defaultPools}
	for _, opt := range opts {
		opt(&s)
	}
	return &Client{pools: newPools(s), maxBody: s.maxBody}
}

// CloseIdleConnections closes the connections that no call is using, except those of
// WithRoundTripper.
func (c *Client) CloseIdleConnections() { c.pools.closeIdle() }

// Do sends call once and reads the whole answer, with any status. Only ctx limits the time.
//
// Calls of one account share connections, up to 16 of which are kept for 90 s. Two accounts never
// share a connection. A call without an account has its own connection, which is closed after
// the answer.
//
// Up to three redirects are followed, within the same scheme, host and port, and only if the
// method does not change. (The connection pool itself may send a GET again if its kept connection
// turns out to be dead.)
//
// Errors are *engine.Error:
//   - KindUpstream: refused, reset, TLS, unknown host, forbidden address, redirect not
//     followed; Lost if the connection failed before any byte of an answer
//   - KindTimeout: the deadline of ctx passed
//   - KindCanceled: ctx was canceled
//   - KindProvider, with the received part as Reply: the body is over the limit or cut off
//   - KindInvalid: a header value that HTTP cannot carry; KindAccount if it is a secret
//   - KindMapping: a URL, method or header name that cannot be sent
//
// Their texts contain no query, no header value and nothing that the provider sent.
func (c *Client) Do(ctx context.Context, call *engine.Call) (*engine.Reply, error) {
	m, err := newMessage(call)
	if err != nil {
		return nil, err
	}
	pool := c.pools.acquire(owner{call.Environment, call.Account})
	defer c.pools.release(pool)
	res, lost, err := send(ctx, pool, m)
	if err != nil {
		failed := callError(ctx, m.op, err)
		failed.Lost = lost && failed.Kind == engine.KindUpstream
		return nil, failed
	}
	defer func() { _ = res.Body.Close() }() // a body over the limit is not read to its end
	body, err := readAll(io.LimitReader(res.Body, c.maxBody+1), res.ContentLength)
	reply := &engine.Reply{Status: res.StatusCode, Header: res.Header, Body: body}
	switch {
	case int64(len(body)) > c.maxBody:
		reply.Body = body[:c.maxBody]
		return nil, incompleteAnswer(m.op, reply, tooLargeFailure(c.maxBody))
	case err != nil && interrupted(ctx, err):
		return nil, callError(ctx, m.op, err)
	case err != nil:
		return nil, incompleteAnswer(m.op, reply, cutOffFailure(err))
	}
	return reply, nil
}

// send sends m, follows redirects and returns the answer, whose body is not read. lost is that of
// roundTrip.
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

// redirect returns the URL to which res redirects m; nil if res is not a redirect.
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

// origin returns scheme, host and port of u in a normalized form.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// maxBuffer is the largest buffer that is made for a body before it arrives, in bytes.
const maxBuffer = 64 << 10

// readAll is io.ReadAll with a buffer of the announced length; -1 for an unknown one.
func readAll(r io.Reader, length int64) ([]byte, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, min(max(length, 0), maxBuffer)+bytes.MinRead))
	_, err := buffer.ReadFrom(r)
	return buffer.Bytes(), err
}
