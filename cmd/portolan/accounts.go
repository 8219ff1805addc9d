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

	Proxy proxy `placeholder:"URL" help:"Call providers through this proxy, for --verify."`

	List   listAccountsCommand  `cmd:"" help:"List integrated accounts."`
	Get    getAccountCommand    `cmd:"" help:"Show one. Credentials show by name only."`
	Create createAccountCommand `cmd:"" help:"Make one."`
	Update updateAccountCommand `cmd:"" help:"Change one."`
	Delete deleteAccountCommand `cmd:"" help:"Take one away, with its secrets and tokens."`
	Token  accountTokenCommand  `cmd:"" help:"Print a short-lived token that can call this account only."`
	Link   linkAccountCommand   `cmd:"" help:"Print the address of a page where a customer connects an account."`
}

// administer works on the database; provider calls are possible where verify is asked for.
func (c *accountsCommand) administer(ctx context.Context, p *process, do func(*administration) error, options ...server.Option) error {
	client := upstream.New(c.Proxy.options()...)
	return c.adminFlags.administer(ctx, p, c.Environment, client, do, options...)
}

type listAccountsCommand struct {
	pageFlags

	Integration string `placeholder:"NAME" help:"Only those of this integration."`
	TenantID    string `name:"tenant-id" placeholder:"ID" help:"Only those of this tenant."`
	Status      string `placeholder:"STATUS" help:"Only those that are active, needs_reauth or disabled."`
}

// Run lists accounts.
func (c *listAccountsCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *administration) error {
		q := c.query()
		set(q, "integration", c.Integration)
		set(q, "tenant_id", c.TenantID)
		set(q, "status", c.Status)
		return a.list(ctx, accountsPath, q, column{"ID", "id"}, column{"INTEGRATION", "integration"}, column{"STATUS", "status"},
			column{"TENANT", "tenant_id"}, column{"UPDATED", "updated_at"}, column{"LABEL", "label"})
	})
}

type getAccountCommand struct {
	ID string `arg:"" help:"The account's id."`
}

// Run shows an account.
func (c *getAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *administration) error {
		return a.show(ctx, http.MethodGet, pathOf(accountsPath, c.ID), nil)
	})
}

type createAccountCommand struct {
	fieldFlags
	overrideFlags

	Integration string `required:"" placeholder:"NAME" help:"The provider."`
	ID          string `name:"id" placeholder:"UUID" help:"The account's id; one is made by default."`
	Label       string `help:"A name for people."`
	TenantID    string `name:"tenant-id" placeholder:"ID" help:"The customer's name in your own system."`
	Verify      bool   `help:"Try the credentials at the provider, and store nothing where it refuses them."`
}

// Run makes an account.
func (c *createAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	body := map[string]any{"integration": c.Integration}
	fields, err := c.read(p)
	if err != nil {
		return err
	}
	overrides, err := c.lay(nil)
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
	return all.administer(ctx, p, func(a *administration) error {
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

	ID       string   `arg:"" help:"The account's id."`
	Version  int64    `placeholder:"N" help:"Refuse where the account has another version by now."`
	Label    *string  `help:"A name for people."`
	TenantID *string  `name:"tenant-id" placeholder:"ID" help:"The customer's name in your own system."`
	Status   string   `placeholder:"STATUS" help:"active or disabled."`
	Unset    []string `placeholder:"NAME" help:"Take a credential or setting away."`
	Verify   bool     `help:"Try the credentials at the provider, and store nothing where it refuses them."`
}

// Run changes an account.
func (c *updateAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	body, err := c.change(p)
	if err != nil {
		return err
	}
	return all.administer(ctx, p, func(a *administration) error {
		path := pathOf(accountsPath, c.ID)
		if err := a.override(ctx, path, c.overrideFlags, body); err != nil {
			return err
		}
		return a.show(ctx, http.MethodPatch, withQuery(path, verifyQuery(c.Verify)), body)
	})
}

// change is the request without overrides.
func (c *updateAccountCommand) change(p *process) (map[string]any, error) {
	body := map[string]any{}
	fields, err := c.read(p)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Unset {
		if _, twice := fields[name]; twice {
			return nil, usagef("field %q is both set and unset", name)
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

// override puts into body all overrides of what is at path, with those of the flags laid
// over, and the version that was read: a change in between is refused, not lost.
func (a *administration) override(ctx context.Context, path string, flags overrideFlags, body map[string]any) error {
	if len(flags.Override) == 0 {
		return nil
	}
	answer, err := a.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	now, err := decode(answer)
	if err != nil {
		return err
	}
	overrides, _ := now["overrides"].(map[string]any)
	if body["overrides"], err = flags.lay(overrides); err != nil {
		return err
	}
	if _, given := body["version"]; !given {
		body["version"] = now["version"]
	}
	return nil
}

type deleteAccountCommand struct {
	ID      string `arg:"" help:"The account's id."`
	Version int64  `placeholder:"N" help:"Refuse where the account has another version by now."`
}

// Run takes an account away.
func (c *deleteAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	return all.administer(ctx, p, func(a *administration) error {
		return a.show(ctx, http.MethodDelete, withQuery(pathOf(accountsPath, c.ID), versionQuery(c.Version)), nil)
	})
}

type accountTokenCommand struct {
	ID        string        `arg:"" help:"The account's id."`
	ExpiresIn time.Duration `default:"15m" help:"How long it lives; an hour at the most."`
}

// Run makes a token of one account.
func (c *accountTokenCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	lives, err := seconds("--expires-in", c.ExpiresIn)
	if err != nil {
		return err
	}
	return all.administer(ctx, p, func(a *administration) error {
		answer, err := a.call(ctx, http.MethodPost, pathOf(accountsPath, c.ID)+"/token", map[string]any{"expires_in": lives})
		if err != nil {
			return err
		}
		return a.created(answer, "token")
	})
}

type linkAccountCommand struct {
	Integration string        `required:"" placeholder:"NAME" help:"The provider."`
	Account     string        `placeholder:"ID" help:"Connect this account again instead of making one."`
	Label       string        `help:"The new account's name for people."`
	TenantID    string        `name:"tenant-id" placeholder:"ID" help:"The customer's name in your own system."`
	RedirectURI string        `name:"redirect-uri" placeholder:"URL" help:"Where the customer's browser goes in the end."`
	ExpiresIn   time.Duration `help:"How long the link lives."`
	PublicURL   string        `required:"" placeholder:"URL" help:"Where customers reach the server, as in serve."`
}

// Run makes a link and prints its address.
func (c *linkAccountCommand) Run(ctx context.Context, p *process, all *accountsCommand) error {
	origin, err := publicOrigin(c.PublicURL)
	if err != nil {
		return err
	}
	body := map[string]any{"integration": c.Integration}
	for name, value := range map[string]string{
		"integrated_account_id": c.Account, "label": c.Label, "tenant_id": c.TenantID, "redirect_uri": c.RedirectURI,
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
	return all.administer(ctx, p, func(a *administration) error {
		answer, err := a.call(ctx, http.MethodPost, "/link-token", body)
		if err != nil {
			return err
		}
		return a.created(answer, "link_url", "link_token")
	}, server.WithPublicURL(origin))
}
