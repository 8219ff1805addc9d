package server

import (
	"context"
	"net/http"
	"strconv"

	"portolan/accounts"
	"portolan/gateway"
)

// managesAll reports whether the caller administers all environments.
func (a *adminCall) managesAll() bool { return a.token.Environment == accounts.DefaultEnvironment }

// canSee reports whether the caller administers the environment.
func (a *adminCall) canSee(name string) bool { return a.managesAll() || a.token.Environment == name }

func noEnvironment(name string) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "there is no environment " + strconv.Quote(name)}
}

func listEnvironments(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.managesAll() { // its own is the only entry
		own, err := a.server.store.Environment(ctx, a.token.Environment)
		switch {
		case err != nil:
			return nil, a.environmentProblem(err)
		case a.query.Cursor != "":
			return nil, a.environmentProblem(accounts.ErrCursor)
		}
		return listOf(accounts.Page[accounts.Environment]{Items: []accounts.Environment{own}}, accounts.Environment.Public), nil
	}
	page, err := a.server.store.Environments(ctx, a.query.PageQuery)
	return listOf(page, accounts.Environment.Public), a.environmentProblem(err)
}

func getEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.canSee(a.id) {
		return nil, noEnvironment(a.id)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	found, err := a.server.store.Environment(ctx, a.id)
	return found.Public(), a.environmentProblem(err)
}

func createEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.managesAll() {
		return nil, forbidden("this route needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	overrides, warnings, p := a.environmentOverrides(ctx, a.token.Environment) // the new one is not there yet
	if p != nil {
		return nil, p
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	environment := accounts.Environment{Name: a.text("name"), Label: a.text("label")}
	if overrides != nil {
		environment.Overrides = *overrides
	}
	made, err := a.server.store.CreateEnvironment(ctx, a.actor(), environment)
	return withWarnings(made, warnings), a.storeProblem(err, "such environment", "the environment "+strconv.Quote(a.text("name"))+" already exists")
}

func updateEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.canSee(a.id) {
		return nil, noEnvironment(a.id)
	}
	a.requireChange()
	if a.body["overrides"] != nil { // saves are queued in environments that exist only
		if _, err := a.server.store.Environment(ctx, a.id); err != nil {
			return nil, a.environmentProblem(err)
		}
	}
	overrides, warnings, p := a.environmentOverrides(ctx, a.id)
	if p != nil {
		return nil, p
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	made, err := a.server.store.UpdateEnvironment(ctx, a.actor(), a.id, accounts.EnvironmentChange{
		Version: a.integer("version", 0), Label: a.textChange("label"), Overrides: overrides,
	})
	return withWarnings(made, warnings), a.environmentProblem(err)
}

func deleteEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	switch {
	case !a.canSee(a.id):
		return nil, noEnvironment(a.id)
	case !a.managesAll():
		return nil, forbidden("this route needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	if err := a.server.store.DeleteEnvironment(ctx, a.actor(), a.id, a.query.version); err != nil {
		return nil, a.storeProblem(err, "environment "+strconv.Quote(a.id), a.deleteConflict(ctx))
	}
	return map[string]any{"name": a.id}, nil
}

// deleteConflict returns the reason why the environment cannot be deleted.
func (a *adminCall) deleteConflict(ctx context.Context) string {
	if a.id == accounts.DefaultEnvironment {
		return "the environment " + a.id + " cannot be deleted"
	}
	if now, err := a.server.store.Environment(ctx, a.id); err == nil && a.query.version != 0 && now.Version != a.query.version {
		return versionChanged
	}
	return "the environment has accounts or tokens: delete them first"
}

func (a *adminCall) environmentProblem(err error) *gateway.Problem {
	return a.storeProblem(err, "environment "+strconv.Quote(a.id), versionChanged)
}

// versionChanged is the message for a change whose version is out of date.
const versionChanged = "it was changed in the meantime and has another version: read it again"

// requireChange refuses a body that has nothing to change.
func (a *adminCall) requireChange() {
	for name := range a.body {
		if name != "version" {
			return
		}
	}
	a.failf("", gateway.CodeEmpty, "the body has nothing to change")
}

// withWarnings returns the answer for stored, with the warnings about its overrides.
func withWarnings(stored interface{ Public() map[string]any }, warnings []gateway.Failure) map[string]any {
	out := stored.Public()
	if len(warnings) > 0 {
		out["warnings"] = warnings
	}
	return out
}

// listAudit lists the audit log of one environment: the caller's own, or another one that the
// caller administers.
func listAudit(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	environment := a.token.Environment
	if other := a.query.environment; other != "" {
		if !a.canSee(other) {
			return nil, noEnvironment(other)
		}
		environment = other
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	page, err := a.server.store.Audit(ctx, accounts.AuditQuery{PageQuery: a.query.PageQuery, Environment: environment, Subject: a.query.subject})
	return listOf(page, func(e accounts.AuditEntry) any { return e }), a.storeProblem(err, "audit", "")
}
