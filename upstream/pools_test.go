package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portolan/engine"
)

// protocols are the protocols of test providers.
var protocols = []string{"HTTP/1.1", "HTTP/2.0"}

// watched is a test provider that counts its connections.
type watched struct {
	*httptest.Server
	opened, open atomic.Int64
}

type connectionKey struct{}

// connection is one connection of a watched provider.
type connection struct {
	mu    sync.Mutex
	owner string // of its first request
}

// first returns the owner of the first request of c; owner if there was none before.
func (c *connection) first(owner string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == "" {
		c.owner = owner
	}
	return c.owner
}

// watch starts a watched provider with this protocol, and a Client that is allowed to call it.
func watch(t *testing.T, protocol string, h http.HandlerFunc, opts ...Option) (*watched, *Client) {
	t.Helper()
	w := &watched{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(res http.ResponseWriter, r *http.Request) {
		if r.Proto != protocol {
			t.Errorf("called over %s", r.Proto)
		}
		h(res, r)
	}))
	w.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, &connection{})
	}
	w.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			w.opened.Add(1)
			w.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			w.open.Add(-1)
		default:
		}
	}
	w.Config.ErrorLog = log.New(io.Discard, "", 0) // it logs connections closed early
	w.EnableHTTP2 = protocol == "HTTP/2.0"
	if w.EnableHTTP2 {
		w.StartTLS()
		opts = append(opts, trustCertificate(w.Server))
	} else {
		w.Start()
	}
	t.Cleanup(w.Close)
	client := New(append([]Option{WithLoopback(address(w.Server))}, opts...)...)
	t.Cleanup(client.CloseIdleConnections)
	return w, client
}

// want fails unless opened connections were made in all, and open remain a moment later.
func (w *watched) want(t *testing.T, opened, open int64) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for w.open.Load() != open && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // the provider notices a moment later
	}
	if got := w.opened.Load(); got != opened || w.open.Load() != open {
		t.Errorf("want %d connections made and %d open, got %d and %d", opened, open, got, w.open.Load())
	}
}

// record requests the record of an owner, which is the name of the owner.
func record(t *testing.T, client *Client, target string, o owner) string {
	t.Helper()
	c := call(http.MethodGet, target)
	c.Environment, c.Account = o.environment, o.account
	c.Header = []engine.Param{{Name: "Authorization", Value: o.environment + o.account}}
	reply, err := client.Do(t.Context(), c)
	if err != nil {
		t.Error(err)
		return ""
	}
	return string(reply.Body)
}

// repeats is a provider, or a proxy, that sends each answer a second time when the next request on
// its connection begins.
func repeats(t *testing.T) *net.TCPListener {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		in, last := bufio.NewReader(conn), ""
		for {
			if _, err := in.Peek(1); err != nil {
				return
			}
			_, _ = io.WriteString(conn, last) // the surplus answer
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			text := req.Header.Get("Authorization")
			last = "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
			_, _ = io.WriteString(conn, last)
		}
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener
}

// A caller does not receive the record of another account if a provider sends a surplus answer or
// mixes up the streams of a connection.
func TestSurplusAnswer(t *testing.T) {
	type provider struct {
		client *Client
		target string
	}
	for name, start := range map[string]func(*testing.T) provider{
		"HTTP/1.1": func(t *testing.T) provider {
			t.Helper()
			listener := repeats(t)
			at := listener.Addr().(*net.TCPAddr).AddrPort()
			return provider{New(WithLoopback(at)), "http://" + at.String() + "/users/u1"}
		},
		"HTTP/1.1 through a proxy": func(t *testing.T) provider {
			t.Helper()
			through := &url.URL{Scheme: "http", Host: repeats(t).Addr().String()}
			return provider{New(WithProxy(through)), "http://api.example.com/users/u1"}
		},
		"HTTP/2": func(t *testing.T) provider {
			t.Helper()
			w, client := watch(t, "HTTP/2.0", func(w http.ResponseWriter, r *http.Request) {
				c := r.Context().Value(connectionKey{}).(*connection)
				_, _ = io.WriteString(w, c.first(r.Header.Get("Authorization")))
			})
			return provider{client, w.URL + "/users/u1"}
		},
	} {
		for between, owners := range map[string][2]owner{
			"accounts":     {{"default", "ada"}, {"default", "bob"}},
			"environments": {{"default", "ada"}, {"staging", "ada"}},
			"nobodies":     {{"ada", ""}, {"bob", ""}},
		} {
			t.Run(name+" between "+between, func(t *testing.T) {
				p := start(t)
				defer p.client.CloseIdleConnections()
				for _, o := range owners {
					if got, want := record(t, p.client, p.target, o), o.environment+o.account; got != want {
						t.Errorf("%s got the record of %s", want, got)
					}
				}
			})
		}
		t.Run(name+" between tokens", func(t *testing.T) {
			p := start(t)
			for _, want := range []string{"ada", "bob"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.target, strings.NewReader("grant_type=refresh_token"))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", want)
				res, err := p.client.HTTP(time.Minute).Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if string(got) != want || err != nil {
					t.Errorf("%s got the token of %s, %v", want, got, err)
				}
			}
		})
		t.Run(name+" is played", func(t *testing.T) { // over a connection that two calls share
			p := start(t)
			defer p.client.CloseIdleConnections()
			for _, text := range []string{"first", "second"} {
				c := call(http.MethodGet, p.target)
				c.Header = []engine.Param{{Name: "Authorization", Value: text}}
				reply, err := p.client.Do(t.Context(), c)
				if err != nil || string(reply.Body) != "first" {
					t.Errorf("%s: got %v, %v", text, reply, err)
				}
			}
		})
	}
}

