package accounts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Store is a Directory that can be changed. Each change and its audit entry are one
// transaction. Every method may return ErrUnavailable; a method about one entry may return
// ErrNotFound. Times are UTC, to the microsecond.
type Store interface {
	Directory

	// Accounts lists accounts as AccountInfo returns them, oldest first.
	Accounts(ctx context.Context, environment string, q AccountQuery) (Page[Account], error)
	// AccountInfo returns the account without its Grant's tokens. Its Context is nil if a value
	// of it cannot be decrypted.
	AccountInfo(ctx context.Context, environment, id string) (Account, error)
	// CreateAccount creates an account from ID ("" generates one), Integration, Environment,
	// Label, TenantID, Context, Grant and Overrides. ErrConflict: the environment has the id. ErrNotFound:
	// the environment does not exist, or n.Link is used up.
	CreateAccount(ctx context.Context, by Actor, n NewAccount) (Account, error)
	// UpdateAccount applies c. ErrConflict: c.Version is not the account's.
	UpdateAccount(ctx context.Context, by Actor, environment, id string, c AccountChange) (Account, error)
	// DeleteAccount deletes the account, its secrets and its tokens.
	DeleteAccount(ctx context.Context, by Actor, environment, id string, version int64) error
	// SetGrant replaces an account's grant and makes the account active unless it is
	// disabled. It is not audited and does not change Version.
	SetGrant(ctx context.Context, environment, id string, g Grant) error
	// NeedsReauth sets StatusNeedsReauth and lastError if the account is active and refused
	// is still its access token.
	NeedsReauth(ctx context.Context, by Actor, environment, id string, refused Secret, lastError string) error

	// Tokens lists the tokens that have not expired, oldest first.
	Tokens(ctx context.Context, environment string, p PageQuery) (Page[Token], error)
	Token(ctx context.Context, environment, id string) (Token, error)
	// CreateToken stores t. ErrNotFound: its environment or account does not exist.
	CreateToken(ctx context.Context, by Actor, t StoredToken) (Token, error)
	// RevokeToken deletes a token.
	RevokeToken(ctx context.Context, by Actor, environment, id string) error
	// TouchTokens stores the times of last use, by token id. It is not audited.
	TouchTokens(ctx context.Context, used map[string]time.Time) error

	Environments(ctx context.Context, p PageQuery) (Page[Environment], error)
	// Environment returns an environment by its name or id.
	Environment(ctx context.Context, name string) (Environment, error)
	CreateEnvironment(ctx context.Context, by Actor, e Environment) (Environment, error)
	UpdateEnvironment(ctx context.Context, by Actor, name string, c EnvironmentChange) (Environment, error)
	// DeleteEnvironment: ErrConflict if it holds accounts or tokens, or is the default one.
	DeleteEnvironment(ctx context.Context, by Actor, name string, version int64) error

	// CreateLink stores a link under the hash of its secret. ErrNotFound: its environment or
	// account does not exist.
	CreateLink(ctx context.Context, by Actor, hash Hash, l Link) error
	// Link returns a link by its secret's hash. ErrNotFound: it is used or expired.
	Link(ctx context.Context, hash Hash) (Link, error)
	// BeginConsent stores l's Verifier, Context and Browser under the hash of the state. A
	// second consent of the same link replaces the first.
	BeginConsent(ctx context.Context, linkID string, state Hash, l Link) error
	// TakeConsent returns the link of a state and deletes the state: it works once.
	TakeConsent(ctx context.Context, state Hash) (Link, error)

	// Audit lists the entries, newest first.
	Audit(ctx context.Context, q AuditQuery) (Page[AuditEntry], error)

	// Exclusive runs do while holding the lock of this name, over all processes. It waits
	// for the lock until ctx ends.
	Exclusive(ctx context.Context, name string, do func(context.Context) error) error

	// Changes returns the changes after the given number and the latest number. If the
	// number is too old, it returns one ChangeAll.
	Changes(ctx context.Context, after int64) (changes []Change, latest int64, err error)

	// Notify registers fn to be called with each change that this process commits, before
	// the method that made it returns. It must be called before the store is used.
	Notify(fn func([]Change))

	// Close closes the store. Calls in flight may fail with ErrUnavailable.
	Close() error
}

// NewAccount is an Account to create.
type NewAccount struct {
	Account
	Link string // id of the link that this uses up; may be ""
}

