// Package accounts knows who may call and with which provider credentials: environments,
// API tokens, integrated accounts, and how their secrets are sealed.
//
// A Directory answers a call's two questions: whose token is this, and what is this
// account. Memory is one, of a file or of the pretend providers. A Store is one that can
// be changed; package database has the two real ones. A Cache stands before a Store.
package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// DefaultEnvironment is the environment of an account or token that names none. It always
// exists, and its administrators look after the others.
const DefaultEnvironment = "default"

// The errors of a Directory and Store, to be tested with errors.Is.
var (
	// ErrUnauthorized: no such token, or one that is expired or revoked.
	ErrUnauthorized = errors.New("unknown token")
	// ErrNotFound: no such thing in that environment.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the thing exists already, has another version by now, or is still in use.
	ErrConflict = errors.New("conflict")
	// ErrReadOnly: the thing comes with the server and cannot be changed.
	ErrReadOnly = errors.New("read-only")
	// ErrUnavailable: the store cannot be reached or cannot write, so nothing is known
	// about the token or account. Nothing was changed, unless the connection broke while a
	// change was being committed: then nobody knows.
	ErrUnavailable = errors.New("account store is unavailable")
)

// Directory answers for tokens and accounts. It is safe for concurrent use.
type Directory interface {
	// Authenticate returns whose token this is, or ErrUnauthorized.
	Authenticate(ctx context.Context, token string) (Token, error)
	// Account returns the account with this id, in any case of letters, with its Context, or
	// ErrNotFound, which an account of another environment is too. What it returns is only
	// to be read.
	Account(ctx context.Context, environment, id string) (Account, error)
	// Ready returns ErrUnavailable, wrapped with the reason, where the store cannot be reached.
	Ready(ctx context.Context) error
}

// Status says whether an account can be called.
type Status string

// The statuses.
const (
	StatusActive      Status = "active"
	StatusNeedsReauth Status = "needs_reauth" // the provider refused its grant: the customer must connect again
	StatusDisabled    Status = "disabled"     // by an administrator
)

// Account is an integrated account: one customer's connection to one provider.
type Account struct {
	ID          string // uuid, lower case
	Integration string // the provider's folder name
	Environment string
	Label       string
	TenantID    string // the customer's name in the caller's own system
	Status      Status // "" of a file's account is StatusActive
	LastError   string // why it needs_reauth; never with a secret
	Context     Context
	Fields      []Field   // what Context holds, by name
	Grant       *Grant    // of OAuth2; nil where there is none
	Overrides   Overrides // its own
	Inherited   Overrides // its environment's; only Directory.Account fills it
	BaseURL     string    // in place of the integration's; "" leaves that. Never of a database
	Version     int64     // grows with each change that an administrator makes
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Field tells of one stored credential or setting that it is there.
type Field struct {
	Name  string    `json:"name"`
	SetAt time.Time `json:"set_at"`
}

// Grant is what a provider's authorization server gave.
type Grant struct {
	AccessToken  Secret
	RefreshToken Secret    // "" where there is none: then it cannot be renewed
	Expiry       time.Time // zero: never
}

// AccessTokenField is the name under which expressions see a grant's access token.
const AccessTokenField = "access_token"

// Override lays own expressions over a method's mapping.
type Override struct {
	RequestBodyMapping string `json:"request_body_mapping,omitempty"`
	QueryMapping       string `json:"query_mapping,omitempty"`
	ResponseMapping    string `json:"response_mapping,omitempty"`
	Replace            bool   `json:"replace,omitempty"` // of what they name: instead of merged over
}

// Overrides are an account's by "model.resource.method", or an environment's by
// "integration/model.resource.method".
type Overrides map[string]Override

// Environment separates: a token sees the accounts of its own only.
type Environment struct {
	Name      string // [a-z0-9-]{1,64}; never changes
	Label     string
	Overrides Overrides
	Version   int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Role says what a token may do.
type Role string

// The roles.
const (
	RoleCall  Role = "call"  // the unified API
	RoleAdmin Role = "admin" // that, and to manage its environment
)

// Token is a caller's token, without the secret.
type Token struct {
	ID          string // uuid; "" of a file's
	Name        string // for logs and people
	Environment string // the environment whose accounts it sees
	Role        Role   // "" is RoleCall
	AccountID   string // the only account that it may call; "" for every one of its environment
	Prefix      string // the secret's beginning, to be recognised by
	ExpiresAt   time.Time
	LastUsedAt  time.Time // to the minute or so
	CreatedAt   time.Time
}

// StoredToken is a Token with what is kept of its secret.
type StoredToken struct {
	Token
	Hash Hash
}

// Link is an invitation to connect one account: whoever has its secret may, once, for as
// long as it lives.
type Link struct {
	ID          string // uuid
	Environment string
	Integration string
	AccountID   string // the account to connect again; "" makes a new one
	Label       string // of the new account
	TenantID    string
	RedirectURI string // where the browser goes in the end; "" for a page that says so
	ExpiresAt   time.Time
	CreatedAt   time.Time
	// Of a consent that was begun: what the callback must prove.
	Verifier Secret  // PKCE
	Context  Context // the fields that were filled in before
	Browser  Hash    // of the cookie of the browser that began
}

// Actor is who changes something, for the audit.
type Actor struct {
	Name      string // "token ops (ptl_1a2b3c4d)", "command line", "link <id>", "portolan"
	RequestID string
}

// AuditEntry is one change that was made. Before and After are JSON objects without
// secrets; null where there was or is nothing.
type AuditEntry struct {
	ID          int64           `json:"id"`
	At          time.Time       `json:"at"`
	Environment string          `json:"environment"`
	Actor       string          `json:"actor"`
	RequestID   string          `json:"request_id,omitempty"`
	Action      string          `json:"action"` // "integrated-account.create"
	Subject     string          `json:"subject"`
	Before      json.RawMessage `json:"before"`
	After       json.RawMessage `json:"after"`
}
