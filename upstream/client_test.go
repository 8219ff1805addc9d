package upstream

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const canary = "s3cr3t-canary"

// provider starts a test provider, and a Client that is allowed to call it.
func provider(tb testing.TB, h http.HandlerFunc, opts ...Option) (*Client, string) {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	client := New(append([]Option{WithLoopback(address(server))}, opts...)...)
	tb.Cleanup(client.CloseIdleConnections)
	return client, server.URL
}

func address(server *httptest.Server) netip.AddrPort {
	return server.Listener.Addr().(*net.TCPAddr).AddrPort()
}

// trustCertificate makes a Client trust the certificate of server.
func trustCertificate(server *httptest.Server) Option {
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return func(s *settings) { s.roots = roots }
}

func call(method, target string) *engine.Call {
	return &engine.Call{
		Name: "main", Method: method, URL: target, ShownURL: "https://shown.example.com/users/u1",
		Environment: "default", Account: "a1",
	}
}

// withSecrets puts secrets into all parts of c that can have one.
func withSecrets(c *engine.Call) *engine.Call {
	c.Query = append(c.Query, engine.Param{Name: "key", Value: canary, Secret: true})
	c.Header = append(c.Header, engine.Param{Name: "api_key", Value: canary, Secret: true})
	return c
}

func wantError(t *testing.T, err error, kind engine.Kind, text string) {
	t.Helper()
	e, ok := errors.AsType[*engine.Error](err)
	if !ok {
		t.Fatalf("want *engine.Error, got %v", err)
	}
	if e.Kind != kind || e.Err.Error() != text {
		t.Errorf("want %v %q, got %v %q", kind, text, e.Kind, e.Err)
	}
	for _, printed := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%v", e.Err)} {
		if strings.Contains(printed, canary) {
			t.Errorf("error shows a secret: %s", printed)
		}
	}
}

func wantCause(t *testing.T, err error, want engine.Cause) {
	t.Helper()
	if got := asEngineError(err).Cause; got != want {
		t.Errorf("cause %q, want %q", got, want)
	}
}

// asEngineError returns the *engine.Error in err; wantError has checked its type.
func asEngineError(err error) engine.Error {
	e, _ := errors.AsType[*engine.Error](err)
	return *e
}

func hijack(w http.ResponseWriter) net.Conn {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) { _ = hijack(w).Close() }

// reset answers the request with a TCP reset.
func reset(w http.ResponseWriter) {
	conn := hijack(w)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestRequestOnTheWire(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 64<<10)
		n, _ := conn.Read(buf)
		got <- string(buf[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	host := listener.Addr().String()
	c := call(http.MethodDelete, "http://"+host+"/a%2Fb/%2e%2e/%252F/caf%C3%A9/x%20y//z;v=1/(w)'!*,@:+$&=")
	c.Query = []engine.Param{{Name: "a[b]", Value: "c d&e=f#g"}, {Name: "user_id", Value: "ü"}}
	c.Header = []engine.Param{
		{Name: "api_key", Value: "k1"}, {Name: "X-TrackerToken", Value: "t1"}, {Name: "Content-Type", Value: "application/json"},
	}
	c.Body = []byte(`{"userId":"u1"}`)
	client := New(WithLoopback(listener.Addr().(*net.TCPAddr).AddrPort()))
	defer client.CloseIdleConnections()
	reply, err := client.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Status != http.StatusNoContent || len(reply.Body) != 0 {
		t.Errorf("unexpected reply %+v", reply)
	}
	want := strings.Join([]string{
		"DELETE /a%2Fb/%2e%2e/%252F/caf%C3%A9/x%20y//z;v=1/(w)'!*,@:+$&=?a%5Bb%5D=c+d%26e%3Df%23g&user_id=%C3%BC HTTP/1.1",
		"Host: " + host,
		"User-Agent: portolan",
		"Content-Length: 15",
		"Accept: application/json",
		"Content-Type: application/json",
		"X-TrackerToken: t1",
		"api_key: k1",
		"Accept-Encoding: gzip",
		"", `{"userId":"u1"}`,
	}, "\r\n")
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Error(diff)
	}
}

func TestHeadersOfTheMappingWin(t *testing.T) {
	client, url := provider(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Echo", strings.Join(r.Header.Values("User-Agent"), "|")+" "+strings.Join(r.Header.Values("Accept"), "|"))
	})
	c := call(http.MethodGet, url)
	c.Header = []engine.Param{{Name: "user-agent", Value: "mine"}, {Name: "accept", Value: "text/plain"}}
	reply, err := client.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := reply.HeaderValue("Echo"); got != "mine text/plain" {
		t.Errorf("got %q", got)
	}
}

