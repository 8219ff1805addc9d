package server

import (
	lru "container/list"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"portolan/gateway"
)

// Failed authentications that one address may have.
const (
	failureBurst = 20
	failureEvery = 3 * time.Second // one more
	maxDebt      = failureBurst    // of failures that were under way together
	maxAddresses = 10_000          // remembered; the one that failed longest ago is forgotten
)

// throttle slows down those who guess secrets: by address, failures only. What succeeds
// costs nothing. It is safe for concurrent use.
type throttle struct {
	mu        sync.Mutex
	addresses map[netip.Prefix]*lru.Element
	recent    *lru.List // of *guesser, the one that failed last in front
}

type guesser struct {
	address netip.Prefix
	left    *rate.Limiter
}

func newThrottle() *throttle {
	return &throttle{addresses: map[netip.Prefix]*lru.Element{}, recent: lru.New()}
}

// wait is how long address must wait before it may try again; 0 where it may now.
func (t *throttle) wait(now time.Time, address netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.addresses[network(address)]
	if !ok {
		return 0
	}
	missing := 1 - at.Value.(*guesser).left.TokensAt(now)
	return max(0, time.Duration(missing*float64(failureEvery)))
}

// failed notes a failure of address.
func (t *throttle) failed(now time.Time, address netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := network(address)
	at, ok := t.addresses[key]
	if !ok {
		if len(t.addresses) >= maxAddresses {
			delete(t.addresses, t.recent.Remove(t.recent.Back()).(*guesser).address)
		}
		at = t.recent.PushFront(&guesser{address: key, left: rate.NewLimiter(rate.Every(failureEvery), failureBurst)})
		t.addresses[key] = at
	}
	t.recent.MoveToFront(at)
	if left := at.Value.(*guesser).left; left.TokensAt(now) > -maxDebt {
		left.ReserveN(now, 1)
	}
}

// network is what counts as one address: of IPv6 the /64 that a customer gets.
func network(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	p, _ := address.Prefix(bits) // the zero address: the zero prefix
	return p
}

// WithTrustedProxies says whose X-Forwarded-For names the caller's address; by default nobody's.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return func(s *settings) { s.proxies = prefixes }
}

// callerAddress is the address that the request comes from; the zero one where it is unknown.
// Trusted proxies are passed over, from the nearest on.
func (s *Server) callerAddress(q *request) netip.Addr {
	address := parseAddress(q.RemoteAddr)
	hops := strings.Split(strings.Join(q.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && s.trusts(address); i-- {
		hop := parseAddress(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break
		}
		address = hop
	}
	return address
}

func (s *Server) trusts(address netip.Addr) bool {
	for _, p := range s.proxies {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// parseAddress reads an address with or without a port.
func parseAddress(text string) netip.Addr {
	address, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(text) // the zero address is what is meant
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// throttled refuses an address that has failed too often, before anything is looked at.
func (s *Server) throttled(q *request) *gateway.Problem {
	wait := s.throttle.wait(s.now(), s.callerAddress(q))
	if wait <= 0 {
		return nil
	}
	return &gateway.Problem{
		Status: http.StatusTooManyRequests, RetryAfter: strconv.Itoa(int(math.Ceil(wait.Seconds()))),
		Message: "too many failed authentications from this address: wait before the next one",
	}
}

// failedAuthentication counts against the caller's address.
func (s *Server) failedAuthentication(q *request) { s.throttle.failed(s.now(), s.callerAddress(q)) }
