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

	List   listTokensCommand  `cmd:"" help:"List tokens. Their secrets are not kept."`
	Create createTokenCommand `cmd:"" help:"Print a new token, once."`
	Revoke revokeTokenCommand `cmd:"" help:"End a token at once, on every server."`
}

func (c *tokensCommand) administer(ctx context.Context, p *process, do func(*administration) error) error {
	return c.adminFlags.administer(ctx, p, c.Environment, offline{}, do)
}

type listTokensCommand struct{ pageFlags }

// Run lists tokens.
func (c *listTokensCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	return all.administer(ctx, p, func(a *administration) error {
		return a.list(ctx, tokensPath, c.query(), column{"ID", "id"}, column{"NAME", "name"}, column{"ROLE", "role"}, column{"PREFIX", "prefix"},
			column{"ACCOUNT", "integrated_account_id"}, column{"EXPIRES", "expires_at"}, column{"LAST USED", "last_used_at"})
	})
}

type createTokenCommand struct {
	Name      string        `required:"" help:"What it is for."`
	Role      string        `default:"call" enum:"call,admin" help:"call: the unified API. admin: that, and to manage its environment."`
	ExpiresIn time.Duration `help:"How long it lives; without end by default."`
}

// Run makes a token and prints it, alone on stdout.
func (c *createTokenCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	body := map[string]any{"name": c.Name, "role": c.Role}
	if c.ExpiresIn != 0 {
		lives, err := seconds("--expires-in", c.ExpiresIn)
		if err != nil {
			return err
		}
		body["expires_in"] = lives
	}
	return all.administer(ctx, p, func(a *administration) error {
		answer, err := a.call(ctx, http.MethodPost, tokensPath, body)
		if err != nil {
			return err
		}
		return a.created(answer, "token")
	})
}

type revokeTokenCommand struct {
	ID string `arg:"" help:"The token's id, as tokens list shows it."`
}

// Run ends a token.
func (c *revokeTokenCommand) Run(ctx context.Context, p *process, all *tokensCommand) error {
	return all.administer(ctx, p, func(a *administration) error {
		return a.show(ctx, http.MethodDelete, pathOf(tokensPath, c.ID), nil)
	})
}
