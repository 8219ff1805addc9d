package main

import (
	"context"

	"portolan/accounts"
)

type auditCommand struct {
	adminFlags
	environmentFlag
	pageFlags

	Subject string `placeholder:"ID" help:"List only changes of this account, token or environment, by id or name."`
}

// Run lists changes, newest first.
func (c *auditCommand) Run(ctx context.Context, p *process) error {
	// the administrators of the default environment read the audit of each, even of a deleted one
	return c.administer(ctx, p, accounts.DefaultEnvironment, offline{}, func(a *adminClient) error {
		q := c.query()
		q.Set("environment", c.Environment)
		set(q, "subject", c.Subject)
		return a.list(ctx, "/audit", q, column{"AT", "at"}, column{"ACTOR", "actor"}, column{"ACTION", "action"}, column{"SUBJECT", "subject"})
	})
}
