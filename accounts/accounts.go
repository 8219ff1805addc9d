// Package accounts knows who may call and with which provider credentials: tokens and
// integrated accounts. For now both come from one YAML file and live in memory.
package accounts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
)

// DefaultEnvironment is the environment of an account or token that names none.
const DefaultEnvironment = "default"

// The errors of a Store, to be tested with errors.Is.
var (
	// ErrUnauthorized: no such token.
	ErrUnauthorized = errors.New("unknown token")
	// ErrNotFound: no such account in that environment.
	ErrNotFound = errors.New("unknown account")
	// ErrUnavailable: the store cannot be reached, so nothing is known about the token or
	// account. Memory never returns it; a database will.
	ErrUnavailable = errors.New("account store is unavailable")
)

// Store answers for tokens and accounts. It is safe for concurrent use.
type Store interface {
	// Authenticate returns whose token this is, or ErrUnauthorized.
	Authenticate(ctx context.Context, token string) (Token, error)
	// Account returns the account with this id, in any case of letters, or ErrNotFound,
	// which an account of another environment is too. What it returns is only to be read.
	Account(ctx context.Context, environment, id string) (Account, error)
	// Ready returns ErrUnavailable, wrapped with the reason, where the store cannot be reached.
	Ready(ctx context.Context) error
}

// Account is an integrated account: one customer's connection to one provider.
type Account struct {
	ID          string // uuid, lower case
	Integration string // the provider's folder name
	Environment string
	Context     Context
	BaseURL     string // in place of the integration's; "" leaves that
}

// Token is a caller's token, without the secret.
type Token struct {
	Name        string // for logs
	Environment string // the environment whose accounts it sees
}

// StoredToken is a Token with what is kept of its secret.
type StoredToken struct {
	Token
	Hash Hash
}

const masked = "***"

// Context is an account's credentials and settings as plain JSON values (nil, bool,
// string, json.Number, []any, map[string]any). It prints as "***", whatever prints it.
type Context map[string]any

// Format writes "***".
func (Context) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String gives "***".
func (Context) String() string { return masked }

// GoString gives "***".
func (Context) GoString() string { return masked }

// LogValue gives "***".
func (Context) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON gives "***".
func (Context) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }

// Hash is the SHA-256 of a token's secret. It prints as "***", because a short secret can
// be guessed from it.
type Hash [sha256.Size]byte

// HashToken gives the Hash of secret.
func HashToken(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Format writes "***".
func (Hash) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// String gives "***".
func (Hash) String() string { return masked }

// GoString gives "***".
func (Hash) GoString() string { return masked }

// LogValue gives "***".
func (Hash) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalJSON gives "***".
func (Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + masked + `"`), nil }
