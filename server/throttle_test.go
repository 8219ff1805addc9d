package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/server"
)

// from sends a request with a token from an address. forwarded has X-Forwarded-For headers.
func (o *adminFixture) from(address, token string, forwarded ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/audit", http.NoBody)
	r.RemoteAddr = address
	r.Header.Set("Authorization", "Bearer "+token)
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w
}

// guess sends invalid tokens until it is throttled, and returns the number of attempts before.
func (o *adminFixture) guess(address string, forwarded ...string) int {
	for n := range 50 {
		if o.from(address, fmt.Sprintf("ptl_wrong_%d", n), forwarded...).Code != http.StatusUnauthorized {
			return n
		}
	}
	return 50
}

const burst = 20

func TestThrottle(t *testing.T) {
	o := newAdminFixture(t)
	const here, there = "192.0.2.7:4000", "192.0.2.8:4000"
	if got := o.guess(here); got != burst {
		t.Errorf("%d guesses", got)
	}
	refused := o.from(here, "ptl_wrong")
	if refused.Code != 429 || refused.Header().Get("Retry-After") != "3" || decode(t, refused)["error"] != "Too Many Requests" {
		t.Errorf("%d %v %s", refused.Code, refused.Header(), refused.Body)
	}
	// A valid token is refused too, from all ports of the address; it is valid at other addresses.
	for address, want := range map[string]int{here: 429, "192.0.2.7:1": 429, "[::ffff:192.0.2.7]:1": 429, there: 200} {
		if got := o.from(address, adminToken).Code; got != want {
			t.Errorf("%s: %d", address, got)
		}
	}
	// Unified calls and links are throttled as well; routes without a token are not.
	for target, want := range map[string]int{"/unified/ticketing/users/u1?integrated_account_id=" + o.ids["default"]: 429, "/healthz": 200} {
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		r.RemoteAddr = here
		r.Header.Set("Authorization", "Bearer "+callToken)
		w := httptest.NewRecorder()
		if o.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for range 3 { // one more attempt every three seconds
		o.clock.advance(2 * time.Second)
		if w := o.from(here, adminToken); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("too soon: %d %q", w.Code, w.Header().Get("Retry-After"))
		}
		o.clock.advance(time.Second)
		if got := o.guess(here); got != 1 {
			t.Errorf("%d guesses after 3 seconds", got)
		}
	}
	o.clock.advance(3 * time.Second)
	for range 100 { // successful requests do not count
		if got := o.from(here, adminToken).Code; got != 200 {
			t.Fatalf("%d", got)
		}
	}
	o.clock.advance(time.Hour)
	if got := o.guess(here); got != burst {
		t.Errorf("%d guesses after an hour", got)
	}
}

