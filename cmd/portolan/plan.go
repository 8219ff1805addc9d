package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/plain"
	"portolan/server"
)

type planCommand struct {
	mappingFlags
	storeFlags

	Environment string `default:"default" placeholder:"NAME" help:"Environment whose accounts are used."`

	Sandbox  bool     `xor:"accounts" help:"Use the demo accounts."`
	Accounts string   `xor:"accounts" placeholder:"FILE" help:"Use the accounts in this file."`
	Body     string   `placeholder:"FILE" help:"Request body; - reads standard input."`
	Answer   []string `sep:"none" placeholder:"NAME=FILE" help:"Sample answer of a before step, as JSON; - reads standard input. Repeatable."`
	JSON     bool     `name:"json" help:"Print the plan, or the error, as JSON."`
	Method   string   `arg:"" help:"HTTP method, such as PATCH."`
	Target   string   `arg:"" help:"Path and query: /unified/<model>/<resource>/<id>?integrated_account_id=..."`
}

// Run plans a unified request as the server would, and prints the provider request.
func (c *planCommand) Run(ctx context.Context, p *process) error {
	if !c.Sandbox && c.Accounts == "" && !c.configured() {
		return usagef("plan needs accounts: --sandbox for the demo accounts; --accounts FILE, --data DIR or --database-url URL for your own")
	}
	if !strings.HasPrefix(c.Target, "/unified/") && !strings.HasPrefix(c.Target, "//unified/") { // the server tolerates two slashes
		return usagef("%s is not a path of the unified API, which start with /unified/", c.Target)
	}
	body, err := c.readBody(p)
	if err != nil {
		return err
	}
	samples, err := c.readAnswers(p)
	if err != nil {
		return err
	}
	workers := newWorkers(c.mappingFlags)
	defer workers.Close()
	b, err := p.loadChecked(c.mappingFlags, loading{workers: workers, sandbox: c.Sandbox})
	if err != nil {
		return err
	}
	store, done, err := c.store(ctx, p, b)
	if err != nil {
		return err
	}
	defer done()
	debug, err := c.plan(ctx, gateway.New(b.snapshot, engine.New(offline{}, p.now), store), body, samples)
	if problem, ok := errors.AsType[*gateway.Problem](err); ok {
		return c.printProblem(p, problem)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(p.stdout, debug)
	}
	return printPlan(p.stdout, debug)
}

// plan returns the plan of the request. The error is a *gateway.Problem or a usageError.
func (c *planCommand) plan(ctx context.Context, gw *gateway.Gateway, body []byte, samples map[string]any) (gateway.Debug, error) {
	target, in, problem := server.ReadCall(gw.Snapshot(), strings.ToUpper(c.Method), c.Target, body)
	if problem != nil {
		return gateway.Debug{}, problem
	}
	in.Options.PlanOnly, in.Samples = true, samples
	ready, problem := gw.Open(ctx, gateway.Caller{Environment: c.Environment}, target)
	if problem != nil {
		return gateway.Debug{}, problem
	}
	if err := checkAnswers(samples, target.Operation, ready.BeforeSteps()); err != nil {
		return gateway.Debug{}, err
	}
	outcome, problem := ready.Do(ctx, in)
	if problem != nil {
		return gateway.Debug{}, problem
	}
	return outcome.Report.Debug(), nil
}

// printProblem prints the reason why the call cannot be planned: as text to stderr or, with --json, as the API's answer to
// stdout.
func (c *planCommand) printProblem(p *process, problem *gateway.Problem) error {
	if !c.JSON {
		printProblem(p.stderr, problem)
		return errReported
	}
	_, body := server.ErrorAnswer(problem)
	if err := writeJSON(p.stdout, json.RawMessage(body)); err != nil {
		return err
	}
	return errReported
}

// readAnswers reads the sample answers by the names of their steps.
func (c *planCommand) readAnswers(p *process) (map[string]any, error) {
	samples := map[string]any{}
	stdin := c.Body == "-"
	for _, given := range c.Answer {
		name, file, ok := strings.Cut(given, "=")
		if !ok || name == "" || file == "" {
			return nil, usagef("--answer: %q is not NAME=FILE", given)
		}
		if _, twice := samples[name]; twice {
			return nil, usagef("--answer: %q is set twice", name)
		}
		if file == "-" && stdin {
			return nil, usagef("--answer: standard input can be read only once")
		}
		stdin = stdin || file == "-"
		src, err := p.readInput(file)
		if err != nil {
			return nil, usagef("--answer: %w", err)
		}
		answer, err := plain.Decode(src, plain.Options{Lenient: true})
		if err != nil {
			return nil, usagef("--answer: %s is not valid JSON: %w", file, err)
		}
		samples[name] = answer.Value
	}
	return samples, nil
}

