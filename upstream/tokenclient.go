package upstream

import (
	"context"
	"io"
	"net/http"
	"time"
)

// maxTokenAnswer limits an answer to HTTP, in bytes after decompression.
const maxTokenAnswer = 1 << 20

// HTTP returns a client for the token endpoints of authorization servers. It has the guard of c,
// accepts answers up to 1 MiB and has no cookies. timeout limits each request, including reading
// the answer. Every request has its own connection, which is closed after the answer, so that it
// cannot receive the token of another account.
//
// Redirects are followed as in Do. Errors are *url.Error, which quotes the URL of the request; the
// error inside shows no header, body or query.
func (c *Client) HTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     &tokenTransport{c.pools},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tokenTransport follows redirects itself, because the errors of http.Client quote their targets,
// and limits the answer.
type tokenTransport struct{ pools *pools }

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	over := t.pools.acquire(owner{}) // not released, because it keeps no connection
	for redirects := 0; ; redirects++ {
		res, err := over.RoundTrip(req)
		if err != nil {
			return nil, safeError(req.Context(), err)
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

// safeError returns err with a safe text; it wraps err.
func safeError(ctx context.Context, err error) error {
	if interrupted(ctx, err) {
		return deadlineFailure(err)
	}
	return reason(err)
}

// boundedBody returns an error if the body is longer than left bytes.
type boundedBody struct {
	io.ReadCloser
	ctx  context.Context // of the request, to distinguish a deadline from a broken connection
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
		return n, tooLargeFailure(maxTokenAnswer)
	case err != nil && err != io.EOF: //nolint:errorlint // Read promises io.EOF itself
		if interrupted(b.ctx, err) {
			err = deadlineFailure(err)
		} else {
			err = cutOffFailure(err)
		}
	}
	b.left -= int64(n)
	return n, err
}
