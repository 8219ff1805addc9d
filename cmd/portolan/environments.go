package main

import (
	"context"
	"net/http"

	"portolan/accounts"
)

const environmentsPath = "/environment"

type environmentsCommand struct {
	adminFlags

	List   listEnvironmentsCommand  `cmd:"" help:"List environments."`
	Get    getEnvironmentCommand    `cmd:"" help:"Show an environment."`
	Create createEnvironmentCommand `cmd:"" help:"Create an environment."`
	Update updateEnvironmentCommand `cmd:"" help:"Change an environment."`
	Delete deleteEnvironmentCommand `cmd:"" help:"Delete an environment without accounts and tokens."`
}

func (c *environmentsCommand) administer(ctx context.Context, p *process, do func(*adminClient) error) error {
	return c.adminFlags.administer(ctx, p, accounts.DefaultEnvironment, offline{}, do)
}

type listEnvironmentsCommand struct{ pageFlags }

// Run lists environments.
func (c *listEnvironmentsCommand) Run(ctx context.Context, p *process, all *environmentsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.list(ctx, environmentsPath, c.query(), column{"NAME", "slug"}, column{"UPDATED", "updated_at"}, column{"LABEL", "label"})
	})
}

type getEnvironmentCommand struct {
	Name string `arg:"" help:"Name of the environment."`
}

// Run shows an environment.
func (c *getEnvironmentCommand) Run(ctx context.Context, p *process, all *environmentsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodGet, pathOf(environmentsPath, c.Name), nil)
	})
}

type createEnvironmentCommand struct {
	overrideFlags

	Name  string `arg:"" help:"Name of the environment: lower-case letters, digits and -. It cannot be changed."`
	Label string `help:"Display name."`
}

// Run creates an environment.
func (c *createEnvironmentCommand) Run(ctx context.Context, p *process, all *environmentsCommand) error {
	body := map[string]any{"name": c.Name}
	if c.Label != "" {
		body["label"] = c.Label
	}
	overrides, err := c.apply(nil)
	if err != nil {
		return err
	}
	if len(overrides) > 0 {
		body["overrides"] = overrides
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodPost, environmentsPath, body)
	})
}

type updateEnvironmentCommand struct {
	overrideFlags

	Name    string  `arg:"" help:"Name of the environment."`
	Version int64   `placeholder:"N" help:"Fail if the environment has another version."`
	Label   *string `help:"Display name."`
}

// Run changes an environment.
func (c *updateEnvironmentCommand) Run(ctx context.Context, p *process, all *environmentsCommand) error {
	body := map[string]any{}
	if c.Version != 0 {
		body["version"] = c.Version
	}
	if c.Label != nil {
		body["label"] = *c.Label
	}
	if len(c.Override) == 0 && !hasChange(body) {
		return usagef("nothing to change: set --label or --override")
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		path := pathOf(environmentsPath, c.Name)
		if err := a.override(ctx, path, c.overrideFlags, body); err != nil {
			return err
		}
		return a.show(ctx, http.MethodPatch, path, body)
	})
}

type deleteEnvironmentCommand struct {
	Name    string `arg:"" help:"Name of the environment."`
	Version int64  `placeholder:"N" help:"Fail if the environment has another version."`
}

// Run deletes an environment.
func (c *deleteEnvironmentCommand) Run(ctx context.Context, p *process, all *environmentsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodDelete, withQuery(pathOf(environmentsPath, c.Name), versionQuery(c.Version)), nil)
	})
}
