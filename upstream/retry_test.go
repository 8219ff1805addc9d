package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

func TestRedirects(t *testing.T) {
	const elsewhere = "http://127.0.0.2:1/stolen?key=" + canary
	for name, tt := range map[string]struct {
		method, location string
		status           int
		text             string // empty: followed
	}{
		"GET 301":           {"GET", "/end", 301, ""},
		"GET 302 relative":  {"GET", "end", 302, ""},
		"HEAD 303":          {"HEAD", "/end", 303, ""},
		"PUT 307":           {"PUT", "/end", 307, ""},
		"PATCH 308":         {"PATCH", "/end", 308, ""},
		"PUT 301":           {"PUT", "/end", 301, "redirect that would turn PUT into GET refused"},
		"POST 303":          {"POST", "/end", 303, "redirect that would turn POST into GET refused"},
		"other host":        {"GET", elsewhere, 302, "redirect to another host refused"},
		"other host, 308":   {"PUT", elsewhere, 308, "redirect to another host refused"},
		"other scheme":      {"GET", "ftp:///end", 302, "redirect to another host refused"},
		"protocol-relative": {"GET", "//127.0.0.2:1/end", 302, "redirect to another host refused"},
		"no address":        {"GET", "http://%zz" + canary, 302, "redirect to an unreadable address refused"},
		"loop":              {"GET", "/start", 302, "too many redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			client, url := provider(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				seen = append(seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("api_key"), body))
				if r.URL.Path == "/start" {
					w.Header().Set("Location", tt.location)
					w.WriteHeader(tt.status)
				}
			})
			c := secretly(call(tt.method, url+"/start"))
			if tt.method != "GET" && tt.method != "HEAD" {
				c.Body = []byte("{}")
			}
			reply, err := client.Do(t.Context(), c)
			if tt.text != "" {
				wantError(t, err, engine.KindUpstream, tt.text)
				if want := map[bool]int{false: 1, true: 4}[name == "loop"]; len(seen) != want {
					t.Errorf("want %d requests, got %v", want, seen)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				fmt.Sprintf("%s /start %s %s", tt.method, canary, c.Body),
				fmt.Sprintf("%s /end %s %s", tt.method, canary, c.Body),
			}
			if diff := cmp.Diff(want, seen); diff != "" || reply.Status != 200 || reply.Attempts != 1 {
				t.Errorf("reply %+v, %s", reply, diff)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"https://a.example.com/x", "https://A.example.com:443/y", true},
		{"http://a.example.com", "http://a.example.com:80", true},
		{"https://a.example.com", "http://a.example.com", false},
		{"https://a.example.com", "https://a.example.com:8443", false},
		{"https://a.example.com", "https://b.example.com", false},
	} {
		a, b := &message{method: "GET"}, &http.Response{StatusCode: 302, Header: http.Header{"Location": {tt.b}}}
		var err error
		if a.url, err = exactURL(tt.a); err != nil {
			t.Fatal(err)
		}
		if _, err := redirect(a, b); (err == nil) != tt.same {
			t.Errorf("%s to %s: %v", tt.a, tt.b, err)
		}
	}
}

func TestRetry(t *testing.T) {
	answer := func(w http.ResponseWriter) { _, _ = io.WriteString(w, "{}") }
	half := func(w http.ResponseWriter) {
		conn := hijack(w)
		_, _ = io.WriteString(conn, "HTTP/1.1 20")
		_ = conn.Close()
	}
	type steps = []func(http.ResponseWriter)
	for name, tt := range map[string]struct {
		repeatable bool
		answers    steps
		sent       int
		text       string // empty: success
	}{
		"closed once":             {true, steps{hangUp, answer}, 2, ""},
		"reset once":              {true, steps{reset, answer}, 2, ""},
		"reset twice":             {true, steps{reset, reset, answer}, 2, "connection reset"},
		"closed, not repeatable":  {false, steps{hangUp, answer}, 1, "connection closed before an answer"},
		"reset, not repeatable":   {false, steps{reset, answer}, 1, "connection reset"},
		"part of an answer":       {true, steps{half, answer}, 1, "no usable answer"},
		"nothing wrong":           {true, steps{answer}, 1, ""},
		"redirected, then closed": {true, steps{toItself, hangUp, answer}, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var sent atomic.Int64
			client, url := provider(t, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) != "{}" {
					t.Errorf("got body %q", body)
				}
				tt.answers[sent.Add(1)-1](w)
			})
			c := secretly(call(http.MethodPut, url))
			c.Body, c.Repeatable = []byte("{}"), tt.repeatable
			reply, err := client.Do(t.Context(), c)
			if tt.text != "" {
				wantError(t, err, engine.KindUpstream, tt.text)
			} else if err != nil {
				t.Fatal(err)
			} else if want := map[bool]int{false: 1, true: 2}[len(tt.answers) > 1]; reply.Attempts != want {
				t.Errorf("want %d attempts, got %d", want, reply.Attempts)
			}
			if got := int(sent.Load()); got != tt.sent {
				t.Errorf("want %d requests, got %d", tt.sent, got)
			}
		})
	}
}

func toItself(w http.ResponseWriter) {
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// A write over a kept connection that the provider closes is not sent again behind our back.
func TestRetryOnKeptConnection(t *testing.T) {
	for _, repeatable := range []bool{false, true} {
		var sent atomic.Int64
		client, url := provider(t, func(w http.ResponseWriter, _ *http.Request) {
			if sent.Add(1) == 2 {
				hangUp(w)
			}
		})
		c := call(http.MethodPut, url)
		c.Body, c.Repeatable = []byte("{}"), repeatable
		if _, err := client.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		_, err := client.Do(t.Context(), c)
		if want := map[bool]int64{false: 2, true: 3}[repeatable]; sent.Load() != want || (err == nil) != repeatable {
			t.Errorf("repeatable %t: want %d requests, got %d, error %v", repeatable, want, sent.Load(), err)
		}
	}
}

func TestRefusedIsRetriedOnce(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	for _, repeatable := range []bool{false, true} {
		var sent int
		pool := newTransport(settings{loopback: []netip.AddrPort{address(server)}})
		client := New(WithRoundTripper(roundTripper(func(r *http.Request) (*http.Response, error) {
			sent++
			return pool.RoundTrip(r)
		})))
		c := call(http.MethodPost, server.URL)
		c.Repeatable = repeatable
		_, err := client.Do(t.Context(), c)
		wantError(t, err, engine.KindUpstream, "connection refused")
		if want := map[bool]int{false: 1, true: 2}[repeatable]; sent != want {
			t.Errorf("repeatable %t: want %d tries, got %d", repeatable, want, sent)
		}
	}
}
