package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Store is a Directory that can be changed. Each change is one transaction with its audit
// entry: either both are there or neither. Every method may return ErrUnavailable; those
// about one thing ErrNotFound. Times are UTC, to the microsecond.
type Store interface {
	Directory

	// Accounts lists without Context, oldest first.
	Accounts(ctx context.Context, environment string, q AccountQuery) (Page[Account], error)
	// AccountInfo is Account without Context and Grant secrets, for reading by people.
	AccountInfo(ctx context.Context, environment, id string) (Account, error)
	// CreateAccount makes a from ID (one is made where it is ""), Integration, Environment,
	// Label, TenantID, Context, Grant and Overrides. ErrConflict: the id exists; ErrNotFound:
	// there is no such environment, or n.Link is used up.
	CreateAccount(ctx context.Context, by Actor, n NewAccount) (Account, error)
	// UpdateAccount changes what c names. ErrConflict: c.Version is not the account's.
	UpdateAccount(ctx context.Context, by Actor, environment, id string, c AccountChange) (Account, error)
	// DeleteAccount takes the account, its secrets and its tokens away.
	DeleteAccount(ctx context.Context, by Actor, environment, id string, version int64) error
	// SetGrant replaces an account's grant, makes it active unless it is disabled, and leaves
	// Version alone: no administrator's work. It is not audited.
	SetGrant(ctx context.Context, id string, g Grant) error
	// NeedsReauth sets StatusNeedsReauth and why, and audits it, unless the account's access
	// token is another than refused by now or the account is not active.
	NeedsReauth(ctx context.Context, by Actor, id string, refused Secret, lastError string) error

	// Tokens lists those of an environment that have not expired, oldest first.
	Tokens(ctx context.Context, environment string, p PageQuery) (Page[Token], error)
	Token(ctx context.Context, environment, id string) (Token, error)
	// CreateToken stores t; ErrNotFound: there is no such environment or account in it.
	CreateToken(ctx context.Context, by Actor, t StoredToken) (Token, error)
	// RevokeToken ends a token at once.
	RevokeToken(ctx context.Context, by Actor, environment, id string) error
	// TouchTokens notes when tokens were last used, by id. It is not audited.
	TouchTokens(ctx context.Context, used map[string]time.Time) error

	Environments(ctx context.Context, p PageQuery) (Page[Environment], error)
	Environment(ctx context.Context, name string) (Environment, error)
	CreateEnvironment(ctx context.Context, by Actor, e Environment) (Environment, error)
	UpdateEnvironment(ctx context.Context, by Actor, name string, c EnvironmentChange) (Environment, error)
	// DeleteEnvironment: ErrConflict where it holds accounts or tokens, or is the default one.
	DeleteEnvironment(ctx context.Context, by Actor, name string, version int64) error

	// CreateLink stores an invitation under the hash of its secret. ErrNotFound: no such
	// environment or account.
	CreateLink(ctx context.Context, by Actor, hash Hash, l Link) error
	// Link finds an invitation by its secret's hash; ErrNotFound where it is used or expired.
	Link(ctx context.Context, hash Hash) (Link, error)
	// BeginConsent notes what the callback must prove, under the hash of the state. A link
	// has one consent at a time: a second takes the place of the first.
	BeginConsent(ctx context.Context, linkID string, state Hash, l Link) error
	// TakeConsent gives the link of a state and forgets the state, so that it works once.
	TakeConsent(ctx context.Context, state Hash) (Link, error)

	// Audit lists, newest first.
	Audit(ctx context.Context, q AuditQuery) (Page[AuditEntry], error)

	// Exclusive runs do while no other process and no other caller runs one of the same
	// name. It waits for its turn until ctx ends.
	Exclusive(ctx context.Context, name string, do func(context.Context) error) error

	// Changes are those after the given number, which is where the last answer ended; a
	// number too long ago gives one change of everything.
	Changes(ctx context.Context, after int64) (changes []Change, latest int64, err error)

	// Notify has fn called after each change that this process commits, before the method
	// that made it returns. It must be called before the store is used.
	Notify(fn func([]Change))

	// Close ends the store; calls in flight may fail with ErrUnavailable.
	Close() error
}

// NewAccount is an Account to be made; Link, where set, is the id of the invitation that
// it uses up.
type NewAccount struct {
	Account
	Link string
}

// AccountChange says what to change; nil leaves alone.
type AccountChange struct {
	Version   int64 // the version that was read; 0 for any
	Label     *string
	TenantID  *string
	Status    *Status // StatusActive also clears LastError
	Context   Context // merged by field; nil takes a field away
	Overrides *Overrides
	Grant     *Grant
	Link      string // the id of the invitation that this uses up
}

// EnvironmentChange says what to change; nil leaves alone.
type EnvironmentChange struct {
	Version   int64 // the version that was read; 0 for any
	Label     *string
	Overrides *Overrides
}

// PageQuery asks for a page of a list.
type PageQuery struct {
	Cursor string // of the page before; "" for the first
	Limit  int    // 0 is DefaultPage
}

// DefaultPage and MaxPage bound how much a list gives at once.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// AccountQuery asks for accounts; "" filters by nothing.
type AccountQuery struct {
	PageQuery
	Integration string
	TenantID    string
	Status      Status
}

// AuditQuery asks for audit entries; "" filters by nothing.
type AuditQuery struct {
	PageQuery
	Environment string
	Subject     string
}

// Page is a part of a list; Next is the cursor of the following one, "" at the end.
type Page[T any] struct {
	Items []T
	Next  string
}

// ErrCursor is the error of a list for a cursor that it never gave.
var ErrCursor = errors.New("the cursor is none that this list gave")

// ChangeKind says of what a Change tells.
type ChangeKind string

// The kinds.
const (
	ChangeAccount     ChangeKind = "account"
	ChangeToken       ChangeKind = "token"
	ChangeEnvironment ChangeKind = "environment"
	ChangeAll         ChangeKind = "all"
)

// Change tells a Cache what is no longer as it was. ID is the account's, the token's, or
// the environment's name.
type Change struct {
	Kind ChangeKind
	ID   string
}

// Public is what may be shown of a, as the admin API and the audit do.
func (a Account) Public() map[string]any {
	out := map[string]any{
		"id": a.ID, "integration": a.Integration, "environment": a.Environment, "label": a.Label,
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

// Public is what may be shown of t.
func (t Token) Public() map[string]any {
	out := map[string]any{
		"id": t.ID, "name": t.Name, "environment": t.Environment, "role": t.Role, "prefix": t.Prefix,
		"integrated_account_id": nil, "expires_at": orNull(t.ExpiresAt), "last_used_at": orNull(t.LastUsedAt), "created_at": t.CreatedAt,
	}
	if t.AccountID != "" {
		out["integrated_account_id"] = t.AccountID
	}
	return out
}

// Public is what may be shown of e.
func (e Environment) Public() map[string]any {
	out := map[string]any{
		"name": e.Name, "label": e.Label, "overrides": e.Overrides, "version": e.Version,
		"created_at": e.CreatedAt, "updated_at": e.UpdatedAt,
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

// PublicJSON is v.Public() as JSON, for the audit; null for nil.
func PublicJSON(v interface{ Public() map[string]any }) json.RawMessage {
	if v == nil {
		return json.RawMessage("null")
	}
	out, _ := json.Marshal(v.Public()) // plain values: cannot fail
	return out
}
