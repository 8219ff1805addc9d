package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// portolan is a program built from this repository, with an account store of its own.
type portolan struct {
	program string
	dir     string // for everything that it needs
	env     []string
}

func buildPortolan(ctx context.Context, repository, dir string) (*portolan, error) {
	p := &portolan{program: filepath.Join(dir, "portolan"), dir: dir}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", p.program, "./cmd/portolan")
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "PORTOLAN_") { // they would change its settings
			p.env = append(p.env, variable)
		}
	}
	return p, nil
}

// prepare writes the mapping with the address of the pretend provider, creates the database
// with the account, and returns a token for it.
func (p *portolan) prepare(ctx context.Context, repository string, j *job, provider string) (string, error) {
	if err := p.writeMapping(repository, j, provider); err != nil {
		return "", err
	}
	keys, err := p.run(ctx, "", "keys", "new")
	if err != nil {
		return "", err
	}
	p.env = append(p.env, "PORTOLAN_MASTER_KEYS="+keys)
	fields, err := json.Marshal(j.Account.Context)
	if err != nil {
		return "", err
	}
	if _, err := p.run(ctx, string(fields), p.stored("accounts", "create", "--integration", j.Integration,
		"--id", j.Account.ID, "--fields-file", "-")...); err != nil {
		return "", err
	}
	return p.run(ctx, "", p.stored("tokens", "create", "--name", "bench", "--role", "call")...)
}

// writeMapping copies the integration's main file, with another base URL. The other files of
// the mapping are those that are built in.
func (p *portolan) writeMapping(repository string, j *job, provider string) error {
	from := filepath.Join(repository, "mappings", j.Integration, "integration.yaml")
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^base_url: \S+`)
	if !line.Match(text) {
		return fmt.Errorf("%s has no base_url", from)
	}
	text = line.ReplaceAllLiteral(text, []byte("base_url: "+provider+j.Provider.BasePath))
	to := filepath.Join(p.mappings(), j.Integration)
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "integration.yaml"), text, 0o600)
}

func (p *portolan) mappings() string { return filepath.Join(p.dir, "mappings") }

// stored adds the flags for the mapping and the database to the words of a command.
func (p *portolan) stored(words ...string) []string {
	return append(words, "--mappings", p.mappings(), "--data", filepath.Join(p.dir, "data"))
}

// server is the command that serves with every feature on: validation of the request and the
// answer, receipts, sealed accounts in a database, metrics, and a log line for every call.
func (p *portolan) server(ctx context.Context) *exec.Cmd {
	return p.command(ctx, p.stored("serve", "--listen", "127.0.0.1:0", "--allow-insecure-upstreams")...)
}

func (p *portolan) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Env = p.env
	return cmd
}

// run returns what a command prints.
func (p *portolan) run(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := p.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("portolan %s %s: %w\n%s", args[0], args[1], err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
