package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
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
	if found.Failed() {
		return nil, errReported
	}
	return file, nil
}

// holdsSecrets reports whether a token or a secret credential stands in the file itself.
func (b *bundle) holdsSecrets(file *accounts.File) bool {
	return file.Literal || slices.ContainsFunc(file.Accounts, func(a accounts.FileAccount) bool {
		return slices.ContainsFunc(b.catalog.Integration(a.Integration).Credentials, func(c engine.Credential) bool {
			return c.Secret && slices.Contains(a.Literal, c.Name)
		})
	})
}

// checkSecrecy refuses an accounts file with secrets that other users can read. In a container, where
// the file often cannot have another mode and has no other users, it warns.
func (p *process) checkSecrecy(ctx context.Context, name string, secrets bool, log *slog.Logger) error {
	info, err := os.Stat(name)
	if err != nil {
		return usagef("--accounts: %w", err)
	}
	mode := info.Mode().Perm()
	if !secrets || mode&0o044 == 0 {
		return nil
	}
	const problem = "holds secrets and can be read by other users: chmod 600, or write ${NAME} for a secret and set that environment variable"
	if !p.inContainer() {
		return usagef("--accounts: %s %s (mode %04o)", name, problem, mode)
	}
	log.WarnContext(ctx, "the accounts file "+problem, slog.String("file", name), slog.String("mode", fmt.Sprintf("%04o", mode)))
	return nil
}

// inContainer reports whether the process runs in a container, as far as it can be seen.
func (p *process) inContainer() bool {
	for _, variable := range []string{"KUBERNETES_SERVICE_HOST", "container"} { // the second one is set by podman and systemd
		if _, set := p.lookup(variable); set {
			return true
		}
	}
	return p.exists("/.dockerenv") || p.exists("/run/.containerenv")
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
		for _, w := range gateway.ShortSecrets(in.Credentials, a.Context) {
			found.Warnf(a.At("context"), "W003-short-secret", "%s", w.Message)
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