// AccountChange is a change of an account; a nil field changes nothing.
type AccountChange struct {
	Version   int64 // the version that was read; 0 for any
	Label     *string
	TenantID  *string
	Status    *Status // StatusActive also clears LastError
	Context   Context // merged by field; a nil value deletes the field
	Overrides *Overrides
	Grant     *Grant
	Link      string // id of the link that this uses up; may be ""
}

// EnvironmentChange is a change of an environment; a nil field changes nothing.
type EnvironmentChange struct {
	Version        int64 // the version that was read; 0 for any
	DisplayName    *string
	Label          *string
	Logo           *string
	AllowedOrigins *[]string
	Overrides      *Overrides
}

// PageQuery selects a page of a list.
type PageQuery struct {
	Cursor string // Next of the previous page; "" for the first
	Limit  int    // 0 is DefaultPage
}

// DefaultPage and MaxPage bound the length of a page.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// AccountQuery selects accounts; "" does not filter.
type AccountQuery struct {
	PageQuery
	Integration string
	TenantID    string
	Status      Status
}

// AuditQuery selects audit entries; "" does not filter.
type AuditQuery struct {
	PageQuery
	Environment string // its name, if it exists or was the last one of this name, or its id
	Subject     string
}

// Page is a part of a list. Next is the cursor of the following page, "" at the end.
type Page[T any] struct {
	Items []T
	Next  string
}

// ErrCursor is the error of a list for a cursor that it did not return.
var ErrCursor = errors.New("cursor is not one that this list returned")

// ChangeKind is the kind of entry that a Change names.
type ChangeKind string

// The kinds.
const (
	ChangeAccount     ChangeKind = "account"
	ChangeToken       ChangeKind = "token"
	ChangeEnvironment ChangeKind = "environment"
	ChangeAll         ChangeKind = "all"
)

// Change names an entry that was changed. ID is the account's or token's id, or the
// environment's name.
type Change struct {
	Kind ChangeKind
	ID   string
}

// Public returns a's fields without secrets, as the admin API and the audit show them.
func (a Account) Public() map[string]any {
	out := map[string]any{
		"id": a.ID, "integration": a.Integration, "environment": a.Environment, "environment_id": a.EnvironmentID, "label": a.Label,
		"tenant_id": a.TenantID, "status": a.Status, "last_error": nil, "credentials": a.Fields,
		"overrides": a.Overrides, "version": a.Version, "created_at": a.CreatedAt, "updated_at": a.UpdatedAt,
	}
	if a.LastError != "" {
		out["last_error"] = a.LastError
	}
	if a.Fields == nil {
		out["credentials"] = []Field{}
	}
	if a.Overrides == nil {
		out["overrides"] = Overrides{}
	}
	return out
}

// Public returns t's fields, as the admin API and the audit show them.
func (t Token) Public() map[string]any {
	out := map[string]any{
		"id": t.ID, "name": t.Name, "environment": t.Environment, "environment_id": t.EnvironmentID, "role": t.Role, "prefix": t.Prefix,
		"integrated_account_id": nil, "expires_at": orNull(t.ExpiresAt), "last_used_at": orNull(t.LastUsedAt), "created_at": t.CreatedAt,
		"updated_at": t.CreatedAt, "created_by": nil, // a token never changes, and only the audit knows who made it
	}
	if t.AccountID != "" {
		out["integrated_account_id"] = t.AccountID
	}
	return out
}

// Public returns e's fields, as the admin API and the audit show them.
func (e Environment) Public() map[string]any {
	out := map[string]any{
		"id": e.ID, "name": cmp.Or(e.DisplayName, e.Name), "slug": e.Name, "team_id": nil, "label": e.Label, "logo": nil,
		"allowed_origins": e.AllowedOrigins, "overrides": e.Overrides, "version": e.Version, "created_at": e.CreatedAt, "updated_at": e.UpdatedAt,
	}
	if e.Logo != "" {
		out["logo"] = e.Logo
	}
	if e.AllowedOrigins == nil {
		out["allowed_origins"] = []string{}
	}
	if e.Overrides == nil {
		out["overrides"] = Overrides{}
	}
	return out
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// PublicJSON returns v.Public() as JSON, null for nil.
func PublicJSON(v interface{ Public() map[string]any }) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	out, _ := json.Marshal(v.Public()) // plain values: cannot fail
	return out
}
