package main

import (
	"context"
	"fmt"
	"time"

	"portolan/sandbox"
)

type sandboxCommand struct {
	mappingFlags

	Listen string `default:"127.0.0.1:8090" placeholder:"ADDR" help:"Address to listen on; each provider is served below /<provider>."`
	JSON   bool   `name:"json" xor:"what" help:"Print the demo accounts as JSON, and exit."`
	Faults bool   `xor:"what" help:"Print the faults that a request can ask for, and exit."`
}

type demoJSON struct {
	Token    string            `json:"token"`
	Accounts []demoAccountJSON `json:"accounts"`
}

type demoAccountJSON struct {
	Integration         string         `json:"integration"`
	IntegratedAccountID string         `json:"integrated_account_id"`
	SampleID            string         `json:"sample_id"`
	Query               string         `json:"query"`
	Credentials         map[string]any `json:"credentials"`
}

// Run serves the sandbox until ctx ends, or prints its accounts or faults.
func (c *sandboxCommand) Run(ctx context.Context, p *process) error {
	b, err := p.loadChecked(c.mappingFlags, loading{sandbox: true})
	switch {
	case err != nil:
		return err
	case c.JSON:
		return c.printAccounts(p, b)
	case c.Faults:
		c.printFaults(p, b)
		return nil
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	origin := originOf(c.Listen, listener.Addr())
	fmt.Fprintf(p.stdout, "sandbox listens on %s\n", origin)
	for _, m := range b.mounts() {
		fmt.Fprintf(p.stdout, "  %s/%s%s\n", origin, m.Provider.Name(), m.BasePath)
	}
	s := newHTTPServer(sandbox.New(b.mounts(), p.now), p.logger())
	return serve(ctx, time.Second, p.logger(), service{s, listener})
}

func (c *sandboxCommand) printAccounts(p *process, b *bundle) error {
	out := demoJSON{Token: demoToken, Accounts: []demoAccountJSON{}}
	for _, provider := range b.providers {
		d := provider.Demo()
		out.Accounts = append(out.Accounts, demoAccountJSON{provider.Name(), d.IntegratedAccountID, d.SampleID, d.EncodedQuery(), d.Context})
	}
	return writeJSON(p.stdout, out)
}

func (c *sandboxCommand) printFaults(p *process, b *bundle) {
	fmt.Fprintf(p.stdout, "Ask for a fault with the request header %s: NAME\n", sandbox.FaultHeader)
	for _, provider := range b.providers {
		fmt.Fprintf(p.stdout, "%s\n", provider.Name())
		for _, f := range provider.Faults() {
			fmt.Fprintf(p.stdout, "  %-16s %s\n", f.Name, f.Description)
		}
	}
}
