package server_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

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
	// All ports of the address are refused, other addresses and valid tokens are not.
	for address, want := range map[string]int{here: 429, "192.0.2.7:1": 429, "[::ffff:192.0.2.7]:1": 429, there: 401} {
		if got := o.from(address, "ptl_wrong").Code; got != want {
			t.Errorf("%s: %d", address, got)
		}
		if got := o.from(address, adminToken).Code; got != 200 {
			t.Errorf("a valid token from %s: %d", address, got)
		}
	}
	// Unified calls are throttled as well.
	r := httptest.NewRequest(http.MethodPatch, "/unified/ticketing/users/u1?integrated_account_id="+o.ids["default"], http.NoBody)
	r.RemoteAddr = here
	r.Header.Set("Authorization", "Bearer ptl_wrong")
	w := httptest.NewRecorder()
	if o.ServeHTTP(w, r); w.Code != 429 {
		t.Errorf("a unified call: %d", w.Code)
	}
	for range 3 { // one more attempt every three seconds
		o.clock.advance(2 * time.Second)
		if w := o.from(here, "ptl_wrong"); w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Errorf("too soon: %d %q", w.Code, w.Header().Get("Retry-After"))
		}
		o.clock.advance(time.Second)
		if got := o.guess(here); got != 1 {
			t.Errorf("%d guesses after 3 seconds", got)
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
		w := o.from(address, cmp.Or(o.secrets[who], "ptl_00000000_"+strings.Repeat("A", 43)))
		answers = append(answers, fmt.Sprint(w.Code, w.Body))
		if got := o.guess(address); got != burst-1 {
			t.Errorf("%s: its failure was not counted: %d guesses", who, got)
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
	if got := o.guess("192.0.2.9:1"); got != burst {
		t.Errorf("requests without a token were counted: %d guesses", got)
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
			if got := o.from(tt.other, "ptl_wrong", tt.also...).Code == 429; got != tt.shared {
				t.Errorf("throttled: %v", got)
			}
		})
	}
}

// Concurrent guesses all count.
func TestThrottleTogether(t *testing.T) {
	o := newAdminFixture(t)
	const together = 100
	done := make(chan int)
	for range together {
		go func() { done <- o.from("192.0.2.7:1", "ptl_wrong").Code }()
	}
	got := map[int]int{}
	for range together {
		got[<-done]++
	}
	if got[401] != burst || got[429] != together-burst {
		t.Errorf("statuses %v", got)
	}
}

// An operator who forgot to name the proxy is told so, once.
func TestUntrustedProxyIsLogged(t *testing.T) {
	const warning = "name it with --trusted-proxy"
	o := newAdminFixture(t, server.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/24")))
	o.from("10.0.0.1:1", adminToken, "198.51.100.1")
	o.from("192.0.2.7:1", adminToken)
	if strings.Contains(o.logs.String(), warning) {
		t.Errorf("logged %s", o.logs)
	}
	for range 3 {
		o.from("192.0.2.7:1", adminToken, "198.51.100.1")
	}
	if strings.Count(o.logs.String(), warning) != 1 || !strings.Contains(o.logs.String(), `"address":"192.0.2.7"`) {
		t.Errorf("logged %s", o.logs)
	}
}
