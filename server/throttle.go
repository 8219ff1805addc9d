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

// Limits of failed authentications for each address.
const (
	failureBurst = 20
	failureEvery = 3 * time.Second // time until one more is allowed
	maxPending   = failureBurst    // failures over the limit that count, from concurrent requests
	maxAddresses = 10_000          // the one whose last failure is the oldest is removed
)

// throttle limits failed authentications for each address, against guessing of secrets.
// Successful ones do not count. It is safe for concurrent use.
type throttle struct {
	mu        sync.Mutex
	addresses map[netip.Prefix]*lru.Element
	recent    *lru.List // of *failureRecord, the latest failure in front
}

type failureRecord struct {
	address netip.Prefix
	left    *rate.Limiter
}

func newThrottle() *throttle {
	return &throttle{addresses: map[netip.Prefix]*lru.Element{}, recent: lru.New()}
}

// wait returns how long address must wait until the next attempt; 0 if it does not have to.
func (t *throttle) wait(now time.Time, address netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.addresses[network(address)]
	if !ok {
		return 0
	}
	missing := 1 - at.Value.(*failureRecord).left.TokensAt(now)
	return max(0, time.Duration(missing*float64(failureEvery)))
}

// failed records a failure of address.
func (t *throttle) failed(now time.Time, address netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := network(address)
	at, ok := t.addresses[key]
	if !ok {
		if len(t.addresses) >= maxAddresses {
			delete(t.addresses, t.recent.Remove(t.recent.Back()).(*failureRecord).address)
		}
		at = t.recent.PushFront(&failureRecord{address: key, left: rate.NewLimiter(rate.Every(failureEvery), failureBurst)})
		t.addresses[key] = at
	}
	t.recent.MoveToFront(at)
	if left := at.Value.(*failureRecord).left; left.TokensAt(now) > -maxPending {
		left.ReserveN(now, 1)
	}
}

// network returns the prefix that counts as one address: for IPv6 the /64 of one customer.
func network(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	p, _ := address.Prefix(bits) // the zero address: the zero prefix
	return p
}

// WithTrustedProxies sets the proxies whose X-Forwarded-For is trusted; by default none.
func WithTrustedProxies(prefixes ...netip.Prefix) Option {
	return func(s *settings) { s.proxies = prefixes }
}

// callerAddress returns the address of the caller, the nearest that is not a trusted proxy; the
// zero address if it is unknown.
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
		withPort, _ := netip.ParseAddrPort(text) // the zero address after an error
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// throttled refuses an address with too many failed authentications.
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

// failedAuthentication counts a failure of the caller's address.
func (s *Server) failedAuthentication(q *request) { s.throttle.failed(s.now(), s.callerAddress(q)) }