// checkAnswers refuses a sample for a step that op does not have.
func checkAnswers(samples map[string]any, op engine.Operation, steps []string) error {
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		switch {
		case slices.Contains(steps, name):
		case len(steps) == 0:
			return usagef("--answer: %s has no before steps", op)
		default:
			return usagef("--answer: %s has no before step %q; its before steps are: %s", op, name, strings.Join(steps, ", "))
		}
	}
	return nil
}

// readBody returns the request body; nil if there is none.
func (c *planCommand) readBody(p *process) ([]byte, error) {
	if c.Body == "" {
		return nil, nil
	}
	body, err := p.readInput(c.Body)
	if err != nil {
		return nil, usagef("--body: %w", err)
	}
	return body, nil
}

// store returns the accounts. All accounts of a file are put into one environment, so that each can
// be used. They may have any base_url, because no provider is called.
func (c *planCommand) store(ctx context.Context, p *process, b *bundle) (store accounts.Directory, done func(), err error) {
	if !c.Sandbox && c.Accounts == "" {
		_, db, err := c.openWithKeys(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		return db, func() { _ = db.Close() }, nil
	}
	list := b.demoAccounts("")
	if c.Accounts != "" {
		file, err := p.readAccounts(c.Accounts, b, accounts.Options{AllowInsecureUpstreams: true})
		if err != nil {
			return nil, nil, err
		}
		list = accountsOf(file)
	}
	for i := range list {
		list[i].Environment = c.Environment
	}
	store, err = accounts.NewMemory(nil, list)
	return store, func() {}, err
}

// printPlan prints the main request, all steps and the outcome of each field.
func printPlan(w io.Writer, plan gateway.Debug) error {
	if plan.RequestURL == "" {
		fmt.Fprintf(w, "The main request cannot be built%s\n", missingAnswers(plan))
	} else {
		printRequest(w, plan)
	}
	fmt.Fprintf(w, "\nsteps:\n")
	for _, s := range plan.Steps {
		line := "  " + s.Name
		if s.RequestURL != "" {
			line += " " + s.Method + " " + s.RequestURL
		}
		if len(s.DependsOn) > 0 {
			line += fmt.Sprintf(" (depends on the answer of %s)", strings.Join(s.DependsOn, ", "))
		}
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "fields:\n")
	for _, f := range plan.Fields {
		fmt.Fprintf(w, "  %s %s\n", f.Pointer, f.Outcome)
	}
	return nil
}

func printRequest(w io.Writer, plan gateway.Debug) {
	fmt.Fprintf(w, "%s %s\n", plan.RequestOptions.Method, plan.RequestURL)
	for _, name := range slices.Sorted(maps.Keys(plan.RequestOptions.Headers)) {
		fmt.Fprintf(w, "%s: %s\n", name, plan.RequestOptions.Headers[name])
	}
	if body := plan.RequestOptions.Body; body != nil {
		fmt.Fprintf(w, "\n%s\n", shownBody(body))
	}
}

// missingAnswers names the sample answers that the main request needs.
func missingAnswers(plan gateway.Debug) string {
	i := slices.IndexFunc(plan.Steps, func(s gateway.DebugStep) bool { return s.Name == "main" })
	if i < 0 {
		return "."
	}
	var flags []string
	for _, name := range plan.Steps[i].DependsOn {
		flags = append(flags, "--answer "+name+"=FILE")
	}
	return " without " + strings.Join(flags, " ")
}

// shownBody returns a body as text; JSON is indented.
func shownBody(body any) string {
	raw, isJSON := body.(json.RawMessage)
	var out bytes.Buffer
	if !isJSON || json.Indent(&out, raw, "", "  ") != nil {
		return fmt.Sprint(body)
	}
	return out.String()
}

// offline is a provider client that refuses every call.
type offline struct{}

// Do returns an error.
func (offline) Do(context.Context, *engine.Call) (*engine.Reply, error) {
	return nil, errors.New("this command does not call providers")
}
