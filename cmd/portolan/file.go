package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"portolan/accounts"
	"portolan/engine"
)

// readAccounts reads the file of --accounts and checks it against the integrations. Every
// mistake is printed with its place; the error then is errReported.
func (p *process) readAccounts(name string, w *world, opts accounts.Options) (*accounts.File, error) {
	src, err := os.ReadFile(name) //nolint:gosec // G304: the caller names the file
	if err != nil {
		return nil, usagef("--accounts: %w", err)
	}
	file, err := accounts.LoadFile(name, src, p.lookup, opts)
	var problems accounts.FileErrors
	if err != nil && !errors.As(err, &problems) {
		return nil, err
	}
	if err == nil {
		problems = w.checkAccounts(file)
	}
	for _, problem := range problems {
		fmt.Fprintln(p.stderr, problem)
	}
	if len(problems) > 0 {
		return nil, errReported
	}
	return file, nil
}

// checkAccounts says which accounts are of no known integration or lack its credentials.
func (w *world) checkAccounts(file *accounts.File) accounts.FileErrors {
	var out accounts.FileErrors
	known := w.integrations()
	for _, a := range file.Accounts {
		in := w.catalog.Integration(a.Integration)
		if in == nil {
			out = append(out, accounts.Problem{
				Pos: a.At("integration"), Code: "E084-unknown-integration",
				Message: fmt.Sprintf("there is no integration %q", a.Integration), Hint: "known: " + strings.Join(known, ", "),
			})
			continue
		}
		for _, problem := range engine.CheckContext(in.Credentials, engine.Context(a.Context)) {
			out = append(out, accounts.Problem{Pos: a.At("context"), Code: "E085-bad-context", Message: problem})
		}
	}
	return out
}

func accountsOf(file *accounts.File) []accounts.Account {
	out := make([]accounts.Account, 0, len(file.Accounts))
	for _, a := range file.Accounts {
		out = append(out, a.Account)
	}
	return out
}
