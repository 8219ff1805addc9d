package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"portolan/accounts"
)

const (
	renewBefore   = 60 * time.Second // the expiry
	retryAfter    = 5 * time.Second  // a failed renewal
	renewAgain    = 10 * time.Second // after a renewal, if the provider refuses the new token
	flightTimeout = 60 * time.Second // of waiting for other replicas, and of the renewal
	storeTimeout  = 15 * time.Second // of storing a grant, including retries
)

// Store holds the methods of accounts.Store that a Keeper uses.
type Store interface {
	Account(ctx context.Context, environment, id string) (accounts.Account, error)
	SetGrant(ctx context.Context, environment, id string, g accounts.Grant) error
	NeedsReauth(ctx context.Context, by accounts.Actor, environment, id string, refused accounts.Secret, lastError string) error
	Exclusive(ctx context.Context, name string, do func(context.Context) error) error
}

// Keeper gets and renews grants. Concurrent callers share one renewal, over all processes
// that share the Store. It is safe for concurrent use.
//
// An error is an *Error, wraps one of package accounts, or is that of the caller's context.
type Keeper struct {
	store   Store
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	pauses  []time.Duration // between attempts to store a grant
	flights singleflight.Group

	mu       sync.Mutex
	failures map[string]failure      // by keyOf
	pending  map[string]pendingGrant // by nameOf
	renewals map[string]time.Time    // recent ones, by keyOf with the new token
}

// failure is a failed renewal.
type failure struct {
	err error
	at  time.Time
}

// pendingGrant is a grant that the provider issued and the store does not hold yet.
type pendingGrant struct {
	old   accounts.Secret // the access token that it replaces
	grant accounts.Grant
}

// NewKeeper returns a Keeper. client should be a guarded one: the URL of a token endpoint may
// depend on an account's settings.
func NewKeeper(store Store, client *http.Client, now func() time.Time, log *slog.Logger) *Keeper {
	return &Keeper{
		store: store, client: client, now: now, log: log,
		pauses:   []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second},
		failures: map[string]failure{}, pending: map[string]pendingGrant{}, renewals: map[string]time.Time{},
	}
}

// Exchange returns the grant for a consent's code, and the whole token response as plain JSON
// values with json.Number. It stores nothing.
func (k *Keeper) Exchange(ctx context.Context, app App, redirectURI, code string, verifier accounts.Secret) (accounts.Grant, map[string]any, error) {
	secrets := []accounts.Secret{app.ClientSecret, accounts.Secret(code), verifier}
	g, answer, err := k.requestToken(ctx, secrets, func(ctx context.Context) (*oauth2.Token, error) {
		return app.config(redirectURI).Exchange(ctx, code, oauth2.VerifierOption(verifier.Reveal()))
	})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return g, answer, err
}

// Fresh returns a, with a renewed grant if its grant expires within a minute. If the renewal
// fails temporarily, it returns a while its token is valid.
func (k *Keeper) Fresh(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	if a.Status == accounts.StatusNeedsReauth {
		return a, reauth(a)
	}
	g, now := a.Grant, k.now()
	if g == nil || g.Expiry.IsZero() || g.Expiry.After(now.Add(renewBefore)) {
		return a, nil
	}
	valid := g.Expiry.After(now)
	if valid && g.RefreshToken == "" {
		return a, nil
	}
	renewed, err := k.renewed(ctx, app, a)
	if err == nil || !valid || ctx.Err() != nil || errors.Is(err, accounts.ErrNotFound) {
		return renewed, err
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Refused {
		return renewed, err
	}
	return a, nil
}

// Renew returns a with a new access token, after the provider refused the present one. It
// returns a itself if this Keeper got that token seconds ago: another one would not help.
func (k *Keeper) Renew(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	if a.Status == accounts.StatusNeedsReauth {
		return a, reauth(a)
	}
	if a.Grant == nil {
		return a, &Error{Kind: Refused, Text: "account has no grant"}
	}
	if k.recentlyRenewed(keyOf(a)) {
		return a, nil
	}
	return k.renewed(ctx, app, a)
}

// keyOf returns the key of a's access token.
func keyOf(a accounts.Account) string {
	hash := accounts.HashToken(a.Grant.AccessToken.Reveal())
	return nameOf(a) + string(hash[:])
}

// nameOf names an account among those of all environments.
func nameOf(a accounts.Account) string { return a.Environment + "/" + a.ID }

func (k *Keeper) recentlyRenewed(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.renewals[key]
	return ok && k.now().Before(at.Add(renewAgain))
}

// recordRenewal records a renewal for recentlyRenewed.
func (k *Keeper) recordRenewal(key string) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.renewals, func(_ string, at time.Time) bool { return !now.Before(at.Add(renewAgain)) })
	k.renewals[key] = now
}

