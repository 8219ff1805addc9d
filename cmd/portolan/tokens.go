package main

import (
	"context"
	"net/http"
	"time"
)

const tokensPath = "/api-token"

type tokensCommand struct {
	adminFlags
	environmentFlag

	List   listTokensCommand  `cmd:"" help:"List tokens, without their secrets."`
	Create createTokenCommand `cmd:"" help:"Create a token and print it; it cannot be shown again."`
	Revoke revokeTokenCommand `cmd:"" help:"Revoke a token; every server follows within a second."`
}

func (c *tokensCommand) administer(ctx context.Context, p *process, do func(*adminClient) error) error {
	return c.adminFlags.administer(ctx, p, c.Environment, offline{}, do)
}

type listTokensCommand struct{ pageFlags }

// Run lists tokens.
func (c *listTokensCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.list(ctx, tokensPath, c.query(), column{"ID", "id"}, column{"NAME", "name"}, column{"ROLE", "role"}, column{"PREFIX", "prefix"},
			column{"ACCOUNT", "integrated_account_id"}, column{"EXPIRES", "expires_at"}, column{"LAST USED", "last_used_at"})
	})
}

type createTokenCommand struct {
	Name      string        `required:"" help:"What the token is for."`
	Role      string        `default:"call" enum:"call,admin" help:"call for the unified API; admin to manage the environment as well. A token is immutable: create a new one to change its role."`
	ExpiresIn time.Duration `help:"Lifetime of the token; unlimited by default."`
}

// Run creates a token and prints it alone on stdout.
func (c *createTokenCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	body := map[string]any{"name": c.Name, "role": c.Role}
	if c.ExpiresIn != 0 {
		lifetime, err := seconds("--expires-in", c.ExpiresIn)
		if err != nil {
			return err
		}
		body["expires_in"] = lifetime
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		answer, err := a.call(ctx, http.MethodPost, tokensPath, body)
		if err != nil {
			return err
		}
		return a.created(answer, "token")
	})
}

type revokeTokenCommand struct {
	ID string `arg:"" help:"Id of the token, as shown by tokens list."`
}

// Run revokes a token.
func (c *revokeTokenCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodDelete, pathOf(tokensPath, c.ID), nil)
	})
}
