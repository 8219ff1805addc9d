// Package accounts knows who may call and with which provider credentials: environments,
// API tokens, integrated accounts, and how their secrets are sealed.
//
// A Directory looks up tokens and accounts. Memory is a Directory that never changes, for
// an accounts file or the sandbox. A Store is a Directory that can be changed; package
// database implements it. A Cache is a Directory in front of a Store.
package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// DefaultEnvironment is the environment of an account or token that names none. It always
// exists, and its administrators manage all environments.
const DefaultEnvironment = "default"

// The errors of a Directory and Store, to be tested with errors.Is.
var (
	// ErrUnauthorized: the token is unknown, expired or revoked.
	ErrUnauthorized = errors.New("unknown token")
	// ErrNotFound: the environment holds no such entry.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the entry exists already, has another version, or is still in use.
	ErrConflict = errors.New("conflict")
	// ErrReadOnly: the entry is built into the server and cannot be changed.
	ErrReadOnly = errors.New("read-only")
	// ErrUnavailable: the store cannot be reached or cannot write. Nothing was changed,
	// unless the connection broke during a commit: then the outcome is unknown.
	ErrUnavailable = errors.New("account store is unavailable")
	// ErrDamaged: a stored value cannot be read, although it can be opened.
	ErrDamaged = errors.New("stored value is damaged")
)

// Directory looks up tokens and accounts. It is safe for concurrent use.
type Directory interface {
	// Authenticate returns the Token with this secret, or ErrUnauthorized.
	Authenticate(ctx context.Context, token string) (Token, error)
	// Account returns the account with this id, in any case of letters, with its Context. It
	// returns ErrNotFound for an account of another environment too. The result must not be
	// modified.
	Account(ctx context.Context, environment, id string) (Account, error)
	// Ready returns ErrUnavailable, with the reason, if the store cannot be reached.
	Ready(ctx context.Context) error
}

// Status is whether an account can be called.
type Status string

// The statuses.
const (
	StatusActive      Status = "active"
	StatusNeedsReauth Status = "needs_reauth" // the provider refused its grant: the customer must connect again
	StatusDisabled    Status = "disabled"     // by an administrator
)

// Account is an integrated account: one customer's connection to one provider.
type Account struct {
	ID            string // uuid, lower case; unique in its environment
	Integration   string // the provider's folder name
	Environment   string
	EnvironmentID string // set by a Store
	Label         string
	TenantID      string // the customer's name in the caller's own system
	Status        Status // "" is StatusActive
	LastError     string // why it needs_reauth; never holds a secret
	Context       Context
	Fields        []Field   // of Context, by name
	Grant         *Grant    // of OAuth 2.0; nil if there is none
	Overrides     Overrides // the account's own
	Inherited     Overrides // its environment's; set by Directory.Account only
	ReadOnly      bool      // changes fail with ErrReadOnly
	BaseURL       string    // replaces the integration's; "" keeps it. A Store never sets it
	Version       int64     // incremented by each administrator's change
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// Field is the name of a stored credential or setting, without its value.
type Field struct {
	Name  string    `json:"name"`
	SetAt time.Time `json:"set_at"`
}

// Grant holds the tokens that a provider's authorization server issued.
type Grant struct {
	AccessToken  Secret
	RefreshToken Secret    // "" if there is none: the grant cannot be renewed
	Expiry       time.Time // of AccessToken; zero is never
}

// AccessTokenField is the name by which expressions read a grant's access token.
const AccessTokenField = "access_token"

// Override holds expressions that extend or replace a method's mapping.
type Override struct {
	RequestBodyMapping string `json:"request_body_mapping,omitempty"`
	QueryMapping       string `json:"query_mapping,omitempty"`
	ResponseMapping    string `json:"response_mapping,omitempty"`
	Replace            bool   `json:"replace,omitempty"` // results replace the mapping's instead of being merged over them
}

// Overrides holds an account's Override values by "model.resource.method", or an
// environment's by "integration/model.resource.method".
type Overrides map[string]Override

// Environment isolates accounts: a token sees those of its own environment only.
type Environment struct {
	ID             string   // uuid; another environment never has it, even under the same name
	Name           string   // [a-z0-9-]{1,64}, not a UUID; never changes
	DisplayName    string   // "": Name
	Label          string   // for the visitors of link pages
	Logo           string   // an image as a data URI, for link pages; "" for none
	AllowedOrigins []string // that may frame link pages and receive their result
	Overrides      Overrides
	Version        int64
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Role is what a token may do.
type Role string

// The roles.
const (
	RoleCall  Role = "call"  // call the unified API
	RoleAdmin Role = "admin" // also manage its environment
)

// Token is a caller's token, without the secret.
type Token struct {
	ID            string // uuid; "" if it comes from a file
	Name          string // for logs and people
	Environment   string // the environment whose accounts it sees
	EnvironmentID string // "" if it comes from a file
	Role          Role   // "" is RoleCall
	AccountID     string // the only account it may call; "" for all of its environment
	Prefix        string // the start of the secret, to recognise it by
	ExpiresAt     time.Time
	LastUsedAt    time.Time // to about a minute
	CreatedAt     time.Time
}

// StoredToken is a Token with the hash of its secret.
type StoredToken struct {
	Token
	Hash Hash
}

// Link is an invitation to connect one account. Whoever has its secret can use it once,
// until it expires.
type Link struct {
	ID          string // uuid
	Environment string
	Integration string // "": the customer chooses one that maps Model
	Model       string // "" is any
	AccountID   string // the account to connect again; "" creates one
	Label       string // of the created account
	TenantID    string
	RedirectURI string  // where the browser goes at the end; "" shows a closing page
	Preset      Context // values that the customer is not asked for
	KeepContext bool    // the account keeps what the customer leaves empty
	ExpiresAt   time.Time
	CreatedAt   time.Time
	// Set once a consent has begun, with Integration.
	Verifier Secret  // PKCE
	Context  Context // the fields filled in before the consent
	Browser  Hash    // of the cookie of the browser that began the consent
}

// Actor is who made a change, for the audit.
type Actor struct {
	Name      string // "token ops (ptl_1a2b3c4d)", "command line", "link <id>", "portolan"
	RequestID string
}

// AuditEntry is one change. Before and After are JSON objects without secrets; Before is
// null for a creation, After for a deletion.
type AuditEntry struct {
	ID            int64           `json:"id"`
	At            time.Time       `json:"at"`
	Environment   string          `json:"environment"`
	EnvironmentID string          `json:"environment_id"`
	Actor         string          `json:"actor"`
	RequestID     string          `json:"request_id,omitempty"`
	Action        string          `json:"action"` // "integrated-account.create"
	Subject       string          `json:"subject"`
	Before        json.RawMessage `json:"before"`
	After         json.RawMessage `json:"after"`
}
