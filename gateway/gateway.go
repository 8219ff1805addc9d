package gateway

import (
	"context"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
)

// Accounts finds integrated accounts. Its error is accounts.ErrNotFound or, if the store
// cannot be reached, any other.
type Accounts interface {
	Account(ctx context.Context, environment, id string) (accounts.Account, error)
}

// Policy is what happens to an answer that breaks the unified response schema.
type Policy string

// The policies.
const (
	PolicyOff  Policy = "off"  // it is not checked
	PolicyWarn Policy = "warn" // reported in log, header and debug answer
	PolicyFail Policy = "fail" // 502
)

type settings struct {
	log      *slog.Logger
	policy   Policy
	keeper   *oauth.Keeper // nil: no consents, no renewal
	apps     map[string]OAuthApp
	baseURLs map[string]string // by integration, replacing its own

	decoded    *semaphore.Weighted // of bytes; nil: no limit
	maxDecoded int64
}

// Option changes a setting of New.
type Option func(*settings)

// WithLogger sets the log; by default there is none.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithPolicy sets what happens to an answer that breaks the response schema; PolicyWarn by default.
func WithPolicy(p Policy) Option { return func(s *settings) { s.policy = p } }

// WithOAuth allows accounts to be connected by consent and renews their grants. apps are by
// integration.
func WithOAuth(keeper *oauth.Keeper, apps map[string]OAuthApp) Option {
	return func(s *settings) { s.keeper, s.apps = keeper, apps }
}

// WithBaseURLs sets URLs, by integration, that replace base_url if the credentials of a new account
// are checked.
func WithBaseURLs(bases map[string]string) Option {
	return func(s *settings) { s.baseURLs = bases }
}

// Gateway carries out unified calls. It is safe for concurrent use.
type Gateway struct {
	settings
	snapshot atomic.Pointer[Snapshot]
	engine   *engine.Engine
	accounts Accounts
}

// New builds a gateway over snapshot that calls providers through eng.
func New(snapshot *Snapshot, eng *engine.Engine, store Accounts, opts ...Option) *Gateway {
	g := &Gateway{
		settings: settings{log: slog.New(slog.DiscardHandler), policy: PolicyWarn},
		engine:   eng, accounts: store,
	}
	for _, o := range opts {
		o(&g.settings)
	}
	g.snapshot.Store(snapshot)
	return g
}

// Snapshot returns the snapshot of new calls.
func (g *Gateway) Snapshot() *Snapshot { return g.snapshot.Load() }

// Replace sets the snapshot of new calls. Calls under way keep theirs.
func (g *Gateway) Replace(snapshot *Snapshot) { g.snapshot.Store(snapshot) }
