package upstream

import (
	lru "container/list"
	"net/http"
	"net/netip"
	"sync"
)

// defaultPools is the default limit of accounts that keep connections.
const defaultPools = 1024

// owner identifies the integrated account of a pool. The id of an account is unique in its
// environment only. The zero value means no account.
type owner struct{ environment, account string }

// transport sends requests over its own connections.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// pools keeps a connection pool for each account. Accounts never share a connection: if a provider
// or proxy sends a surplus answer when the next request begins, the caller of that request would
// receive it. This cannot be detected between two calls of one account.
//
// At most limit pools are kept. The least recently used one is evicted, and its connections are
// closed after its last call. It is safe for concurrent use.
type pools struct {
	fixed   *pool            // used for all calls; may be nil
	base    *http.Transport  // the template of all pools; never used itself
	proxied bool             // hosts are checked by name, because a proxy resolves them
	direct  []netip.AddrPort // called without the proxy
	limit   int

	mu      sync.Mutex
	byOwner map[owner]*lru.Element
	order   lru.List // of *pool, the most recently used in front
}

// pool holds the connections of one account.
type pool struct {
	http.RoundTripper
	owner owner
	own   transport // the RoundTripper; nil if its connections must not be closed

	calls   int  // in progress; guarded by pools.mu
	evicted bool // not used by further calls; guarded by pools.mu
}

func newPools(s settings) *pools {
	p := &pools{
		base: newTransport(s), proxied: s.proxy != nil && !s.insecure, direct: s.loopback,
		limit: s.pools, byOwner: map[owner]*lru.Element{},
	}
	if s.transport != nil {
		p.fixed = &pool{RoundTripper: s.transport}
	}
	return p
}

// acquire returns the pool of o for one call; the caller must release it. Without an account, the
// pool is used by this call only.
func (p *pools) acquire(o owner) *pool {
	switch {
	case p.fixed != nil:
		return p.fixed
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

// evict removes the least recently used pool, and returns it if no call uses it.
func (p *pools) evict() *pool {
	oldest := p.order.Remove(p.order.Back()).(*pool)
	delete(p.byOwner, oldest.owner)
	oldest.evicted = true
	if oldest.calls > 0 {
		return nil
	}
	return oldest
}

// release ends the use of acquired by one call.
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

// newPool returns a pool, acquired for one call. If keep is false, it closes each connection after
// its answer.
func (p *pools) newPool(o owner, keep bool) *pool {
	t := p.base.Clone() // with its own HTTP/2 pool
	t.DisableKeepAlives = !keep
	var own transport = t
	if p.proxied {
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
