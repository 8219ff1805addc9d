package main

import "context"

type auditCommand struct {
	adminFlags
	environmentFlag
	pageFlags

	Subject string `placeholder:"ID" help:"List only changes of this account, token or environment, by id or name."`
}

// Run lists changes, newest first.
func (c *auditCommand) Run(ctx context.Context, p *process) error {
	return c.administer(ctx, p, c.Environment, offline{}, func(a *adminClient) error {
		q := c.query()
		set(q, "subject", c.Subject)
		return a.list(ctx, "/audit", q, column{"AT", "at"}, column{"ACTOR", "actor"}, column{"ACTION", "action"}, column{"SUBJECT", "subject"})
	})
}
