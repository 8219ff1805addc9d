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
	maxBody  = 1 << 20  // bytes of a token response
	maxToken = 16 << 10 // bytes: a header cannot be longer
)

// requestToken makes a token request with the library. It returns the grant and the whole
// response as plain JSON values.
func (k *Keeper) requestToken(ctx context.Context, secrets []accounts.Secret, request func(context.Context) (*oauth2.Token, error)) (accounts.Grant, map[string]any, error) {
	rec := &recorder{client: k.client}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport:     rec,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
	token, err := request(ctx)
	if err != nil {
		return accounts.Grant{}, nil, newError(err, rec, secrets)
	}
	answer, err := rec.answer()
	if err != nil {
		return accounts.Grant{}, nil, newError(err, rec, secrets)
	}
	if !sendable(token.AccessToken) || token.RefreshToken != "" && !sendable(token.RefreshToken) {
		return accounts.Grant{}, nil, newError(errors.New("token cannot be sent in a header"), rec, secrets)
	}
	return accounts.Grant{
		AccessToken: accounts.Secret(token.AccessToken), RefreshToken: accounts.Secret(token.RefreshToken),
		Expiry: expiry(answer["expires_in"], k.now()),
	}, answer, nil
}

// sendable reports whether a token has only allowed characters (RFC 6749 appendix A.12).
func sendable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r > '~' })
}

// expiry returns the time that is a number of seconds after now, zero if seconds is not a
// positive number.
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

// recorder records the response to a token request: the library returns only a part of it.
type recorder struct {
	client *http.Client
	status int
	form   bool
	body   []byte
	err    error // of the request; nil if a response came
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "portolan")
	res, err := r.client.Do(req) //nolint:gosec // the guarded client checks the address
	if err != nil {
		r.err = err
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	r.status = res.StatusCode
	r.body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err == nil && len(r.body) > maxBody {
		err = errors.New("larger than the limit")
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

// answer returns the decoded response.
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
