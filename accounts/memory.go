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

// Memory is a Directory that holds everything in memory. It never changes.
type Memory struct {
	tokens   []StoredToken
	accounts map[string]Account // by id
}

var _ Directory = (*Memory)(nil)

// NewMemory returns a Directory of these tokens and accounts. It copies them; ids become
// lower case, an empty environment the default one. An id that is no uuid or occurs
// twice, and a token that occurs twice, are errors, all of them told at once.
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
		if !isUUID(a.ID) {
			problems = append(problems, fmt.Errorf("account id %q is no uuid", a.ID))
		}
		m.accounts[a.ID] = a
	}
	if problems != nil {
		return nil, errors.Join(problems...)
	}
	return m, nil
}

// Authenticate compares token with every known one, in a time that does not depend on
// which it is. The error is ErrUnauthorized.
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

// Account returns the account with this id. Its Context is shared and only to be read.
// The error is ErrNotFound.
func (m *Memory) Account(_ context.Context, environment, id string) (Account, error) {
	a, ok := m.accounts[strings.ToLower(id)]
	if !ok || a.Environment != environment {
		return Account{}, ErrNotFound
	}
	return a, nil
}

// Ready returns nil: memory is always there.
func (*Memory) Ready(context.Context) error { return nil }

// Format writes how much m holds: fmt looks past the masks of what is in unexported fields.
func (m *Memory) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d tokens, %d accounts", len(m.tokens), len(m.accounts))
}

// LogValue gives what Format writes.
func (m *Memory) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(m)) }

func orDefault(environment string) string {
	if environment == "" {
		return DefaultEnvironment
	}
	return environment
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func isUUID(s string) bool { return uuid.MatchString(s) }
