package server

import (
	lru "container/list"
	"log/slog"
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
	maxAddresses = 10_000          // the one whose last failure is the oldest is removed
)

// throttle limits failed authentications for each address. Successful ones are not affected. It is
// safe for concurrent use.
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

// failed counts a failure of address. If there are too many, it returns how long the address must wait
// instead; otherwise 0.
func (t *throttle) failed(now time.Time, address netip.Addr) time.Duration {
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
	left := at.Value.(*failureRecord).left
	if left.AllowN(now, 1) {
		return 0
	}
	return time.Duration((1 - left.TokensAt(now)) * float64(failureEvery))
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

// warnOfProxy logs, once, that X-Forwarded-For comes from an address that is not trusted: perhaps a
// proxy for whose callers all failures are counted together.
func (s *Server) warnOfProxy(q *request) {
	if len(q.Header["X-Forwarded-For"]) == 0 || s.trusts(parseAddress(q.RemoteAddr)) {
		return
	}
	s.proxyWarning.Do(func() {
		s.log.LogAttrs(q.Context(), slog.LevelWarn, "X-Forwarded-For is ignored: if this address is that of a proxy, name it with --trusted-proxy",
			slog.String("request_id", q.id), slog.String("address", parseAddress(q.RemoteAddr).String()))
	})
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

// failedAuthentication counts a failure of the caller's address. It returns a problem if there are too
// many of them.
func (s *Server) failedAuthentication(q *request, t *throttle) *gateway.Problem {
	wait := t.failed(s.now(), s.callerAddress(q))
	if wait <= 0 {
		return nil
	}
	return &gateway.Problem{
		Status: http.StatusTooManyRequests, RetryAfter: strconv.Itoa(int(math.Ceil(wait.Seconds()))),
		Message: "too many failed authentications from this address: wait before the next one",
	}
}