// Unknown, expired and revoked tokens have the same answer and count in the same way.
func TestFailuresLookAlike(t *testing.T) {
	o := newAdminFixture(t)
	var answers []string
	for i, who := range []string{"expired", "revoked", "nobody"} {
		address := fmt.Sprintf("192.0.2.%d:1", i)
		w := o.from(address, "ptl_00000000_"+strings.Repeat("A", 43))
		if who != "nobody" {
			w = o.from(address, o.secrets[who])
		}
		answers = append(answers, fmt.Sprint(w.Code, w.Body))
		for range burst {
			o.from(address, "ptl_wrong")
		}
		if got := o.from(address, adminToken).Code; got != 429 {
			t.Errorf("%s: its failure was not counted: %d", who, got)
		}
	}
	if len(slices.Compact(answers)) != 1 {
		t.Errorf("they differ: %v", answers)
	}
	// A request without a token does not count.
	for range 3 * burst {
		r := httptest.NewRequest("GET", "/audit", http.NoBody)
		r.RemoteAddr = "192.0.2.9:1"
		o.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := o.from("192.0.2.9:1", adminToken).Code; got != 200 {
		t.Errorf("requests without a token were counted: %d", got)
	}
}

func TestCallersAddress(t *testing.T) {
	const proxy, inner = "10.0.0.1:9", "10.0.0.2"
	for _, tt := range []struct {
		name   string
		one    string   // the address that sends guesses
		via    []string // X-Forwarded-For
		other  string
		also   []string
		shared bool // the other address is throttled too
	}{
		{"IPv6, same network", "[2001:db8:1:2::1]:1", nil, "[2001:db8:1:2:ffff::9]:1", nil, true},
		{"IPv6, other network", "[2001:db8:1:2::1]:1", nil, "[2001:db8:1:3::1]:1", nil, false},
		{"a zone", "[fe80::1%eth0]:1", nil, "[fe80::1%eth1]:1", nil, true},
		{"a header that is not trusted", "192.0.2.7:1", []string{"198.51.100.1"}, "192.0.2.7:1", []string{"198.51.100.2"}, true},
		{"a trusted proxy", proxy, []string{"198.51.100.1"}, proxy, []string{"198.51.100.2"}, false},
		{"a forged first entry", proxy, []string{"1.1.1.1, 198.51.100.1"}, proxy, []string{"2.2.2.2, 198.51.100.1"}, true},
		{"a forged header", proxy, []string{"1.1.1.1", "198.51.100.1"}, proxy, []string{"198.51.100.1"}, true},
		{"two proxies", proxy, []string{"198.51.100.1, " + inner}, proxy, []string{"9.9.9.9, 198.51.100.1," + inner}, true},
		{"ports", proxy, []string{"198.51.100.1:77"}, proxy, []string{"198.51.100.1:78"}, true},
		{"IPv6 in brackets", proxy, []string{"[2001:db8::1]:77"}, proxy, []string{"2001:db8::2"}, true},
		{"nonsense", proxy, []string{"unknown"}, proxy, []string{"198.51.100.1, "}, true},
		{"nonsense before a proxy", proxy, []string{"x, " + inner}, proxy, []string{"y, " + inner}, true},
		{"IPv4 inside IPv6", proxy, []string{"::ffff:198.51.100.1"}, proxy, []string{"198.51.100.1"}, true},
		{"no address", "@", nil, "", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newAdminFixture(t, server.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/24")))
			if got := o.guess(tt.one, tt.via...); got != burst {
				t.Fatalf("%d guesses", got)
			}
			if got := o.from(tt.other, adminToken, tt.also...).Code == 429; got != tt.shared {
				t.Errorf("throttled: %v", got)
			}
		})
	}
}

// Concurrent guesses all count, up to a limit.
func TestThrottleTogether(t *testing.T) {
	o := newAdminFixture(t)
	const here = "192.0.2.7:1"
	arrived, proceed := make(chan struct{}), make(chan struct{})
	gate := gatedStore{o.db, arrived, proceed}
	unified, _ := models(t)
	s, err := build(exampleCatalog(t), engine.New(o.fixture, o.clock.now), unified, gate, server.WithClock(o.clock.now), server.WithStore(o.db))
	if err != nil {
		t.Fatal(err)
	}
	o.Server = s
	done := make(chan int)
	const together = 100
	for range together {
		go func() { done <- o.from(here, "ptl_wrong").Code }()
	}
	for range together {
		<-arrived
	}
	close(proceed)
	for range together {
		if got := <-done; got != 401 {
			t.Errorf("%d", got)
		}
	}
	wait, err := strconv.Atoi(o.from(here, adminToken).Header().Get("Retry-After"))
	if err != nil || wait <= 3 || wait > 63 {
		t.Errorf("wait %d s, %v", wait, err)
	}
	o.clock.advance(time.Duration(wait) * time.Second)
	go func() { <-arrived }()
	if got := o.from(here, adminToken).Code; got != 200 {
		t.Errorf("after the wait: %d", got)
	}
}

// gatedStore reports that a token has arrived, and blocks until it may proceed.
type gatedStore struct {
	accounts.Store
	arrived chan<- struct{}
	proceed <-chan struct{}
}

func (g gatedStore) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	g.arrived <- struct{}{}
	<-g.proceed
	return g.Store.Authenticate(ctx, token)
}