// reauth returns the error of an account whose grant was refused before.
func reauth(a accounts.Account) *Error {
	text := a.LastError
	if text == "" {
		text = "account needs to be connected again"
	}
	return &Error{Kind: Refused, Text: text}
}

// renewed waits for the renewal of a's access token, which concurrent callers share. A caller
// whose ctx ends does not end it for the others.
func (k *Keeper) renewed(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	key := keyOf(a)
	if err := k.recentFailure(key); err != nil {
		return a, err
	}
	flight := k.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		out, err := k.renewOnce(ctx, app, a)
		k.recordFailure(ctx, key, a.ID, err)
		return out, err
	})
	select {
	case <-ctx.Done():
		return a, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return a, result.Err
		}
		return result.Val.(accounts.Account), nil
	}
}

// recentFailure returns the error of a renewal that failed within retryAfter.
func (k *Keeper) recentFailure(key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.failures[key]; ok && k.now().Before(f.at.Add(retryAfter)) {
		return f.err
	}
	return nil
}

// recordFailure records a failed token request for recentFailure, but not a store's error.
func (k *Keeper) recordFailure(ctx context.Context, key, id string, err error) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.failures, func(_ string, f failure) bool { return !now.Before(f.at.Add(retryAfter)) })
	if e, ok := errors.AsType[*Error](err); ok {
		k.failures[key] = failure{err, now}
		k.log.WarnContext(ctx, "grant is not renewed", slog.String("account", id), slog.String("kind", string(e.Kind)), slog.String("error", e.Text))
	}
}

// renewOnce renews under the account's lock over all replicas.
func (k *Keeper) renewOnce(ctx context.Context, app App, a accounts.Account) (out accounts.Account, err error) {
	done := false
	lock := k.Exclusive(ctx, a, func(ctx context.Context) error {
		// A started request may use up the refresh token: it gets a separate timeout.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		out, err = k.renewExclusively(ctx, app, a)
		done = true
		return err
	})
	switch {
	case done: // the lock's own error does not matter then
		return out, err
	case lock != nil && ctx.Err() != nil:
		return a, &Error{Kind: Timeout, Text: "another renewal of this account took too long", Err: context.DeadlineExceeded}
	default:
		return a, lock
	}
}

// Exclusive runs do while holding the lock under which an account's grant is renewed, over
// all processes. It waits for the lock until ctx ends.
func (k *Keeper) Exclusive(ctx context.Context, a accounts.Account, do func(context.Context) error) error {
	return k.store.Exclusive(ctx, "oauth "+nameOf(a), do)
}

