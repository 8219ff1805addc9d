package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	pollInterval  = 250 * time.Millisecond
	trustFor      = 3 * pollInterval // after the last successful poll
	pollTimeout   = 5 * time.Second
	touchInterval = time.Minute
	loadTimeout   = 30 * time.Second

	maxCachedAccounts = 50_000
	maxCachedTokens   = 10_000
)

// Cache is a Directory that caches the tokens and accounts of a Store. A change by this
// process invalidates them at once, a change by another process within a second. Before
// Run, and if no poll of the Store succeeded for 750 ms, every call reads the Store. It is
// safe for concurrent use.
type Cache struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	loads singleflight.Group

	maxAccounts, maxTokens int

	mu       sync.RWMutex
	accounts map[string]Account // by id
	tokens   tokenTable
	epoch    uint64    // incremented by each change: an earlier read is not cached
	polledAt time.Time // when the last successful poll began
	position int64     // number of the last change seen
	failing  bool      // the last poll failed

	usedMu sync.Mutex
	used   map[string]time.Time // by token id, not yet written to the store
}

var _ Directory = (*Cache)(nil)

// NewCache returns a Cache of store. It must be called before store is used.
func NewCache(store Store, now func() time.Time, log *slog.Logger) *Cache {
	c := &Cache{
		store: store, now: now, log: log, used: map[string]time.Time{},
		maxAccounts: maxCachedAccounts, maxTokens: maxCachedTokens,
	}
	c.clear()
	store.Notify(c.invalidate)
	return c
}

// Authenticate returns the Token with this secret, or ErrUnauthorized. Failures are not
// cached: an unknown token takes as long as an expired one.
func (c *Cache) Authenticate(ctx context.Context, token string) (Token, error) {
	hash, now := HashToken(token), c.now()
	c.mu.RLock()
	t, ok := c.tokens.byHash[hash]
	ok = ok && c.trusted(now)
	epoch := c.epoch
	c.mu.RUnlock()
	if !ok || expired(t, now) {
		loaded, err := c.load(ctx, epoch, now, "token "+string(hash[:]), func(ctx context.Context) (any, error) {
			t, err := c.store.Authenticate(ctx, token)
			c.insert(epoch, err, func() {
				if len(c.tokens.byHash) >= c.maxTokens {
					c.tokens.removeOne()
				}
				c.tokens.add(hash, t)
			})
			return t, err
		})
		if err != nil {
			return Token{}, err
		}
		if t = loaded.(Token); expired(t, now) { // the store's clock may be late
			return Token{}, ErrUnauthorized
		}
	}
	if t.ID != "" {
		c.usedMu.Lock()
		c.used[t.ID] = now
		c.usedMu.Unlock()
	}
	return t, nil
}

func expired(t Token, now time.Time) bool { return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) }

// Account returns the account with this id. Its maps are shared and must not be modified.
func (c *Cache) Account(ctx context.Context, environment, id string) (Account, error) {
	id, now := strings.ToLower(id), c.now()
	c.mu.RLock()
	a, ok := c.accounts[id]
	ok = ok && a.Environment == environment && c.trusted(now)
	epoch := c.epoch
	c.mu.RUnlock()
	if ok {
		return a, nil
	}
	loaded, err := c.load(ctx, epoch, now, "account "+environment+"/"+id, func(ctx context.Context) (any, error) {
		a, err := c.store.Account(ctx, environment, id)
		c.insert(epoch, err, func() {
			if len(c.accounts) >= c.maxAccounts {
				for some := range c.accounts { // any one
					delete(c.accounts, some)
					break
				}
			}
			c.accounts[id] = a
		})
		return a, err
	})
	if err != nil {
		return Account{}, err
	}
	return loaded.(Account), nil
}

// Ready returns the Store's error.
func (c *Cache) Ready(ctx context.Context) error { return c.store.Ready(ctx) }

// trusted reports whether a poll succeeded recently.
func (c *Cache) trusted(now time.Time) bool { return now.Before(c.polledAt.Add(trustFor)) }

// load runs read once for all callers with the same key and epoch that arrive within a poll
// interval: later callers need a newer result. A caller whose ctx ends does not end the
// read for the others.
func (c *Cache) load(ctx context.Context, epoch uint64, now time.Time, key string, read func(context.Context) (any, error)) (any, error) {
	key = fmt.Sprint(epoch, now.UnixNano()/int64(pollInterval), key)
	flight := c.loads.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		out, err := read(ctx)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: no answer in time", ErrUnavailable) // loadTimeout passed, not the caller's deadline
		}
		return out, err
	})
	select {
	case result := <-flight:
		return result.Val, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// insert calls add unless err is set or something has changed since epoch.
func (c *Cache) insert(epoch uint64, err error, add func()) {
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		add()
	}
}

