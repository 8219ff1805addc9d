package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/source"
)

// readAccounts reads the file of --accounts and checks it against the integrations. It
// prints every problem with its place, and then returns errReported.
func (p *process) readAccounts(name string, b *bundle, opts accounts.Options) (*accounts.File, error) {
	src, err := os.ReadFile(name) //nolint:gosec // G304: the caller names the file
	if err != nil {
		return nil, usagef("--accounts: %w", err)
	}
	file, found := accounts.LoadFile(name, src, p.lookup, opts)
	if file != nil {
		found = b.checkAccounts(file)
	}
	for _, d := range found {
		fmt.Fprintln(p.stderr, d)
	}
	if len(found) > 0 {
		return nil, errReported
	}
	return file, nil
}

// checkAccounts reports accounts whose integration is not known, and credentials that are
// missing, not valid or not declared.
func (b *bundle) checkAccounts(file *accounts.File) source.Diagnostics {
	var found source.Diagnostics
	known := b.integrations()
	for _, a := range file.Accounts {
		in := b.catalog.Integration(a.Integration)
		if in == nil {
			found.Errorf(a.At("integration"), "E084-unknown-integration", "integration %q does not exist", a.Integration)
			found.Hintf("known: %s", strings.Join(known, ", "))
			continue
		}
		for _, problem := range engine.CheckContext(in.Credentials, engine.Context(a.Context)) {
			found.Errorf(a.At("context"), "E085-bad-context", "%s", problem)
		}
		checkNames(&found, a, in)
	}
	return found
}

// checkNames reports the fields of the account's context that its integration does not declare.
func checkNames(found *source.Diagnostics, a accounts.FileAccount, in *engine.Integration) {
	known := make([]string, 0, len(in.Credentials))
	for _, c := range in.Credentials {
		known = append(known, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Context)) {
		if slices.Contains(known, name) {
			continue
		}
		found.Errorf(a.At("context."+name), "E086-unknown-credential", "integration %q has no credential %q", a.Integration, name)
		if name == "base_url" {
			found.Hintf("base_url is a key of the account, beside context")
		} else if near := source.Nearest(name, known); near != "" {
			found.Hintf("did you mean %q?", near)
		}
	}
}

func accountsOf(file *accounts.File) []accounts.Account {
	out := make([]accounts.Account, 0, len(file.Accounts))
	for _, a := range file.Accounts {
		out = append(out, a.Account)
	}
	return out
}
