package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/golden"
	"portolan/server"
)

type testCommand struct {
	Cases       string        `default:"testdata/cases" placeholder:"DIR" help:"Directory of the cases."`
	Update      bool          `help:"Write the actual answers into the cases that fail."`
	Pattern     string        `name:"run" placeholder:"PATTERN" help:"Run only cases whose name matches this regular expression."`
	Mutate      mutateFlag    `placeholder:"[N]" help:"Also change the mappings, one thing at a time, and print the score and the changes that no case notices; at most N changes of each provider."`
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one phase of evaluating a mapping."`
	Dir         []string      `arg:"" optional:"" help:"Mapping trees or provider directories whose cases are run; the built-in mappings by default."`
}

// tally counts cases.
type tally struct {
	passed, failed, updated int
	lowScore                bool // too few changes of a provider's mappings were noticed
}

// Run runs the cases of the mappings through the server, without a network.
func (c *testCommand) Run(ctx context.Context, p *process) error {
	pattern, err := regexp.Compile(c.Pattern)
	if err != nil {
		return usagef("--run: %w", err)
	}
	if c.Mutate.set && c.Pattern != "" {
		return usagef("--mutate needs all cases: leave out --run")
	}
	dirs, err := openMappingDirs(c.Dir)
	if err != nil {
		return err
	}
	if info, err := os.Stat(c.Cases); err != nil || !info.IsDir() {
		return usagef("--cases: no such directory: %s", c.Cases)
	}
	atClock := *p
	atClock.now = golden.Clock
	var sum tally
	for _, dir := range dirs {
		b, err := atClock.loadCases(dir, c.EvalTimeout)
		if err != nil {
			return err
		}
		if err := c.runCases(ctx, p, dir, b, pattern, &sum); err != nil {
			return err
		}
	}
	if sum == (tally{}) {
		return c.noCases()
	}
	fmt.Fprintf(p.stdout, "%d passed, %d failed", sum.passed, sum.failed)
	if sum.updated > 0 {
		fmt.Fprintf(p.stdout, ", %d updated", sum.updated)
	}
	fmt.Fprintln(p.stdout)
	if sum.failed > 0 || sum.lowScore {
		return errReported
	}
	return nil
}

// noCases is the error of a run without cases.
func (c *testCommand) noCases() error {
	if c.Pattern != "" {
		return fmt.Errorf("no cases found in %s whose name matches %q", c.Cases, c.Pattern)
	}
	return fmt.Errorf("no cases of these mappings found in %s (<provider>/<model>.<resource>.<method>/*%s); --cases names another directory",
		c.Cases, golden.Extension)
}

// loadCases loads the mappings of dir. It refuses mappings with errors.
func (p *process) loadCases(dir mappingDir, evalTimeout time.Duration) (*bundle, error) {
	b, err := p.load(loading{evalTimeout: evalTimeout, sandbox: true}, dir.layers()...)
	if err != nil {
		return nil, err
	}
	if b.findings.Failed() {
		for _, d := range append(dir.own(b.findings), dir.foreign(b.findings)...).Sorted() {
			fmt.Fprintln(p.stderr, d)
		}
		return nil, errReported
	}
	return b, nil
}

// runCases runs the cases of the loaded providers. A case that cannot be read fails.
func (c *testCommand) runCases(ctx context.Context, p *process, dir mappingDir, b *bundle, pattern *regexp.Regexp, sum *tally) error {
	cases, problems := golden.Load(os.DirFS(c.Cases), ".", b.integrations())
	for _, problem := range problems {
		fmt.Fprintf(p.stdout, "%s/%s\n", filepath.ToSlash(c.Cases), problem)
		sum.failed++
	}
	var results []*golden.Result
	for _, one := range cases {
		if !pattern.MatchString(one.Name) {
			continue
		}
		result, err := b.runCase(ctx, one)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		if err := c.report(p, result, sum); err != nil {
			return err
		}
		if c.Update && result.State != golden.Passed { // coverage is that of the updated case
			if result, err = b.rerun(ctx, result); err != nil {
				return fmt.Errorf("%s: %w", one.Name, err)
			}
		}
		results = append(results, result)
	}
	if c.Pattern == "" { // coverage needs all cases
		for _, coverage := range golden.Cover(b.catalog, results) {
			fmt.Fprintln(p.stdout, coverage)
		}
	}
	if !c.Mutate.set || sum.failed > 0 {
		return nil
	}
	var proven []*golden.Case
	for _, r := range results {
		proven = append(proven, r.Case)
	}
	high, err := c.mutate(ctx, p, dir, b, proven)
	sum.lowScore = sum.lowScore || !high
	return err
}

// rerun returns the result of the case that r is updated to.
func (b *bundle) rerun(ctx context.Context, r *golden.Result) (*golden.Result, error) {
	updated, problems := golden.Parse(r.Case.File, r.Case.Update(r))
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return b.runCase(ctx, updated)
}

// runCase runs one case.
func (b *bundle) runCase(ctx context.Context, c *golden.Case) (*golden.Result, error) {
	if c.Connects() {
		return golden.RunConnect(ctx, b.catalog, c), nil
	}
	return golden.RunHandler(ctx, b.caseHandler, c)
}

func (c *testCommand) report(p *process, r *golden.Result, sum *tally) error {
	switch {
	case r.State == golden.Passed:
		sum.passed++
	case c.Update:
		if err := c.write(r); err != nil {
			return err
		}
		sum.updated++
		fmt.Fprintf(p.stdout, "updated %s\n", r.Case.Name)
	default:
		sum.failed++
		fmt.Fprintf(p.stdout, "FAIL %s\n%s\n", r.Case.Name, r.Diff)
	}
	return nil
}

func (c *testCommand) write(r *golden.Result) error {
	root, err := os.OpenRoot(c.Cases)
	if err != nil {
		return err
	}
	return errors.Join(root.WriteFile(r.Case.File, r.Case.Update(r), fs.FileMode(0o644)), root.Close())
}

// caseHandler returns the server of one case: one token, one account, no network.
func (b *bundle) caseHandler(doer engine.Doer, account golden.Account) (http.Handler, error) {
	tokens := []accounts.StoredToken{{Token: accounts.Token{Name: "golden"}, Hash: accounts.HashToken(golden.Token)}}
	store, err := accounts.NewMemory(tokens, []accounts.Account{{
		ID: account.ID, Integration: account.Integration, Context: account.Context,
	}})
	if err != nil { // the case has no valid account
		if store, err = accounts.NewMemory(tokens, nil); err != nil {
			return nil, err
		}
	}
	return server.New(gateway.New(b.snapshot, engine.New(doer, golden.Clock), store), store, server.WithClock(golden.Clock))
}
