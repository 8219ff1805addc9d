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

// apart keeps one environment to itself: its tokens and accounts are those of own, and
// every other environment is that of rest, whatever rest has under the same name.
type apart struct {
	environment string
	own         *accounts.Memory
	rest        accounts.Directory
}

// Authenticate returns whose token this is, or the error of rest.
func (d apart) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	found, err := d.own.Authenticate(ctx, token)
	if err != nil {
		return d.rest.Authenticate(ctx, token)
	}
	return found, nil
}

// Account returns the account with this id, or the error of the only one that is asked.
func (d apart) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	if environment == d.environment {
		return d.own.Account(ctx, environment, id)
	}
	return d.rest.Account(ctx, environment, id)
}

// Ready returns the error of rest: memory is always there.
func (d apart) Ready(ctx context.Context) error { return d.rest.Ready(ctx) }

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