// invalidate removes the changed entries.
func (c *Cache) invalidate(changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invalidateLocked(changes)
}

func (c *Cache) invalidateLocked(changes []Change) {
	if len(changes) > 0 {
		c.epoch++
	}
	for _, change := range changes {
		switch change.Kind {
		case ChangeAccount:
			delete(c.accounts, change.ID)
			c.tokens.drop(change.ID)
		case ChangeToken:
			c.tokens.drop(change.ID)
		case ChangeEnvironment: // its accounts inherit its overrides
			for id, a := range c.accounts {
				if a.Environment == change.ID {
					delete(c.accounts, id)
				}
			}
		default:
			c.clear()
		}
	}
}

func (c *Cache) clear() {
	c.accounts = map[string]Account{}
	c.tokens = tokenTable{byHash: map[Hash]Token{}, byOwner: map[string]map[Hash]struct{}{}}
}

// Run polls for other processes' changes until ctx ends. It writes the times of last use
// of tokens once a minute and at the end.
func (c *Cache) Run(ctx context.Context) {
	var touching sync.WaitGroup
	touching.Go(func() { // in a goroutine, so that a slow write does not delay polls
		every(ctx, touchInterval, func() { c.touch(ctx) })
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
		defer cancel()
		c.touch(ctx)
	})
	c.poll(ctx)
	every(ctx, pollInterval, func() { c.poll(ctx) })
	touching.Wait()
}

// every calls do at each tick until ctx ends.
func every(ctx context.Context, d time.Duration, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// poll reads the Store's changes once.
func (c *Cache) poll(ctx context.Context) {
	started := c.now() // a later change may be missing from the result
	c.mu.RLock()
	position := c.position
	c.mu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	changes, latest, err := c.store.Changes(ctx, position)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
	case err != nil && !c.failing:
		c.failing = true
		c.log.WarnContext(ctx, "account store does not answer: nothing is cached until it does", slog.Any("error", err))
	case err != nil:
	default:
		if latest < position { // the database was replaced or restored
			changes = []Change{{Kind: ChangeAll}}
		}
		c.invalidateLocked(changes)
		c.position, c.polledAt = latest, started
		if c.failing {
			c.failing = false
			c.log.InfoContext(ctx, "account store answers again")
		}
	}
}

// touch writes the times of last use of tokens. If that fails, the next call tries again.
func (c *Cache) touch(ctx context.Context) {
	c.usedMu.Lock()
	used := c.used
	c.used = map[string]time.Time{}
	c.usedMu.Unlock()
	if len(used) == 0 {
		return
	}
	err := c.store.TouchTokens(ctx, used)
	if err == nil {
		return
	}
	c.log.WarnContext(ctx, "last use of tokens could not be written", slog.Any("error", err))
	c.usedMu.Lock()
	defer c.usedMu.Unlock()
	for id, at := range used {
		if _, newer := c.used[id]; !newer {
			c.used[id] = at
		}
	}
}

// Format writes how much c holds: fmt would print unexported fields without their masks.
func (c *Cache) Format(f fmt.State, _ rune) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, _ = fmt.Fprintf(f, "%d cached tokens, %d cached accounts", len(c.tokens.byHash), len(c.accounts))
}

// LogValue returns what Format writes.
func (c *Cache) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// tokenTable indexes tokens by hash, by their own id and by their account's.
type tokenTable struct {
	byHash  map[Hash]Token
	byOwner map[string]map[Hash]struct{}
}

func (t *tokenTable) add(hash Hash, token Token) {
	t.byHash[hash] = token
	for _, id := range owners(token) {
		if t.byOwner[id] == nil {
			t.byOwner[id] = map[Hash]struct{}{}
		}
		t.byOwner[id][hash] = struct{}{}
	}
}

func (t *tokenTable) drop(id string) {
	for hash := range t.byOwner[id] {
		t.remove(hash)
	}
}

func (t *tokenTable) removeOne() {
	for some := range t.byHash {
		t.remove(some)
		return
	}
}

func (t *tokenTable) remove(hash Hash) {
	for _, id := range owners(t.byHash[hash]) {
		if delete(t.byOwner[id], hash); len(t.byOwner[id]) == 0 {
			delete(t.byOwner, id)
		}
	}
	delete(t.byHash, hash)
}

func owners(t Token) []string {
	if t.AccountID == "" {
		return []string{t.ID}
	}
	return []string{t.ID, t.AccountID}
}