func TestUnsendable(t *testing.T) {
	const url = "https://api.example.com/users"
	header := func(name, value string) *engine.Call {
		c := call(http.MethodGet, url)
		c.Header = []engine.Param{{Name: name, Value: value, Secret: true}}
		return c
	}
	const control = "value of header api_key has a line break or another control character"
	for name, tt := range map[string]struct {
		call *engine.Call
		kind engine.Kind
		text string
	}{
		"line feed":     {header("api_key", canary+"\n"), engine.KindAccount, control},
		"return":        {header("api_key", "a\rX: "+canary), engine.KindAccount, control},
		"nul":           {header("api_key", canary+"\x00"), engine.KindAccount, control},
		"header name":   {header("a b", canary), engine.KindMapping, `header name "a b" is not valid`},
		"empty name":    {header("", canary), engine.KindMapping, `header name "" is not valid`},
		"host":          {header("host", canary), engine.KindMapping, "header Host cannot be set"},
		"length":        {header("content-length", "7"), engine.KindMapping, "header Content-Length cannot be set"},
		"encoding":      {header("Accept-Encoding", "br"), engine.KindMapping, "header Accept-Encoding cannot be set"},
		"method":        {call("GET /", url), engine.KindMapping, "method is not valid"},
		"no method":     {call("", url), engine.KindMapping, "method is not valid"},
		"relative":      {call("GET", "/users/"+canary), engine.KindMapping, "URL is not a complete http or https URL"},
		"scheme":        {call("GET", "file:///"+canary), engine.KindMapping, "URL is not a complete http or https URL"},
		"broken escape": {call("GET", url+"/%zz"+canary), engine.KindMapping, "URL is not a complete http or https URL"},
		"user":          {call("GET", "https://u:"+canary+"@example.com/"), engine.KindMapping, "URL has a user name or password"},
		"fragment":      {call("GET", url+"#"+canary), engine.KindMapping, "URL has characters that are not encoded"},
		"space":         {call("GET", url+"/a b"+canary), engine.KindMapping, "URL has characters that are not encoded"},
	} {
		t.Run(name, func(t *testing.T) {
			sent := false
			client := New(WithRoundTripper(roundTripper(func(*http.Request) (*http.Response, error) {
				sent = true
				return nil, io.EOF
			})))
			_, err := client.Do(t.Context(), tt.call)
			wantError(t, err, tt.kind, tt.text)
			if sent {
				t.Error("it was sent")
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestReplyWhateverItsStatus(t *testing.T) {
	client, url := provider(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Query().Get("status"))
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "body of "+strconv.Itoa(status))
	})
	for _, status := range []int{200, 201, 300, 301, 307, 400, 401, 404, 409, 422, 429, 500, 503} {
		c := call(http.MethodPut, url)
		c.Query = []engine.Param{{Name: "status", Value: strconv.Itoa(status)}}
		c.Repeatable = true
		reply, err := client.Do(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		retryAfter := reply.HeaderValue("Retry-After")
		reply.Header = nil
		want := &engine.Reply{Status: status, Body: fmt.Appendf(nil, "body of %d", status)}
		if diff := cmp.Diff(want, reply); diff != "" || retryAfter != "7" {
			t.Errorf("Retry-After %q, %s", retryAfter, diff)
		}
	}
}

func TestBodyLimits(t *testing.T) {
	const limit = 1000
	text := func(n int) string { return strings.Repeat("x", n) }
	zipped := func(n int) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, text(n))
		_ = z.Close()
		return b.String()
	}
	for name, tt := range map[string]struct {
		encoding, body string
		length         int // 0: as it is
		text           string
		got            int // length of the body
	}{
		"just fits":       {"", text(limit), 0, "", limit},
		"too large":       {"", text(limit + 1), 0, "answer is larger than the limit of 1000 bytes", limit},
		"far too large":   {"", text(5 << 20), 0, "answer is larger than the limit of 1000 bytes", limit},
		"zipped fits":     {"gzip", zipped(limit), 0, "", limit},
		"zip bomb":        {"gzip", zipped(5 << 20), 0, "answer is larger than the limit of 1000 bytes", limit},
		"cut off":         {"", text(40), 50, "answer is cut off", 40},
		"no body at all":  {"", "", 50, "answer is cut off", 0},
		"zipped, cut off": {"gzip", zipped(900)[:8], 0, "answer is cut off", 0},
		"no zip at all":   {"gzip", text(30), 0, "answer is cut off", 0},
	} {
		for _, status := range []int{200, 400, 503} {
			t.Run(fmt.Sprint(name, status), func(t *testing.T) {
				client, url := provider(t, func(w http.ResponseWriter, _ *http.Request) {
					if tt.encoding != "" {
						w.Header().Set("Content-Encoding", tt.encoding)
					}
					if tt.length != 0 {
						w.Header().Set("Content-Length", strconv.Itoa(tt.length))
					}
					w.WriteHeader(status)
					_, _ = io.WriteString(w, tt.body)
				}, WithMaxBody(limit))
				reply, err := client.Do(t.Context(), withSecrets(call(http.MethodPut, url)))
				if tt.text != "" {
					wantError(t, err, engine.KindProvider, tt.text)
					wantCause(t, err, map[bool]engine.Cause{true: engine.CauseTooLarge, false: engine.CauseCutOff}[tt.got == limit])
					reply = asEngineError(err).Reply
				} else if err != nil {
					t.Fatal(err)
				}
				if reply == nil || reply.Status != status || len(reply.Body) != tt.got || reply.Truncated != (tt.text != "") {
					t.Errorf("want status %d and %d bytes, got %+v", status, tt.got, reply)
				}
			})
		}
	}
}

func TestHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.Proto, " ", r.RequestURI, " ", r.Header.Get("api_key"))
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := New(WithLoopback(address(server)), trustCertificate(server))
	defer client.CloseIdleConnections()
	c := call(http.MethodGet, server.URL+"/a%2Fb/%2e%2e")
	c.Header = []engine.Param{{Name: "api_key", Value: "k1"}}
	reply, err := client.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(reply.Body); got != "HTTP/2.0 /a%2Fb/%2e%2e k1" {
		t.Errorf("got %q", got)
	}
}

