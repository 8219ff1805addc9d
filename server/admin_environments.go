package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"portolan/accounts"
	"portolan/gateway"
)

// managesAll reports whether the caller administers all environments.
func (a *adminCall) managesAll() bool { return a.token.Environment == accounts.DefaultEnvironment }

// environment returns the environment of a name or id, if the caller administers it.
func (a *adminCall) environment(ctx context.Context, name string) (accounts.Environment, *gateway.Problem) {
	found, err := a.server.store.Environment(ctx, name)
	switch {
	case errors.Is(err, accounts.ErrNotFound), err == nil && !a.managesAll() && found.Name != a.token.Environment:
		return accounts.Environment{}, noEnvironment(name)
	case err != nil:
		return accounts.Environment{}, a.storeProblem(err, "", "")
	}
	return found, nil
}

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
		return listOf(a, accounts.Page[accounts.Environment]{Items: []accounts.Environment{own}}, accounts.Environment.Public), nil
	}
	page, err := a.server.store.Environments(ctx, a.query.PageQuery)
	return listOf(a, page, accounts.Environment.Public), a.environmentProblem(err)
}

func getEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, p := a.environment(ctx, a.id)
	return found.Public(), p
}

func createEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.managesAll() {
		return nil, forbidden("this route needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	a.checkAppearance()
	if accounts.IsUUID(a.text("name")) {
		a.failf("/name", gateway.CodeFormat, "name must not be a UUID: ids of environments are")
	}
	overrides, warnings, p := a.environmentOverrides(ctx, a.token.Environment) // the new one is not there yet
	if p != nil {
		return nil, p
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	environment := accounts.Environment{
		Name: a.text("name"), Label: a.text("label"), Logo: a.text("logo"), AllowedOrigins: a.texts("allowed_origins"),
	}
	if overrides != nil {
		environment.Overrides = *overrides
	}
	made, err := a.server.store.CreateEnvironment(ctx, a.actor(), environment)
	return withWarnings(made.Public(), warnings), a.storeProblem(err, "such environment", "the environment "+strconv.Quote(a.text("name"))+" already exists")
}

func updateEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, p := a.environment(ctx, a.id)
	if p != nil {
		return nil, p
	}
	a.requireChange()
	a.checkAppearance()
	overrides, warnings, p := a.environmentOverrides(ctx, found.Name)
	if p != nil {
		return nil, p
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	change := accounts.EnvironmentChange{
		Version: a.integer("version", 0), DisplayName: a.textChange("name"), Label: a.textChange("label"), Logo: a.textChange("logo"), Overrides: overrides,
	}
	if _, given := a.body["allowed_origins"]; given {
		origins := a.texts("allowed_origins")
		change.AllowedOrigins = &origins
	}
	made, err := a.server.store.UpdateEnvironment(ctx, a.actor(), found.Name, change)
	return withWarnings(made.Public(), warnings), a.environmentProblem(err)
}

func deleteEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	found, p := a.environment(ctx, a.id)
	switch {
	case p != nil:
		return nil, p
	case !a.managesAll():
		return nil, forbidden("this route needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	if err := a.server.store.DeleteEnvironment(ctx, a.actor(), found.Name, a.query.version); err != nil {
		return nil, a.storeProblem(err, "environment "+strconv.Quote(a.id), a.deleteConflict(found))
	}
	return map[string]any{"id": found.ID, "name": found.Name}, nil
}

// deleteConflict returns the reason why the environment, as it was just before, cannot be deleted.
func (a *adminCall) deleteConflict(found accounts.Environment) string {
	if found.Name == accounts.DefaultEnvironment {
		return "the environment " + found.Name + " cannot be deleted"
	}
	if a.query.version != 0 && found.Version != a.query.version {
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

// withWarnings returns the answer with warnings about what was stored.
func withWarnings(out map[string]any, warnings []gateway.Failure) map[string]any {
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
		environment = other // administrators of all see those of deleted environments too
		if !a.managesAll() {
			found, p := a.environment(ctx, other)
			if p != nil {
				return nil, p
			}
			environment = found.Name
		}
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	page, err := a.server.store.Audit(ctx, accounts.AuditQuery{PageQuery: a.query.PageQuery, Environment: environment, Subject: a.query.subject})
	return listOf(a, page, func(e accounts.AuditEntry) any { return e }), a.storeProblem(err, "audit", "")
}
