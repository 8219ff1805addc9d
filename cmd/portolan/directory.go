package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"os/user"

	"portolan/accounts"
)

// joinedDirectories looks in memory first and then in store. A wrong token is always
// compared with both.
type joinedDirectories struct {
	memory *accounts.Memory
	store  accounts.Directory
}

// Authenticate returns the token, or the error of store.
func (d joinedDirectories) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	found, err := d.memory.Authenticate(ctx, token)
	if errors.Is(err, accounts.ErrUnauthorized) {
		return d.store.Authenticate(ctx, token)
	}
	return found, err
}

// Account returns the account with this id, or the error of store.
func (d joinedDirectories) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	found, err := d.memory.Account(ctx, environment, id)
	if errors.Is(err, accounts.ErrNotFound) {
		return d.store.Account(ctx, environment, id)
	}
	return found, err
}

// Ready returns the error of store: memory is always ready.
func (d joinedDirectories) Ready(ctx context.Context) error { return d.store.Ready(ctx) }

// separateEnvironment serves one environment from own and all others from rest. An environment of
// the same name in rest is not visible.
type separateEnvironment struct {
	environment string
	own         *accounts.Memory
	rest        accounts.Directory
}

// Authenticate returns the token, or the error of rest.
func (d separateEnvironment) Authenticate(ctx context.Context, token string) (accounts.Token, error) {
	found, err := d.own.Authenticate(ctx, token)
	if err != nil {
		return d.rest.Authenticate(ctx, token)
	}
	return found, nil
}

// Account returns the account with this id from the directory of its environment.
func (d separateEnvironment) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	if environment == d.environment {
		return d.own.Account(ctx, environment, id)
	}
	return d.rest.Account(ctx, environment, id)
}

// Ready returns the error of rest: own is always ready.
func (d separateEnvironment) Ready(ctx context.Context) error { return d.rest.Ready(ctx) }

// withBaseURLs sets the base URL of accounts whose provider the sandbox serves.
type withBaseURLs struct {
	accounts.Directory

	baseURLs map[string]string // by integration
}

// Account returns the account, with the base URL of its integration if there is one.
func (d withBaseURLs) Account(ctx context.Context, environment, id string) (accounts.Account, error) {
	a, err := d.Directory.Account(ctx, environment, id)
	if baseURL, ok := d.baseURLs[a.Integration]; ok && err == nil {
		a.BaseURL = baseURL
	}
	return a, err
}

// commandDirectory has the accounts of a store and a single token, which is valid for one
// command.
type commandDirectory struct {
	accounts.Directory

	hash  accounts.Hash
	token accounts.Token
}

// newCommandDirectory returns a directory with a new admin token, and that token.
func newCommandDirectory(store accounts.Directory, environment string) (commandDirectory, accounts.Secret) {
	secret, _ := accounts.NewSecret("cli")
	name := "command line"
	if who, err := user.Current(); err == nil && who.Username != "" {
		name += " (" + who.Username + ")"
	}
	token := accounts.Token{Name: name, Environment: environment, Role: accounts.RoleAdmin}
	return commandDirectory{store, accounts.HashToken(secret.Reveal()), token}, secret
}

// Authenticate accepts the command's token only.
func (d commandDirectory) Authenticate(_ context.Context, token string) (accounts.Token, error) {
	sum := accounts.HashToken(token)
	if subtle.ConstantTimeCompare(sum[:], d.hash[:]) != 1 {
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return d.token, nil
}
