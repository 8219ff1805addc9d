package main

import (
	"context"
	"fmt"
	"time"

	"portolan/sandbox"
)

type sandboxCommand struct {
	mappingFlags

	Listen string `default:"127.0.0.1:8090" placeholder:"ADDR" help:"Address to serve the pretend providers at, each under /<provider>."`
	JSON   bool   `name:"json" xor:"what" help:"Print the demo accounts as JSON and exit."`
	Faults bool   `xor:"what" help:"Print the faults that can be asked for and exit."`
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

// Run serves the pretend providers until ctx ends, or tells of them.
func (c *sandboxCommand) Run(ctx context.Context, p *process) error {
	w, err := p.loadServable(c.mappingFlags, nil)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return c.printAccounts(p, w)
	case c.Faults:
		c.printFaults(p, w)
		return nil
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	origin := "http://" + listener.Addr().String()
	fmt.Fprintf(p.stdout, "pretend providers listen on %s\n", origin)
	for _, m := range w.mounts() {
		fmt.Fprintf(p.stdout, "  %s/%s%s\n", origin, m.Provider.Name(), m.BasePath)
	}
	s := newHTTPServer(sandbox.New(w.mounts(), p.now), p.logger("warn"))
	return serve(ctx, time.Second, p.logger("warn"), service{s, listener})
}

func (c *sandboxCommand) printAccounts(p *process, w *world) error {
	out := demoJSON{Token: demoToken, Accounts: []demoAccountJSON{}}
	for _, provider := range w.providers {
		d := provider.Demo()
		out.Accounts = append(out.Accounts, demoAccountJSON{provider.Name(), d.IntegratedAccountID, d.SampleID, d.EncodedQuery(), d.Context})
	}
	return writeJSON(p.stdout, out)
}

func (c *sandboxCommand) printFaults(p *process, w *world) {
	fmt.Fprintf(p.stdout, "ask for one with the request header %s: NAME\n", sandbox.FaultHeader)
	for _, provider := range w.providers {
		fmt.Fprintf(p.stdout, "%s\n", provider.Name())
		for _, f := range provider.Faults() {
			fmt.Fprintf(p.stdout, "  %-16s %s\n", f.Name, f.Description)
		}
	}
}
