package server

import (
	"context"
	"net/http"
	"strconv"

	"portolan/accounts"
	"portolan/gateway"
)

// overAll reports whether the caller looks after all environments.
func (a *adminCall) overAll() bool { return a.token.Environment == accounts.DefaultEnvironment }

// sees reports whether the caller may know of the environment.
func (a *adminCall) sees(name string) bool { return a.overAll() || a.token.Environment == name }

func noEnvironment(name string) *gateway.Problem {
	return &gateway.Problem{Status: http.StatusNotFound, Message: "there is no environment " + strconv.Quote(name)}
}

func listEnvironments(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if p := a.refusal(); p != nil {
		return nil, p
	}
	show := func(e accounts.Environment) any { return e.Public() }
	if !a.overAll() { // a list of one
		own, err := a.server.store.Environment(ctx, a.token.Environment)
		switch {
		case err != nil:
			return nil, a.environmentProblem(err)
		case a.query.Cursor != "":
			return nil, a.environmentProblem(accounts.ErrCursor)
		}
		return listOf(accounts.Page[accounts.Environment]{Items: []accounts.Environment{own}}, show), nil
	}
	page, err := a.server.store.Environments(ctx, a.query.PageQuery)
	if err != nil {
		return nil, a.environmentProblem(err)
	}
	return listOf(page, show), nil
}

func getEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.sees(a.id) {
		return nil, noEnvironment(a.id)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	found, err := a.server.store.Environment(ctx, a.id)
	if err != nil {
		return nil, a.environmentProblem(err)
	}
	return found.Public(), nil
}

func createEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.overAll() {
		return nil, forbidden("this needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	overrides, warnings, p := a.environmentOverrides(ctx, a.token.Environment) // the new one is not there yet
	if p != nil {
		return nil, p
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	made, err := a.server.store.CreateEnvironment(ctx, a.actor(), accounts.Environment{
		Name: a.text("name"), Label: a.text("label"), Overrides: orNone(overrides),
	})
	if err != nil {
		return nil, a.storeProblem(err, "such environment", "there is an environment "+strconv.Quote(a.text("name"))+" already")
	}
	return answerOf(made, warnings), nil
}

func updateEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	if !a.sees(a.id) {
		return nil, noEnvironment(a.id)
	}
	a.mustChange()
	if a.body["overrides"] != nil { // saves wait for each other only in environments that exist
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
		Version: a.whole("version", 0), Label: a.textChange("label"), Overrides: overrides,
	})
	if err != nil {
		return nil, a.environmentProblem(err)
	}
	return answerOf(made, warnings), nil
}

func deleteEnvironment(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	switch {
	case !a.sees(a.id):
		return nil, noEnvironment(a.id)
	case !a.overAll():
		return nil, forbidden("this needs an administrator of the environment " + accounts.DefaultEnvironment)
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	if err := a.server.store.DeleteEnvironment(ctx, a.actor(), a.id, a.query.version); err != nil {
		return nil, a.storeProblem(err, "environment "+strconv.Quote(a.id), a.whyKept(ctx))
	}
	return map[string]any{"name": a.id}, nil
}

// whyKept tells why the environment cannot be deleted.
func (a *adminCall) whyKept(ctx context.Context) string {
	if a.id == accounts.DefaultEnvironment {
		return "the environment " + a.id + " is always there"
	}
	if now, err := a.server.store.Environment(ctx, a.id); err == nil && a.query.version != 0 && now.Version != a.query.version {
		return changedMeanwhile
	}
	return "the environment holds accounts or tokens: delete them first"
}

func (a *adminCall) environmentProblem(err error) *gateway.Problem {
	return a.storeProblem(err, "environment "+strconv.Quote(a.id), changedMeanwhile)
}

// changedMeanwhile is for a version that is no longer that of what is to be changed.
const changedMeanwhile = "it has another version by now: read it again"

// mustChange refuses a body that names nothing to change.
func (a *adminCall) mustChange() {
	for name := range a.body {
		if name != "version" {
			return
		}
	}
	a.failf("", gateway.CodeEmpty, "the body names nothing to change")
}

// answerOf is what the administrator sees of what was stored, with what is odd about it.
func answerOf(stored interface{ Public() map[string]any }, warnings []gateway.Failure) map[string]any {
	out := stored.Public()
	if len(warnings) > 0 {
		out["warnings"] = warnings
	}
	return out
}

// listAudit tells of one environment: the caller's own, or another one that it looks after.
func listAudit(ctx context.Context, a *adminCall) (any, *gateway.Problem) {
	environment := a.token.Environment
	if other := a.query.environment; other != "" {
		if !a.sees(other) {
			return nil, noEnvironment(other)
		}
		environment = other
	}
	if p := a.refusal(); p != nil {
		return nil, p
	}
	page, err := a.server.store.Audit(ctx, accounts.AuditQuery{PageQuery: a.query.PageQuery, Environment: environment, Subject: a.query.subject})
	if err != nil {
		return nil, a.storeProblem(err, "audit", "")
	}
	return listOf(page, func(e accounts.AuditEntry) any { return e }), nil
}
