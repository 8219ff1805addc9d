package accounts

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"portolan/plain"
)

// Memory is an immutable Directory in memory.
type Memory struct {
	tokens   []StoredToken
	accounts map[string]Account // by id
}

var _ Directory = (*Memory)(nil)

// NewMemory returns a Directory of copies of these tokens and accounts. Ids become lower
// case, an empty environment the default one. The error joins all ids that are invalid or
// occur twice and all tokens that occur twice.
func NewMemory(tokens []StoredToken, accounts []Account) (*Memory, error) {
	m := &Memory{tokens: slices.Clone(tokens), accounts: make(map[string]Account, len(accounts))}
	var problems []error
	names := make(map[Hash]string, len(tokens))
	for i := range m.tokens {
		t := &m.tokens[i]
		t.Environment = orDefault(t.Environment)
		if first, twice := names[t.Hash]; twice {
			problems = append(problems, fmt.Errorf("tokens %q and %q are the same", first, t.Name))
		}
		names[t.Hash] = t.Name
	}
	for _, a := range accounts {
		a.ID, a.Environment = strings.ToLower(a.ID), orDefault(a.Environment)
		a.Context = plain.CloneObject(a.Context)
		if _, twice := m.accounts[a.ID]; twice {
			problems = append(problems, fmt.Errorf("account id %s occurs twice", a.ID))
		}
		if !IsUUID(a.ID) {
			problems = append(problems, fmt.Errorf("account id %q is not a valid UUID", a.ID))
		}
		m.accounts[a.ID] = a
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return m, nil
}

// Authenticate compares token with every known token in constant time. The error is
// ErrUnauthorized.
func (m *Memory) Authenticate(_ context.Context, token string) (Token, error) {
	sum, found := HashToken(token), -1
	for i := range m.tokens {
		same := subtle.ConstantTimeCompare(sum[:], m.tokens[i].Hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 || token == "" {
		return Token{}, ErrUnauthorized
	}
	return m.tokens[found].Token, nil
}

// Account returns the account with this id or ErrNotFound. Its Context is shared and must
// not be modified.
func (m *Memory) Account(_ context.Context, environment, id string) (Account, error) {
	a, ok := m.accounts[strings.ToLower(id)]
	if !ok || a.Environment != environment {
		return Account{}, ErrNotFound
	}
	return a, nil
}

// Ready returns nil.
func (*Memory) Ready(context.Context) error { return nil }

// Format writes how much m holds: fmt would print unexported fields without their masks.
func (m *Memory) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d tokens, %d accounts", len(m.tokens), len(m.accounts))
}

// LogValue returns what Format writes.
func (m *Memory) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

func orDefault(environment string) string {
	if environment == "" {
		return DefaultEnvironment
	}
	return environment
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// IsUUID reports whether s is a UUID in lower case.
func IsUUID(s string) bool { return uuid.MatchString(s) }
