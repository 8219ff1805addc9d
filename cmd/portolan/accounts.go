package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"portolan/server"
	"portolan/upstream"
)

const accountsPath = "/integrated-account"

type accountsCommand struct {
	adminFlags
	environmentFlag

	Proxy proxyURL `placeholder:"URL" help:"Proxy for the calls of --verify."`

	List   listAccountsCommand  `cmd:"" help:"List integrated accounts."`
	Get    getAccountCommand    `cmd:"" help:"Show an account. Its secrets are shown as ***."`
	Create createAccountCommand `cmd:"" help:"Create an account."`
	Update updateAccountCommand `cmd:"" help:"Change an account."`
	Delete deleteAccountCommand `cmd:"" help:"Delete an account with its secrets and tokens."`
	Token  accountTokenCommand  `cmd:"" help:"Create a short-lived token for a single account."`
	Link   linkAccountCommand   `cmd:"" help:"Create a link to a page where a customer connects an account."`
}

// administer calls do with a client that can call providers, for --verify.
func (c *accountsCommand) administer(ctx context.Context, p *process, do func(*adminClient) error, options ...server.Option) error {
	client := upstream.New(c.Proxy.options()...)
	return c.adminFlags.administer(ctx, p, c.Environment, client, do, options...)
}

type listAccountsCommand struct {
	pageFlags

	Integration string `placeholder:"NAME" help:"List only accounts of this integration."`
	TenantID    string `name:"tenant-id" placeholder:"ID" help:"List only accounts of this tenant."`
	Status      string `placeholder:"STATUS" help:"List only accounts with this status: active, needs_reauth or disabled."`
}

// Run lists accounts.
func (c *listAccountsCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		q := c.query()
		set(q, "integration", c.Integration)
		set(q, "tenant_id", c.TenantID)
		set(q, "status", c.Status)
		return a.list(ctx, accountsPath, q, column{"ID", "id"}, column{"INTEGRATION", "integration"}, column{"STATUS", "status"},
			column{"TENANT", "tenant_id"}, column{"UPDATED", "updated_at"}, column{"LABEL", "label"})
	})
}

type getAccountCommand struct {
	ID string `arg:"" help:"Id of the account."`
}

// Run shows an account.
func (c *getAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodGet, pathOf(accountsPath, c.ID), nil)
	})
}

type createAccountCommand struct {
	fieldFlags
	overrideFlags

	Integration string `required:"" placeholder:"NAME" help:"Name of the integration."`
	ID          string `name:"id" placeholder:"UUID" help:"Id of the account; a new UUID by default."`
	Label       string `help:"Display name."`
	TenantID    string `name:"tenant-id" placeholder:"ID" help:"Id of the customer in your own system."`
	Verify      bool   `help:"Check the credentials with the provider, and store nothing if it rejects them."`
}

// Run creates an account.
func (c *createAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	body := map[string]any{"integration": c.Integration}
	fields, err := c.read(p)
	if err != nil {
		return err
	}
	overrides, err := c.apply(nil)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"id": c.ID, "label": c.Label, "tenant_id": c.TenantID} {
		if value != "" {
			body[name] = value
		}
	}
	if fields != nil {
		body["context"] = fields
	}
	if len(overrides) > 0 {
		body["overrides"] = overrides
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodPost, withQuery(accountsPath, verifyQuery(c.Verify)), body)
	})
}

func verifyQuery(verify bool) url.Values {
	if !verify {
		return nil
	}
	return url.Values{"verify": {"true"}}
}

type updateAccountCommand struct {
	fieldFlags
	overrideFlags

	ID       string   `arg:"" help:"Id of the account."`
	Version  int64    `placeholder:"N" help:"Fail if the account has another version."`
	Label    *string  `help:"Display name."`
	TenantID *string  `name:"tenant-id" placeholder:"ID" help:"Id of the customer in your own system."`
	Status   string   `placeholder:"STATUS" help:"New status: active or disabled."`
	Unset    []string `placeholder:"NAME" help:"Remove a credential or setting; repeatable."`
	Verify   bool     `help:"Check the credentials with the provider, and store nothing if it rejects them."`
}

// Run changes an account.
func (c *updateAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	body, err := c.change(p)
	if err != nil {
		return err
	}
	if len(c.Override) == 0 && !hasChange(body) {
		return usagef("nothing to change: set --label, --tenant-id, --status, --field, --fields-file, --unset or --override")
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		path := pathOf(accountsPath, c.ID)
		if err := a.override(ctx, path, c.overrideFlags, body); err != nil {
			return err
		}
		return a.show(ctx, http.MethodPatch, withQuery(path, verifyQuery(c.Verify)), body)
	})
}