// The accounts that called most recently keep their connections.
func TestPoolsBound(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			w, client := watch(t, protocol, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, WithPools(2))
			for _, step := range []struct {
				calls        string
				opened, open int64
			}{
				{"aaa", 1, 1},
				{"bab", 2, 2},
				{"ac", 3, 2}, // b is evicted
				{"aca", 3, 2},
				{"b", 4, 2}, // c is evicted
				{"ab", 4, 2},
				{"cab", 7, 2},
			} {
				for account := range strings.SplitSeq(step.calls, "") {
					record(t, client, w.URL, owner{"default", account})
				}
				w.want(t, step.opened, step.open)
			}
			record(t, client, w.URL, owner{})
			w.want(t, 8, 2)
			client.CloseIdleConnections()
			w.want(t, 8, 0)
		})
	}
}

// Without pools, or without an account, no connection is kept.
func TestNothingKept(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			w, client := watch(t, protocol, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, WithPools(0))
			for range 3 {
				record(t, client, w.URL, owner{"default", "a"})
				record(t, client, w.URL, owner{})
				if _, _, err := post(t.Context(), client.HTTP(time.Minute), w.URL); err != nil {
					t.Error(err)
				}
			}
			w.want(t, 9, 0)
		})
	}
}

// A call continues when the pool of its account is evicted; its connection is closed afterwards.
func TestEvictedDuringCall(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			started, release := make(chan struct{}), make(chan struct{})
			w, client := watch(t, protocol, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					started <- struct{}{}
					<-release
				}
				_, _ = io.WriteString(w, r.Header.Get("Authorization"))
			}, WithPools(1))
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if got := record(t, client, w.URL+"/slow", owner{"", "a"}); got != "a" {
						t.Errorf("a got %q", got)
					}
				})
				<-started
			}
			calls := w.open.Load() // one connection for both over HTTP/2
			if got := record(t, client, w.URL, owner{"", "b"}); got != "b" {
				t.Errorf("b got %q", got)
			}
			if w.open.Load() != calls+1 {
				t.Errorf("%d connections are open", w.open.Load())
			}
			close(release)
			wg.Wait()
			w.want(t, calls+1, 1)
			record(t, client, w.URL, owner{"", "b"})
			w.want(t, calls+1, 1)
		})
	}
}

// Under concurrent calls, each connection serves one account only.
func TestPoolsConcurrently(t *testing.T) {
	const accounts, limit = 12, 4
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			w, client := watch(t, protocol, func(w http.ResponseWriter, r *http.Request) {
				own := r.Header.Get("Authorization")
				if first := r.Context().Value(connectionKey{}).(*connection).first(own); first != own {
					t.Errorf("%s called over a connection of %s", own, first)
				}
				_, _ = io.WriteString(w, own)
			}, WithPools(limit))
			var wg sync.WaitGroup
			for g := range 8 {
				wg.Go(func() {
					for i := range 30 {
						o := owner{"default-", fmt.Sprint(i * (g%3 + 1) % accounts)}
						if got := record(t, client, w.URL, o); got != o.environment+o.account {
							t.Errorf("%s got %q", o.account, got)
						}
					}
				})
			}
			wg.Wait()
			if n := client.pools.order.Len(); n != limit || len(client.pools.byOwner) != limit {
				t.Errorf("%d pools are kept", n)
			}
		})
	}
}

// Acquiring the pool of a known account does not allocate.
func TestAcquireAllocates(t *testing.T) {
	p := New().pools
	got := testing.AllocsPerRun(100, func() { p.release(p.acquire(owner{"default", "a"})) })
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
