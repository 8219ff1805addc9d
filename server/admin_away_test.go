package server_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"portolan/accounts"
	"portolan/engine"
	"portolan/schemas"
	"portolan/server"
)

// cutStore is a Store that can be away; it may still know tokens then, as a cache does.
type cutStore struct {
	accounts.Store
	away, knowsTokens atomic.Bool
}

func adminServer(t *testing.T, o *office, store accounts.Store, unified schemas.Models) *server.Server {
	t.Helper()
	s, err := build(exampleCatalog(t), engine.New(o.world, o.clock.now), unified, store, server.WithClock(o.clock.now), server.WithStore(store))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// through asks the store, where it is there.
func through[T any](c *cutStore, ask func() (T, error)) (T, error) {
	if c.away.Load() {
		var none T
		return none, fmt.Errorf("details of the outage: %w", accounts.ErrUnavailable)
	}
	return ask()
}

func (c *cutStore) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	if c.knowsTokens.Load() {
		return c.Store.Authenticate(ctx, token)
	}
	return through(c, func() (accounts.Token, error) { return c.Store.Authenticate(ctx, token) })
}

func (c *cutStore) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	return through(c, func() (accounts.Account, error) { return c.Store.Account(ctx, environment, id) })
}

func (c *cutStore) Accounts(ctx context.Context, environment string, q accounts.AccountQuery) (accounts.Page[accounts.Account], error) {
	return through(c, func() (accounts.Page[accounts.Account], error) { return c.Store.Accounts(ctx, environment, q) })
}

func (c *cutStore) AccountInfo(ctx context.Context, environment, id string) (accounts.Account, error) {
	return through(c, func() (accounts.Account, error) { return c.Store.AccountInfo(ctx, environment, id) })
}

func (c *cutStore) CreateAccount(ctx context.Context, by accounts.Actor, n accounts.NewAccount) (accounts.Account, error) {
	return through(c, func() (accounts.Account, error) { return c.Store.CreateAccount(ctx, by, n) })
}

func (c *cutStore) UpdateAccount(ctx context.Context, by accounts.Actor, environment, id string, ch accounts.AccountChange) (accounts.Account, error) {
	return through(c, func() (accounts.Account, error) { return c.Store.UpdateAccount(ctx, by, environment, id, ch) })
}

func (c *cutStore) DeleteAccount(ctx context.Context, by accounts.Actor, environment, id string, version int64) error {
	_, err := through(c, func() (any, error) { return nil, c.Store.DeleteAccount(ctx, by, environment, id, version) })
	return err
}

func (c *cutStore) Tokens(ctx context.Context, environment string, p accounts.PageQuery) (accounts.Page[accounts.Token], error) {
	return through(c, func() (accounts.Page[accounts.Token], error) { return c.Store.Tokens(ctx, environment, p) })
}

func (c *cutStore) Token(ctx context.Context, environment, id string) (accounts.Token, error) {
	return through(c, func() (accounts.Token, error) { return c.Store.Token(ctx, environment, id) })
}

func (c *cutStore) CreateToken(ctx context.Context, by accounts.Actor, k accounts.StoredToken) (accounts.Token, error) {
	return through(c, func() (accounts.Token, error) { return c.Store.CreateToken(ctx, by, k) })
}

func (c *cutStore) RevokeToken(ctx context.Context, by accounts.Actor, environment, id string) error {
	_, err := through(c, func() (any, error) { return nil, c.Store.RevokeToken(ctx, by, environment, id) })
	return err
}

func (c *cutStore) Environments(ctx context.Context, p accounts.PageQuery) (accounts.Page[accounts.Environment], error) {
	return through(c, func() (accounts.Page[accounts.Environment], error) { return c.Store.Environments(ctx, p) })
}

func (c *cutStore) Environment(ctx context.Context, name string) (accounts.Environment, error) {
	return through(c, func() (accounts.Environment, error) { return c.Store.Environment(ctx, name) })
}

func (c *cutStore) CreateEnvironment(ctx context.Context, by accounts.Actor, e accounts.Environment) (accounts.Environment, error) {
	return through(c, func() (accounts.Environment, error) { return c.Store.CreateEnvironment(ctx, by, e) })
}

func (c *cutStore) UpdateEnvironment(ctx context.Context, by accounts.Actor, name string, ch accounts.EnvironmentChange) (accounts.Environment, error) {
	return through(c, func() (accounts.Environment, error) { return c.Store.UpdateEnvironment(ctx, by, name, ch) })
}

func (c *cutStore) DeleteEnvironment(ctx context.Context, by accounts.Actor, name string, version int64) error {
	_, err := through(c, func() (any, error) { return nil, c.Store.DeleteEnvironment(ctx, by, name, version) })
	return err
}

func (c *cutStore) Audit(ctx context.Context, q accounts.AuditQuery) (accounts.Page[accounts.AuditEntry], error) {
	return through(c, func() (accounts.Page[accounts.AuditEntry], error) { return c.Store.Audit(ctx, q) })
}
