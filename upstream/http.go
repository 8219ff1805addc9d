package upstream

import (
	"context"
	"io"
	"net/http"
	"time"
)

// maxTokenAnswer bounds an answer to HTTP, in bytes after decompression.
const maxTokenAnswer = 1 << 20

// HTTP returns a client for the token endpoints of authorization servers, which a library
// calls: c's guard, answers of at most 1 MiB, no cookies. timeout bounds each request, reading
// of the answer included. Every request has a connection of its own, which is closed after the
// answer: it cannot bring another account's token.
//
// A redirect is followed as Do does: within the same scheme, host and port, and only where
// the method stays what it is. The cause inside an error, which is a *url.Error as ever of
// an http.Client, shows neither a header, nor a body, nor the query; the *url.Error around
// it quotes the request's own URL.
func (c *Client) HTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     &tokenTransport{c.pools},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tokenTransport follows redirects itself, because http.Client quotes in its errors where
// they lead, and bounds what is read.
type tokenTransport struct{ pools *pools }

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	over := t.pools.acquire(owner{}) // it keeps no connection, so there is nothing to release
	for redirects := 0; ; redirects++ {
		res, err := over.RoundTrip(req)
		if err != nil {
			return nil, unquoted(req.Context(), err)
		}
		next, err := redirect(&message{method: req.Method, url: req.URL}, res)
		if next == nil && err == nil {
			res.Body = &boundedBody{res.Body, req.Context(), maxTokenAnswer}
			return res, nil
		}
		_ = res.Body.Close()
		if err != nil {
			return nil, err
		}
		if redirects == maxRedirects {
			return nil, refusedRedirect("too many redirects")
		}
		again := req.Clone(req.Context())
		again.URL, again.Host = next, next.Host
		if again.Body != nil {
			if req.GetBody == nil {
				return nil, refusedRedirect("redirect of a body that cannot be sent again refused")
			}
			if again.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		req = again
	}
}

// unquoted is err in words of our own; its cause stays to be asked for.
func unquoted(ctx context.Context, err error) error {
	if interrupted(ctx, err) {
		return late(err)
	}
	return reason(err)
}

// boundedBody fails after left bytes, where the answer is not at its end by then.
type boundedBody struct {
	io.ReadCloser
	ctx  context.Context // of the request, to tell a deadline from a broken connection
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case int64(n) > b.left:
		n, b.left = int(b.left), 0
		return n, tooLarge()
	case err != nil && err != io.EOF: //nolint:errorlint // Read promises io.EOF itself
		if interrupted(b.ctx, err) {
			err = late(err)
		} else {
			err = cutOff(err)
		}
	}
	b.left -= int64(n)
	return n, err
}
