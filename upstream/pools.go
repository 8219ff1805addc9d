package upstream

import (
	lru "container/list"
	"net/http"
	"net/netip"
	"sync"
)

// defaultPools is how many accounts keep connections by default.
const defaultPools = 1024

// owner is whose connections a pool holds: an integrated account. An account's id is unique
// in its environment only. The zero value is nobody.
type owner struct{ environment, account string }

// transport sends requests over connections of its own.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// pools keeps a connection pool for each account. No connection ever serves two accounts: an
// answer too many, which a provider or a proxy sends as the next request begins, would reach
// that request's caller. Between two calls of one account nothing can detect it.
//
// At most limit pools are kept. The one that was used least recently is evicted, and its
// connections are closed when its last call has ended. It is safe for concurrent use.
type pools struct {
	given  *pool            // in the place of all others; nil: none
	base   *http.Transport  // what pools are copies of; itself never used
	names  bool             // hosts are checked by their names, because a proxy resolves them
	direct []netip.AddrPort // what is called without the proxy
	limit  int

	mu      sync.Mutex
	byOwner map[owner]*lru.Element
	order   lru.List // of *pool; the front was used most recently
}

// pool is the connections of one account.
type pool struct {
	http.RoundTripper
	owner owner
	own   transport // the RoundTripper; nil: not ours to close

	calls   int  // that use it now; guarded by pools.mu
	evicted bool // no further call will use it; guarded by pools.mu
}

func newPools(s settings) *pools {
	p := &pools{
		base: newTransport(s), names: s.proxy != nil && !s.insecure, direct: s.loopback,
		limit: s.pools, byOwner: map[owner]*lru.Element{},
	}
	if s.transport != nil {
		p.given = &pool{RoundTripper: s.transport}
	}
	return p
}

// acquire returns o's pool for one call, which ends with release. If o is nobody, no other
// call uses that pool.
func (p *pools) acquire(o owner) *pool {
	switch {
	case p.given != nil:
		return p.given
	case o.account == "":
		return p.newPool(o, false)
	}
	p.mu.Lock()
	if found := p.byOwner[o]; found != nil {
		defer p.mu.Unlock()
		p.order.MoveToFront(found)
		acquired := found.Value.(*pool)
		acquired.calls++
		return acquired
	}
	acquired := p.newPool(o, true)
	p.byOwner[o] = p.order.PushFront(acquired)
	var unused *pool
	if p.order.Len() > p.limit {
		unused = p.evict()
	}
	p.mu.Unlock()
	if unused != nil {
		unused.own.CloseIdleConnections()
	}
	return acquired
}

// evict removes the pool that was used least recently, and returns it if no call uses it.
func (p *pools) evict() *pool {
	oldest := p.order.Remove(p.order.Back()).(*pool)
	delete(p.byOwner, oldest.owner)
	oldest.evicted = true
	if oldest.calls > 0 {
		return nil
	}
	return oldest
}

// release ends a use of acquired.
func (p *pools) release(acquired *pool) {
	if acquired.own == nil {
		return
	}
	p.mu.Lock()
	acquired.calls--
	unused := acquired.evicted && acquired.calls == 0
	p.mu.Unlock()
	if unused {
		acquired.own.CloseIdleConnections()
	}
}

// newPool makes a pool for a first call. One that does not keep connections closes each
// after its answer.
func (p *pools) newPool(o owner, keep bool) *pool {
	t := p.base.Clone() // with an HTTP/2 pool of its own
	t.DisableKeepAlives = !keep
	var own transport = t
	if p.names {
		own = &proxied{t, p.direct}
	}
	return &pool{RoundTripper: own, owner: o, own: own, calls: 1, evicted: !keep}
}

// closeIdle closes the connections that no call is using.
func (p *pools) closeIdle() {
	p.mu.Lock()
	all := make([]*pool, 0, p.order.Len())
	for e := p.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pool))
	}
	p.mu.Unlock()
	for _, kept := range all {
		kept.own.CloseIdleConnections()
	}
}
