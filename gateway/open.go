package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/source"
)

// Caller is the client that makes a call.
type Caller struct {
	Environment string
	AccountID   string // the only account that the caller may use; "" for all of the environment
	RequestID   string // for the log
}

// Target is the operation and the record of a call.
type Target struct {
	Operation engine.Operation
	AccountID string // of the integrated account
	ID        string // of the record, decoded; "" if the method has none
}

// Ready is a call whose account and mapping are known, but not its input. It is immutable and safe
// for concurrent use.
type Ready struct {
	gateway  *Gateway
	snapshot *Snapshot
	caller   Caller
	target   Target
	account  accounts.Account
	method   *method
	plan     *engine.Plan
}

// Open finds the account and its mapping for target, before the body is read. The problem is 404,
// 403, 401 or 503 for the account, 405 with Mapped for a method that its integration does not map,
// or 500 for an override that no longer fits.
func (g *Gateway) Open(ctx context.Context, caller Caller, target Target) (*Ready, *Problem) {
	snapshot := g.Snapshot()
	r := &Ready{gateway: g, snapshot: snapshot, caller: caller, target: target, method: snapshot.methods[target.Operation]}
	if r.method == nil {
		return nil, snapshot.Unknown(target.Operation)
	}
	var p *Problem
	if r.account, p = g.account(ctx, caller, target.AccountID); p != nil {
		if r.account.ID != "" { // found, but not usable: the log names it
			p.Report = r.report(nil)
		}
		return nil, p
	}
	base := snapshot.catalog.Plan(r.account.Integration, target.Operation)
	if base == nil {
		op := target.Operation
		p := &Problem{
			Status: statusMethodNotAllowed, Message: fmt.Sprintf("the integration of this account does not map %s", op),
			Mapped: snapshot.catalog.Methods(r.account.Integration, op.Model, op.Resource),
		}
		if len(p.Mapped) > 0 {
			p.Message += fmt.Sprintf(": of %s.%s it maps %s", op.Model, op.Resource, strings.Join(p.Mapped, ", "))
		}
		p.Report = r.report(nil)
		return nil, p
	}
	if r.plan, p = withOverrides(snapshot, base, r.account); p != nil { //nolint:contextcheck // a compiled plan is shared, and must not depend on one call
		p.Report = r.report(nil)
		return nil, p
	}
	return r, nil
}

// Mapping returns the plan's version.
func (r *Ready) Mapping() string { return r.plan.Version() }

// BeforeSteps returns the names of the calls before the main call, in order.
func (r *Ready) BeforeSteps() []string { return r.plan.BeforeSteps() }

func (g *Gateway) account(ctx context.Context, caller Caller, id string) (accounts.Account, *Problem) {
	account, err := g.accounts.Account(ctx, caller.Environment, id)
	if err == nil && caller.AccountID != "" && caller.AccountID != account.ID { // the caller must not learn of others
		err = accounts.ErrNotFound
	}
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return accounts.Account{}, noAccount(id)
	case err != nil:
		return accounts.Account{}, g.storeProblem(ctx, caller.RequestID, err)
	}
	return account, checkStatus(account)
}

func noAccount(id string) *Problem {
	return &Problem{Status: statusNotFound, Message: "there is no integrated account " + id}
}

// checkStatus refuses an account that cannot be called.
func checkStatus(account accounts.Account) *Problem {
	switch account.Status {
	case accounts.StatusDisabled:
		return &Problem{Status: statusForbidden, Message: "the integrated account is disabled"}
	case accounts.StatusNeedsReauth:
		return mustReconnect(account.LastError)
	default:
		return nil
	}
}

// mustReconnect is the problem of a grant that the provider has refused.
func mustReconnect(reason string) *Problem {
	message := "the integrated account must be connected again"
	if reason != "" {
		message += ": " + reason
	}
	return &Problem{Status: statusUnauthorized, Message: message, Remote: &Remote{Status: statusUnauthorized}}
}

// storeRetryAfter is the Retry-After if the store cannot be reached, in seconds.
const storeRetryAfter = "5"

// StoreProblem is 500 for a stored value that cannot be opened, and 503 for any other failure of the
// account store.
func StoreProblem(err error) *Problem {
	for _, damaged := range []error{accounts.ErrUnknownKey, accounts.ErrSeal, accounts.ErrDamaged} {
		if errors.Is(err, damaged) {
			return &Problem{Status: statusInternal, Message: "a stored value cannot be read: it is damaged, or its master key is missing"}
		}
	}
	return StoreUnavailable()
}

// StoreUnavailable is 503 for an account store that cannot be reached.
func StoreUnavailable() *Problem {
	return &Problem{Status: statusUnavailable, Message: "the account store cannot be reached", RetryAfter: storeRetryAfter}
}

// storeProblem logs an error of the store and returns its problem.
func (g *Gateway) storeProblem(ctx context.Context, requestID string, err error) *Problem {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Canceled()
	}
	g.log.LogAttrs(ctx, slog.LevelError, "account store failed", slog.String("request_id", requestID), slog.Any("error", err))
	return StoreProblem(err)
}

// The names of the layers of overrides, in diagnostics.
const (
	EnvironmentLayer = "environment overrides"
	AccountLayer     = "account overrides"
)

// withOverrides returns plan with the overrides of the account's environment and then its own. An
// override that no longer compiles, because the mapping has changed, is a problem.
func withOverrides(snapshot *Snapshot, plan *engine.Plan, account accounts.Account) (*engine.Plan, *Problem) {
	if len(account.Inherited) == 0 && len(account.Overrides) == 0 {
		return plan, nil
	}
	op := plan.Operation().String()
	over, found := snapshot.Override(account.Environment, plan,
		OverrideLayer(EnvironmentLayer, account.Inherited[account.Integration+"/"+op]),
		OverrideLayer(AccountLayer, account.Overrides[op]))
	for _, d := range found {
		if d.Severity == source.SeverityError {
			return nil, &Problem{
				Status: statusInternal, Message: fmt.Sprintf("an override no longer fits the mapping: %s: %s", d.Code, d.Message),
				Mapping: &MappingPlace{File: d.Pos.File, Line: d.Pos.Line, Col: d.Pos.Col, At: op},
			}
		}
	}
	return over, nil
}

// OverrideLayer returns a stored override as a layer for the engine.
func OverrideLayer(name string, o accounts.Override) engine.OverrideLayer {
	return engine.OverrideLayer{Name: name, Override: engine.Override{
		RequestBodyMapping: o.RequestBodyMapping, QueryMapping: o.QueryMapping, ResponseMapping: o.ResponseMapping, Replace: o.Replace,
	}}
}
