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
	renewBefore   = 60 * time.Second // of its expiry
	retryAfter    = 5 * time.Second  // of a renewal that failed
	renewAgain    = 10 * time.Second // of one that was of no use: the provider still refuses
	flightTimeout = 60 * time.Second // of waiting for other replicas, and of the renewal itself
	storeTimeout  = 15 * time.Second // of storing a grant, tries included
)

// Store is what a Keeper needs of an accounts.Store.
type Store interface {
	Account(ctx context.Context, environment, id string) (accounts.Account, error)
	SetGrant(ctx context.Context, id string, g accounts.Grant) error
	NeedsReauth(ctx context.Context, by accounts.Actor, id string, refused accounts.Secret, lastError string) error
	Exclusive(ctx context.Context, name string, do func(context.Context) error) error
}

// Keeper gets grants and renews them, once for all who wait, over all processes that share
// its Store. It is safe for concurrent use.
//
// Its errors are *Error, or wrap one of package accounts, or are the caller's context's.
type Keeper struct {
	store   Store
	client  *http.Client
	now     func() time.Time
	log     *slog.Logger
	pauses  []time.Duration // between tries to store a grant
	flights singleflight.Group

	mu       sync.Mutex
	failures map[string]failure   // by key
	unstored map[string]rotated   // by account id
	renewals map[string]time.Time // a moment ago, by the key of what they gave
}

// failure is a renewal that failed, and when.
type failure struct {
	err error
	at  time.Time
}

// rotated is a grant that the provider gave and the store did not take.
type rotated struct {
	old   accounts.Secret // the access token that it replaces
	grant accounts.Grant
}

// NewKeeper returns a Keeper. client should be a guarded one: a token endpoint's address
// may hold an account's settings.
func NewKeeper(store Store, client *http.Client, now func() time.Time, log *slog.Logger) *Keeper {
	return &Keeper{
		store: store, client: client, now: now, log: log,
		pauses:   []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second},
		failures: map[string]failure{}, unstored: map[string]rotated{}, renewals: map[string]time.Time{},
	}
}

// Exchange gives the grant for a consent's code, and the token endpoint's whole answer as
// plain JSON values, numbers as json.Number. It stores nothing.
func (k *Keeper) Exchange(ctx context.Context, app App, redirectURI, code string, verifier accounts.Secret) (accounts.Grant, map[string]any, error) {
	secrets := []accounts.Secret{app.ClientSecret, accounts.Secret(code), verifier}
	g, answer, err := k.ask(ctx, secrets, func(ctx context.Context) (*oauth2.Token, error) {
		return app.config(redirectURI).Exchange(ctx, code, oauth2.VerifierOption(verifier.Reveal()))
	})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return g, answer, err
}

// Fresh gives a with a grant that is good for a while: a itself, or renewed where its
// grant runs out within a minute. Where renewing fails for now, a token that has not yet
// run out is used on.
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

// Renew gives a with another access token, after the provider refused the one that it has:
// a itself where this Keeper got that one some seconds ago, as it is not the token then
// that the provider minds.
func (k *Keeper) Renew(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	if a.Status == accounts.StatusNeedsReauth {
		return a, reauth(a)
	}
	if a.Grant == nil {
		return a, &Error{Kind: Refused, Text: "account has no grant"}
	}
	if k.isNew(keyOf(a)) {
		return a, nil
	}
	return k.renewed(ctx, app, a)
}

// keyOf names a's access token.
func keyOf(a accounts.Account) string {
	hash := accounts.HashToken(a.Grant.AccessToken.Reveal())
	return a.ID + string(hash[:])
}

func (k *Keeper) isNew(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.renewals[key]
	return ok && k.now().Before(at.Add(renewAgain))
}

// noteNew keeps a renewal for isNew.
func (k *Keeper) noteNew(key string) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.renewals, func(_ string, at time.Time) bool { return !now.Before(at.Add(renewAgain)) })
	k.renewals[key] = now
}

// reauth is the error of an account whose grant was refused before.
func reauth(a accounts.Account) *Error {
	text := a.LastError
	if text == "" {
		text = "account needs to be connected again"
	}
	return &Error{Kind: Refused, Text: text}
}

// renewed waits for the renewal of a's access token, which is one for all who ask. Whoever
// goes away ends nobody else's.
func (k *Keeper) renewed(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	key := keyOf(a)
	if err := k.recent(key); err != nil {
		return a, err
	}
	flight := k.flights.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		out, err := k.renewOnce(ctx, app, a)
		k.note(ctx, key, a.ID, err)
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

// recent is the error of a renewal that failed a moment ago, so that nobody is hammered.
func (k *Keeper) recent(key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f, ok := k.failures[key]; ok && k.now().Before(f.at.Add(retryAfter)) {
		return f.err
	}
	return nil
}

// note keeps a token endpoint's failure for recent. A store's is not: it is asked anew.
func (k *Keeper) note(ctx context.Context, key, id string, err error) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.failures, func(_ string, f failure) bool { return !now.Before(f.at.Add(retryAfter)) })
	if e, ok := errors.AsType[*Error](err); ok {
		k.failures[key] = failure{err, now}
		k.log.WarnContext(ctx, "grant is not renewed", slog.String("account", id), slog.String("kind", string(e.Kind)), slog.String("error", e.Text))
	}
}