// 16 concurrent callers receive their own answers, and no goroutine remains.
func TestConcurrentAndNoLeak(t *testing.T) {
	before := runtime.NumGoroutine()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch tag := r.Header.Get("tag"); r.URL.Path {
		case "/reset":
			reset(w)
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat(tag, 1000))
		default:
			_, _ = io.WriteString(w, tag)
		}
	}))
	client := New(WithLoopback(address(server)), WithMaxBody(1<<10))
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 30 {
				tag := fmt.Sprintf("tag-%d-%d", g, i)
				c := call(http.MethodPut, server.URL+[]string{"/", "/large", "/reset"}[i%3])
				c.Header = []engine.Param{{Name: "tag", Value: tag}}
				c.Repeatable = true
				reply, err := client.Do(t.Context(), c)
				switch i % 3 {
				case 0:
					if err != nil || string(reply.Body) != tag {
						t.Errorf("%s: got %v, %v", tag, reply, err)
					}
				case 1:
					if e, ok := errors.AsType[*engine.Error](err); !ok || !strings.HasPrefix(string(e.Reply.Body), tag+tag) {
						t.Errorf("%s: got %v", tag, err)
					}
				default:
					if err == nil {
						t.Errorf("%s: no error", tag)
					}
				}
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
	server.Close()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // closing a connection ends its goroutines a moment later
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func BenchmarkDo(b *testing.B) {
	client, url := provider(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"id":"u1","fullName":"Ada Lovelace"}`)
	})
	c := call(http.MethodPut, url+"/users/u1")
	c.Body, c.Repeatable = []byte(`{"fullName":"Ada Lovelace"}`), true
	c.Header = []engine.Param{{Name: "Content-Type", Value: "application/json"}, {Name: "api_key", Value: "k"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Do(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}
