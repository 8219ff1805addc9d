package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"portolan/accounts"
	"portolan/plain"
)

const (
	maxAnswer = 1 << 20  // bytes
	maxToken  = 16 << 10 // bytes: more would not fit into a header
)

// ask has the library make a token request, and makes a grant of its answer. The map is
// the whole answer as plain JSON values.
func (k *Keeper) ask(ctx context.Context, secrets []accounts.Secret, request func(context.Context) (*oauth2.Token, error)) (accounts.Grant, map[string]any, error) {
	seen := &recorder{client: k.client}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     seen,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	token, err := request(ctx)
	if err != nil {
		return accounts.Grant{}, nil, newError(err, seen, secrets)
	}
	answer, err := seen.answer()
	if err != nil {
		return accounts.Grant{}, nil, newError(err, seen, secrets)
	}
	if !sendable(token.AccessToken) || token.RefreshToken != "" && !sendable(token.RefreshToken) {
		return accounts.Grant{}, nil, newError(errors.New("token cannot be sent"), seen, secrets)
	}
	return accounts.Grant{
		AccessToken: accounts.Secret(token.AccessToken), RefreshToken: accounts.Secret(token.RefreshToken),
		Expiry: expiry(answer["expires_in"], k.now()),
	}, answer, nil
}

// sendable reports whether a token consists of what one may (RFC 6749 appendix A.12).
func sendable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' })
}

// expiry is when a token that lives for these seconds runs out. What is no positive number
// tells nothing: zero.
func expiry(seconds any, now time.Time) time.Time {
	var text string
	switch v := seconds.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return now.UTC().Add(time.Duration(min(n, math.MaxInt32)) * time.Second)
}

// recorder keeps a token request's answer, of which the library gives only a part.
type recorder struct {
	client *http.Client
	status int
	form   bool
	body   []byte
	err    error // why there is no answer
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "portolan")
	res, err := r.client.Do(req) //nolint:gosec // the guarded client checks where it goes
	if err != nil {
		r.err = err
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	r.status = res.StatusCode
	r.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(r.body) > maxAnswer {
		err = errors.New("it is larger than the limit")
	}
	if err != nil {
		r.err = err
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("{")) { // the library reads text/plain as a form
		res.Header.Set("Content-Type", "application/json")
	} else {
		r.form = true
	}
	res.Body = io.NopCloser(bytes.NewReader(r.body))
	return res, nil
}

// answer is what the library found to be a token answer.
func (r *recorder) answer() (map[string]any, error) {
	if r.form {
		out := map[string]any{}
		values, err := url.ParseQuery(string(r.body))
		for name := range values {
			out[name] = values.Get(name)
		}
		return out, err
	}
	return plain.DecodeObject(r.body, plain.Options{Lenient: true})
}
