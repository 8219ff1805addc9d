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
	pollEvery  = 250 * time.Millisecond
	trustFor   = 3 * pollEvery // since the store last told of its changes
	pollFor    = 5 * time.Second
	touchEvery = time.Minute
	loadFor    = 30 * time.Second

	cachedAccounts = 50_000 // at most
	cachedTokens   = 10_000
)

// Cache is a Directory that remembers what a Store answered, until the Store tells of a
// change: at once of this process's own, within a second of another's. Where it does not
// hear from the Store for 750 ms, and before Run, it remembers nothing and asks. It is safe
// for concurrent use.
type Cache struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	loads singleflight.Group

	maxAccounts, maxTokens int

	mu       sync.RWMutex
	accounts map[string]Account // by id
	tokens   tokenTable
	epoch    uint64    // grows with each change: what was read before is not kept after
	heard    time.Time // when the last Changes that succeeded was asked for
	position int64     // of the last change that was heard of
	away     bool      // the last Changes failed

	usedMu sync.Mutex
	used   map[string]time.Time // token ids, since last written
}

var _ Directory = (*Cache)(nil)

// NewCache returns a Cache of store, which must not have been used yet.
func NewCache(store Store, now func() time.Time, log *slog.Logger) *Cache {
	c := &Cache{
		store: store, now: now, log: log, used: map[string]time.Time{},
		maxAccounts: cachedAccounts, maxTokens: cachedTokens,
	}
	c.clear()
	store.Notify(c.drop)
	return c
}

// Authenticate returns whose token this is, or ErrUnauthorized, which the Store says each
// time anew: an unknown token takes as long as one that has expired.
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
			c.keep(epoch, err, func() {
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
		if t = loaded.(Token); expired(t, now) { // another process's clock may be late
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

// Account returns the account with this id. Its maps are shared and only to be read.
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
		c.keep(epoch, err, func() {
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

// Ready asks the Store.
func (c *Cache) Ready(ctx context.Context) error { return c.store.Ready(ctx) }

// trusted reports whether the Store has told of its changes lately.
func (c *Cache) trusted(now time.Time) bool {
	return now.Before(c.heard.Add(trustFor))
}

// load runs read once for all who ask for the same thing since the same change, within a
// moment: an answer that is long on its way may be too old for who asks now. Whoever goes
// away ends nobody else's.
func (c *Cache) load(ctx context.Context, epoch uint64, now time.Time, key string, read func(context.Context) (any, error)) (any, error) {
	key = fmt.Sprint(epoch, now.UnixNano()/int64(pollEvery), key)
	flight := c.loads.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadFor)
		defer cancel()
		out, err := read(ctx)
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("%w: no answer in time", ErrUnavailable) // it is not the caller's deadline that passed
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

// keep has add remember what was read, unless something has changed since.
func (c *Cache) keep(epoch uint64, err error, add func()) {
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		add()
	}
}

// drop forgets what changes tell of.
func (c *Cache) drop(changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(changes)
}

func (c *Cache) forget(changes []Change) {
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
		case ChangeEnvironment: // whose overrides its accounts inherit
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

// Run follows other processes' changes, and writes when tokens were last used once a
// minute and at the end, until ctx ends.
func (c *Cache) Run(ctx context.Context) {
	var touching sync.WaitGroup
	touching.Go(func() { // apart, so that a slow write does not make the cache blind
		every(ctx, touchEvery, func() { c.touch(ctx) })
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollFor)
		defer cancel()
		c.touch(ctx)
	})
	c.poll(ctx)
	every(ctx, pollEvery, func() { c.poll(ctx) })
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

// poll asks the Store once for its changes.
func (c *Cache) poll(ctx context.Context) {
	asked := c.now() // a change after this may not be in the answer
	c.mu.RLock()
	position := c.position
	c.mu.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, pollFor)
	defer cancel()
	changes, latest, err := c.store.Changes(ctx, position)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
	case err != nil && !c.away:
		c.away = true
		c.log.WarnContext(ctx, "account store does not answer: every call asks it until it does", slog.Any("error", err))
	case err != nil:
	default:
		if latest < position { // another database, or an older state of it
			changes = []Change{{Kind: ChangeAll}}
		}
		c.forget(changes)
		c.position, c.heard = latest, asked
		if c.away {
			c.away = false
			c.log.InfoContext(ctx, "account store answers again")
		}
	}
}

// touch writes when tokens were last used, and tries again later where that fails.
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

// Format writes how much c holds: fmt looks past the masks of what is in unexported fields.
func (c *Cache) Format(f fmt.State, _ rune) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, _ = fmt.Fprintf(f, "%d cached tokens, %d cached accounts", len(c.tokens.byHash), len(c.accounts))
}

// LogValue gives what Format writes.
func (c *Cache) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// tokenTable finds tokens by hash, and those of an id: their own or their account's.
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
