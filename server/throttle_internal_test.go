package server

import (
	"net/netip"
	"testing"
	"time"
)

// The number of remembered addresses is limited to those with the latest failures.
func TestThrottleForgets(t *testing.T) {
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	address := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	fail := func(i int) {
		for range failureBurst {
			th.failed(now, address(i))
		}
	}
	for i := range maxAddresses {
		fail(i)
	}
	th.failed(now, address(0)) // now address 1 has the oldest failure
	for i := range 5 {
		fail(maxAddresses + i)
	}
	if len(th.addresses) != maxAddresses || th.recent.Len() != maxAddresses {
		t.Errorf("%d addresses, %d in order", len(th.addresses), th.recent.Len())
	}
	for _, i := range []int{0, maxAddresses + 4, 6, 5, 1} { // those that are not known come last: they replace others
		throttled := i != 1 && i != 5
		if got := th.failed(now, address(i)) > 0; got != throttled {
			t.Errorf("address %d: throttled %v", i, got)
		}
	}
}