// renewOnce renews while no other replica does.
func (k *Keeper) renewOnce(ctx context.Context, app App, a accounts.Account) (out accounts.Account, err error) {
	done := false
	lock := k.Alone(ctx, a.ID, func(ctx context.Context) error {
		// A request that is on its way may use up the refresh token: it has time of its own.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		out, err = k.renewAlone(ctx, app, a)
		done = true
		return err
	})
	switch {
	case done: // how the lock ended takes nothing from it
		return out, err
	case lock != nil && ctx.Err() != nil:
		return a, &Error{Kind: Timeout, Text: "another renewal of this account took too long", Err: context.DeadlineExceeded}
	default:
		return a, lock
	}
}

// Alone runs do while no process renews the grant of the account of this id, nor runs
// another one's do. It waits for its turn until ctx ends.
func (k *Keeper) Alone(ctx context.Context, id string, do func(context.Context) error) error {
	return k.store.Exclusive(ctx, "oauth "+id, do)
}

// renewAlone renews unless somebody else did since a was read.
func (k *Keeper) renewAlone(ctx context.Context, app App, a accounts.Account) (accounts.Account, error) {
	current, err := k.store.Account(ctx, a.Environment, a.ID)
	if err != nil {
		return current, err
	}
	if current, err = k.storeLeft(ctx, current); err != nil {
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
		return current, k.refused(ctx, current, &Error{Kind: Refused, Text: "access token is no longer good and there is no refresh token"})
	}
	secrets := []accounts.Secret{app.ClientSecret, g.AccessToken, g.RefreshToken}
	fresh, _, err := k.ask(ctx, secrets, func(ctx context.Context) (*oauth2.Token, error) {
		return app.config("").TokenSource(ctx, &oauth2.Token{RefreshToken: g.RefreshToken.Reveal()}).Token()
	})
	if err != nil {
		return current, k.refused(ctx, current, err)
	}
	if err := k.keep(ctx, current.ID, rotated{g.AccessToken, fresh}); err != nil {
		return current, err
	}
	renewed := with(current, fresh)
	k.noteNew(keyOf(renewed))
	return renewed, nil
}

// refused marks a where err says that its grant is no longer good, and gives err.
func (k *Keeper) refused(ctx context.Context, a accounts.Account, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Refused {
		return err
	}
	by := accounts.Actor{Name: "portolan"}
	if failed := k.store.NeedsReauth(ctx, by, a.ID, a.Grant.AccessToken, e.Text); failed != nil && !errors.Is(failed, accounts.ErrNotFound) {
		k.log.ErrorContext(ctx, "account whose grant was refused could not be marked", slog.String("account", a.ID), slog.Any("error", failed))
	}
	return err
}

// storeLeft stores a grant that could not be stored when it was given, unless a has
// another one since.
func (k *Keeper) storeLeft(ctx context.Context, a accounts.Account) (accounts.Account, error) {
	k.mu.Lock()
	left, ok := k.unstored[a.ID]
	k.mu.Unlock()
	if !ok {
		return a, nil
	}
	if a.Grant == nil || a.Grant.AccessToken != left.old {
		k.forget(a.ID)
		return a, nil
	}
	if err := k.keep(ctx, a.ID, left); err != nil {
		return a, err
	}
	return with(a, left.grant), nil
}

// keep stores a new grant. The old refresh token may be worth nothing any more, so it does
// not give up with the caller, nor at the first try, and keeps the grant if all else fails.
func (k *Keeper) keep(ctx context.Context, id string, r rotated) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := k.store.SetGrant(ctx, id, r.grant)
	for _, pause := range k.pauses {
		if !errors.Is(err, accounts.ErrUnavailable) {
			break
		}
		select {
		case <-time.After(pause):
			err = k.store.SetGrant(ctx, id, r.grant)
		case <-ctx.Done():
		}
	}
	if err == nil || errors.Is(err, accounts.ErrNotFound) {
		k.forget(id)
		return err
	}
	k.mu.Lock()
	k.unstored[id] = r
	k.mu.Unlock()
	k.log.ErrorContext(ctx, "renewed grant could not be stored: it is lost if this process ends before the store is back",
		slog.String("account", id), slog.Any("error", err))
	return fmt.Errorf("store renewed grant: %w: %w", accounts.ErrUnavailable, err)
}

// Format writes what k is: fmt looks past the masks of what is in unexported fields.
func (k *Keeper) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("grant keeper")) }

// LogValue gives what Format writes.
func (k *Keeper) LogValue() slog.Value { return slog.StringValue("grant keeper") }

func (k *Keeper) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.unstored, id)
}

// with is a with this grant; a's own Context is shared and stays as it is.
func with(a accounts.Account, g accounts.Grant) accounts.Account {
	values := make(accounts.Context, len(a.Context)+1)
	maps.Copy(values, a.Context)
	values[accounts.AccessTokenField] = g.AccessToken.Reveal()
	a.Context, a.Grant = values, &g
	if a.Status == accounts.StatusNeedsReauth {
		a.Status, a.LastError = accounts.StatusActive, ""
	}
	return a
}