// change returns the body of the request, without overrides.
func (c *updateAccountCommand) change(p *process) (map[string]any, error) {
	body := map[string]any{}
	fields, err := c.read(p)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Unset {
		if _, twice := fields[name]; twice {
			return nil, usagef("%q is both set by --field and removed by --unset", name)
		}
		if fields == nil {
			fields = map[string]any{}
		}
		fields[name] = nil
	}
	if fields != nil {
		body["context"] = fields
	}
	if c.Version != 0 {
		body["version"] = c.Version
	}
	if c.Label != nil {
		body["label"] = *c.Label
	}
	if c.TenantID != nil {
		body["tenant_id"] = *c.TenantID
	}
	if c.Status != "" {
		body["status"] = c.Status
	}
	return body, nil
}

// hasChange reports whether the body of a request has anything to change.
func hasChange(body map[string]any) bool {
	for name := range body {
		if name != "version" {
			return true
		}
	}
	return false
}

// override reads the overrides of the resource at path, changes them as the flags say, and sets them
// in body. It also sets the version that was read, so that concurrent changes are not lost.
func (a *adminClient) override(ctx context.Context, path string, flags overrideFlags, body map[string]any) error {
	if len(flags.Override) == 0 {
		return nil
	}
	answer, err := a.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	current, err := decode(answer)
	if err != nil {
		return err
	}
	overrides, _ := current["overrides"].(map[string]any)
	if body["overrides"], err = flags.apply(overrides); err != nil {
		return err
	}
	if _, given := body["version"]; !given {
		body["version"] = current["version"]
	}
	return nil
}

type deleteAccountCommand struct {
	ID      string `arg:"" help:"Id of the account."`
	Version int64  `placeholder:"N" help:"Fail if the account has another version."`
}

// Run deletes an account.
func (c *deleteAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *adminClient) error {
		return a.show(ctx, http.MethodDelete, withQuery(pathOf(accountsPath, c.ID), versionQuery(c.Version)), nil)
	})
}

type accountTokenCommand struct {
	ID        string        `arg:"" help:"Id of the account."`
	ExpiresIn time.Duration `default:"15m" help:"Lifetime of the token, at most an hour."`
}

// Run creates a token for one account.
func (c *accountTokenCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	lifetime, err := seconds("--expires-in", c.ExpiresIn)
	if err != nil {
		return err
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		answer, err := a.call(ctx, http.MethodPost, pathOf(accountsPath, c.ID)+"/token", map[string]any{"expires_in": lifetime})
		if err != nil {
			return err
		}
		return a.created(answer, "token")
	})
}

type linkAccountCommand struct {
	Integration string        `placeholder:"NAME" help:"Name of the integration. Without it, and without --account, the customer chooses one."`
	Account     string        `placeholder:"ID" help:"Reconnect this account instead of creating one."`
	Label       string        `help:"Display name of the new account."`
	TenantID    string        `name:"tenant-id" placeholder:"ID" help:"Id of the customer in your own system."`
	RedirectURI string        `name:"redirect-uri" placeholder:"URL" help:"URL to which the customer's browser is redirected afterwards."`
	ExpiresIn   time.Duration `help:"Lifetime of the link."`
	PublicURL   string        `required:"" placeholder:"URL" help:"URL of the server, as for serve."`
}

// Run creates a link and prints its URL.
func (c *linkAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	origin, err := publicOrigin(c.PublicURL)
	if err != nil {
		return err
	}
	body := map[string]any{}
	for name, value := range map[string]string{
		"integration": c.Integration, "integrated_account_id": c.Account, "label": c.Label, "tenant_id": c.TenantID, "redirect_uri": c.RedirectURI,
	} {
		if value != "" {
			body[name] = value
		}
	}
	if c.ExpiresIn != 0 {
		if body["expires_in"], err = seconds("--expires-in", c.ExpiresIn); err != nil {
			return err
		}
	}
	return all.administer(ctx, p, func(a *adminClient) error {
		answer, err := a.call(ctx, http.MethodPost, "/link-token", body)
		if err != nil {
			return err
		}
		return a.created(answer, "link_url", "link_token")
	}, server.WithPublicURL(origin))
}
