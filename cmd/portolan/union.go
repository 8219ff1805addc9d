package main

import (
	"context"
	"errors"

	"portolan/accounts"
)

// union asks a Memory first and then, for what that does not have, a store. A wrong token
// is always compared with both.
type union struct {
	memory *accounts.Memory
	store  accounts.Directory
}

// Authenticate returns whose token this is, or the store's error.
func (u union) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	found, err := u.memory.Authenticate(ctx, token)
	if errors.Is(err, accounts.ErrUnauthorized) {
		return u.store.Authenticate(ctx, token)
	}
	return found, err
}

// Account returns the account with this id, or the store's error.
func (u union) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	found, err := u.memory.Account(ctx, environment, id)
	if errors.Is(err, accounts.ErrNotFound) {
		return u.store.Account(ctx, environment, id)
	}
	return found, err
}

// Ready returns the store's error: memory is always there.
func (u union) Ready(ctx context.Context) error { return u.store.Ready(ctx) }

// played is a Directory whose accounts are served by pretend providers.
type played struct {
	accounts.Directory
	bases map[string]string // base URLs by integration
}

// Account returns the account with the base URL of its pretend provider.
func (d played) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	a, err := d.Directory.Account(ctx, environment, id)
	if base, ok := d.bases[a.Integration]; ok && err == nil {
		a.BaseURL = base
	}
	return a, err
}
