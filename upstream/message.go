package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/http/httpguts"

	"portolan/engine"
)

// message is a Call, prepared for HTTP.
type message struct {
	op     string // for errors; without secrets
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

func newMessage(call *engine.Call) (*message, error) {
	m := &message{
		op:     call.Name + ": " + call.Method + " " + call.ShownURL,
		method: call.Method, body: call.Body,
	}
	var err error
	if m.url, err = exactURL(call.Target()); err != nil {
		return nil, &engine.Error{Kind: engine.KindMapping, Op: m.op, Err: err}
	}
	if !httpguts.ValidHeaderFieldName(call.Method) {
		return nil, &engine.Error{Kind: engine.KindMapping, Op: m.op, Err: errors.New("method is not valid")}
	}
	m.header = make(http.Header, len(call.Header)+2)
	for _, p := range call.Header {
		if err := m.addHeader(p); err != nil {
			return nil, err
		}
	}
	if _, ok := m.header["Accept"]; !ok {
		m.header["Accept"] = []string{"application/json"}
	}
	if _, ok := m.header["User-Agent"]; !ok {
		m.header["User-Agent"] = []string{"portolan"}
	}
	return m, nil
}

// exactURL parses target and refuses a URL that net/url would encode differently, because it must
// be sent as it is.
func exactURL(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("URL is not a complete http or https URL") // err would quote it
	case u.User != nil:
		return nil, errors.New("URL has a user name or password")
	case !isPlainURL(target) && (strings.Contains(target, "#") || u.String() != target):
		return nil, errors.New("URL has characters that are not encoded")
	}
	return u, nil
}

// isPlainURL reports whether target has only letters, digits and characters that net/url never
// encodes in another way.
func isPlainURL(target string) bool {
	if !strings.HasPrefix(target, "http://") && !strings.HasPrefix(target, "https://") { // net/url changes other spellings
		return false
	}
	for i := range len(target) {
		switch c := target[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '/', c == ':', c == '.', c == '-', c == '_', c == '?', c == '=', c == '&':
		default:
			return false
		}
	}
	return true
}

// addHeader adds a header with the name as the mapping spells it, because some providers
// distinguish "api_key" and "Api_key". Names that net/http itself looks up are canonical.
func (m *message) addHeader(p engine.Param) error {
	name := p.Name
	switch canonical := textproto.CanonicalMIMEHeaderKey(name); canonical {
	case "Accept", "Range", "User-Agent":
		name = canonical
	case "Accept-Encoding", "Connection", "Content-Length", "Expect", "Host", "Keep-Alive", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return &engine.Error{Kind: engine.KindMapping, Op: m.op, Err: fmt.Errorf("header %s cannot be set", canonical)}
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return &engine.Error{Kind: engine.KindMapping, Op: m.op, Err: fmt.Errorf("header name %q is not valid", name)}
	}
	if strings.ContainsFunc(p.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		kind := engine.KindInvalid
		if p.Secret { // a credential is part of the account, not of the request
			kind = engine.KindAccount
		}
		return &engine.Error{
			Kind: kind, Op: m.op,
			Err: fmt.Errorf("value of header %s has a line break or another control character", name),
		}
	}
	m.header[name] = append(m.header[name], p.Value)
	return nil
}

// roundTrip sends m once. After an error, lost reports whether the connection failed, or was never
// established, before any byte of an answer.
func roundTrip(ctx context.Context, over http.RoundTripper, m *message) (res *http.Response, lost bool, err error) {
	var connected, answered atomic.Bool // set from the connection's own goroutines
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { connected.Store(true) },
		GotFirstResponseByte: func() { answered.Store(true) },
	})
	var body io.Reader
	if len(m.body) > 0 {
		body = bytes.NewReader(m.body)
	}
	req, err := http.NewRequestWithContext(ctx, m.method, "", body)
	if err != nil {
		return nil, false, err
	}
	req.URL, req.Host, req.Header = m.url, m.url.Host, m.header
	res, err = over.RoundTrip(req)
	if err != nil {
		broken := connected.Load() || isAny(err, syscall.ECONNREFUSED, syscall.ECONNRESET, io.EOF)
		return nil, broken && !answered.Load(), err
	}
	return res, false, nil
}
