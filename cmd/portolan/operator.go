package main

import (
	"context"
	"crypto/subtle"
	"os/user"

	"portolan/accounts"
)

// operator is the Directory of one command: its own token, and the store's accounts.
type operator struct {
	accounts.Directory
	hash  accounts.Hash
	token accounts.Token
}

// newOperator gives a Directory and the one token that it knows.
func newOperator(store accounts.Directory, environment string) (operator, accounts.Secret) {
	secret, _ := accounts.NewSecret("cli")
	name := "command line"
	if who, err := user.Current(); err == nil && who.Username != "" {
		name += " (" + who.Username + ")"
	}
	token := accounts.Token{Name: name, Environment: environment, Role: accounts.RoleAdmin}
	return operator{store, accounts.HashToken(secret.Reveal()), token}, secret
}

// Authenticate knows the command's own token.
func (o operator) Authenticate(_ context.Context, token string) (accounts.Token, error) {
	sum := accounts.HashToken(token)
	if subtle.ConstantTimeCompare(sum[:], o.hash[:]) != 1 {
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return o.token, nil
}