// renewExclusively renews a's grant, unless another caller has done so since a was read. The
// caller holds the lock.
func (k *Keeper) renewExclusively(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	current, err := k.store.Account(ctx, a.Environment, a.ID)
	if err != nil {
		return current, err
	}
	if current, err = k.storePending(ctx, current); err != nil {
		return current, err
	}
	g := current.Grant
	switch {
	case current.Status == accounts.StatusNeedsReauth:
		return current, reauth(current)
	case g == nil:
		return current, &Error{Kind: Refused, Text: "account has no grant"}
	case g.AccessToken != a.Grant.AccessToken && (g.Expiry.IsZero() || g.Expiry.After(k.now())):
		return current, nil
	case g.RefreshToken == "":
		return current, k.markRefused(ctx, current, &Error{Kind: Refused, Text: "access token is no longer valid and there is no refresh token"})
	}
	secrets := []accounts.Secret{app.ClientSecret, g.AccessToken, g.RefreshToken}
	fresh, _, err := k.requestToken(ctx, secrets, func(ctx context.Context) (*oauth2.Token, error) {
		return app.config("").TokenSource(ctx, &oauth2.Token{RefreshToken: g.RefreshToken.Reveal()}).Token()
	})
	if err != nil {
		return current, k.markRefused(ctx, current, err)
	}
	if err := k.storeGrant(ctx, current, pendingGrant{g.AccessToken, fresh}); err != nil {
		return current, err
	}
	renewed := withGrant(current, fresh)
	k.recordRenewal(keyOf(renewed))
	return renewed, nil
}

// markRefused marks a if err means that its grant is no longer valid. It returns err.
func (k *Keeper) markRefused(ctx context.Context, a accounts.Account, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Refused {
		return err
	}
	by := accounts.Actor{Name: "portolan"}
	if failed := k.store.NeedsReauth(ctx, by, a.Environment, a.ID, a.Grant.AccessToken, e.Text); failed != nil && !errors.Is(failed, accounts.ErrNotFound) {
		k.log.ErrorContext(ctx, "account whose grant was refused could not be marked", slog.String("account", a.ID), slog.Any("error", failed))
	}
	return err
}

// storePending stores a's pending grant, unless a got another grant since.
func (k *Keeper) storePending(ctx context.Context, a accounts.Account) (accounts.Account, error) {
	k.mu.Lock()
	p, ok := k.pending[nameOf(a)]
	k.mu.Unlock()
	if !ok {
		return a, nil
	}
	if a.Grant == nil || a.Grant.AccessToken != p.old {
		k.dropPending(a)
		return a, nil
	}
	if err := k.storeGrant(ctx, a, p); err != nil {
		return a, err
	}
	return withGrant(a, p.grant), nil
}

// storeGrant stores a new grant. The old refresh token may be invalid by now, so it ignores
// the caller's cancellation, retries, and keeps the grant as pending if it cannot be stored.
func (k *Keeper) storeGrant(ctx context.Context, a accounts.Account, r pendingGrant) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := k.store.SetGrant(ctx, a.Environment, a.ID, r.grant)
	for _, pause := range k.pauses {
		if !errors.Is(err, accounts.ErrUnavailable) {
			break
		}
		select {
		case <-time.After(pause):
			err = k.store.SetGrant(ctx, a.Environment, a.ID, r.grant)
		case <-ctx.Done():
		}
	}
	if err == nil || errors.Is(err, accounts.ErrNotFound) {
		k.dropPending(a)
		return err
	}
	k.mu.Lock()
	k.pending[nameOf(a)] = r
	k.mu.Unlock()
	k.log.ErrorContext(ctx, "renewed grant could not be stored: it is lost if this process ends before the store is back",
		slog.String("account", a.ID), slog.Any("error", err))
	return fmt.Errorf("store renewed grant: %w: %w", accounts.ErrUnavailable, err)
}

// Format writes a fixed text: fmt would print unexported fields without their masks.
func (k *Keeper) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("grant keeper")) }

// LogValue returns what Format writes.
func (k *Keeper) LogValue() slog.Value { return slog.StringValue("grant keeper") }

func (k *Keeper) dropPending(a accounts.Account) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, nameOf(a))
}

// withGrant returns a with this grant. It does not modify a's Context, which is shared.
func withGrant(a accounts.Account, g accounts.Grant) accounts.Account {
	values := make(accounts.Context, len(a.Context)+1)
	maps.Copy(values, a.Context)
	values[accounts.AccessTokenField] = g.AccessToken.Reveal()
	a.Context, a.Grant = values, &g
	if a.Status == accounts.StatusNeedsReauth {
		a.Status, a.LastError = accounts.StatusActive, ""
	}
	return a
}
