package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/server"
)

type planCommand struct {
	mappingFlags
	storeFlags

	Environment string `default:"default" placeholder:"NAME" help:"The environment of the database whose accounts are planned with; default by default."`

	Sandbox  bool   `xor:"accounts" help:"Use the demo accounts."`
	Accounts string `xor:"accounts" placeholder:"FILE" help:"Use the accounts of this file."`
	Body     string `placeholder:"FILE" help:"The request's body; - is standard input."`
	JSON     bool   `name:"json" help:"Print the plan as JSON."`
	Method   string `arg:"" help:"PATCH"`
	Target   string `arg:"" help:"/unified/<model>/<resource>/<id>?integrated_account_id=..."`
}

// Run plans a unified request as the server would, and prints the provider request.
func (c *planCommand) Run(ctx context.Context, p *process) error {
	if !c.Sandbox && c.Accounts == "" && !c.given() {
		return usagef("plan needs accounts: --sandbox for demo ones, --accounts FILE, --data DIR or --database-url URL for your own")
	}
	if !strings.HasPrefix(c.Target, "/unified/") {
		return usagef("%s is not a path of the unified API; they start with /unified/", c.Target)
	}
	body, err := c.readBody(p)
	if err != nil {
		return err
	}
	overrides := newEvaluators(c.EvalTimeout)
	defer overrides.close()
	w, err := p.loadServable(c.mappingFlags, overrides.evaluate)
	if err != nil {
		return err
	}
	store, done, err := c.store(ctx, p, w)
	if err != nil {
		return err
	}
	defer done()
	debug, problem := c.plan(ctx, gateway.New(w.snapshot, engine.New(offline{}, p.now), store), body)
	if problem != nil {
		printProblem(p.stderr, problem)
		return errReported
	}
	if c.JSON {
		return writeJSON(p.stdout, debug)
	}
	return printPlan(p.stdout, debug)
}

// plan asks gw what the request would send.
func (c *planCommand) plan(ctx context.Context, gw *gateway.Gateway, body []byte) (gateway.Debug, *gateway.Problem) {
	target, in, p := server.ReadCall(strings.ToUpper(c.Method), c.Target, body)
	if p != nil {
		return gateway.Debug{}, p
	}
	in.Options.PlanOnly = true
	ready, p := gw.Open(ctx, gateway.Caller{Environment: c.Environment}, target)
	if p != nil {
		return gateway.Debug{}, p
	}
	outcome, p := ready.Do(ctx, in)
	if p != nil {
		return gateway.Debug{}, p
	}
	return outcome.Report.Debug(), nil
}

// readBody gives the body; nil where none is asked for.
func (c *planCommand) readBody(p *process) ([]byte, error) {
	switch c.Body {
	case "":
		return nil, nil
	case "-":
		body, err := io.ReadAll(p.stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return body, nil
	}
	body, err := os.ReadFile(c.Body)
	if err != nil {
		return nil, usagef("--body: %w", err)
	}
	return body, nil
}

// store holds the accounts; those of a file are all in one environment, because whoever
// can read it may plan with any. A plan calls nothing, so an account may have any base_url.
func (c *planCommand) store(ctx context.Context, p *process, w *world) (store accounts.Directory, done func(), err error) {
	if !c.Sandbox && c.Accounts == "" {
		db, err := c.open(ctx, p, p.logger("warn"))
		if err != nil {
			return nil, nil, err
		}
		return db, func() { _ = db.Close() }, nil
	}
	list := w.demoAccounts("")
	if c.Accounts != "" {
		file, err := p.readAccounts(c.Accounts, w, accounts.Options{AllowInsecureUpstreams: true})
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

func printPlan(w io.Writer, plan gateway.Debug) error {
	fmt.Fprintf(w, "%s %s\n", plan.RequestOptions.Method, plan.RequestURL)
	for _, name := range slices.Sorted(maps.Keys(plan.RequestOptions.Headers)) {
		fmt.Fprintf(w, "%s: %s\n", name, plan.RequestOptions.Headers[name])
	}
	if body := plan.RequestOptions.Body; body != nil {
		fmt.Fprintf(w, "\n%s\n", shownBody(body))
	}
	fmt.Fprintf(w, "\nsteps:\n")
	for _, s := range plan.Steps {
		if s.RequestURL == "" {
			fmt.Fprintf(w, "  %s (depends on the answer of %s)\n", s.Name, strings.Join(s.DependsOn, ", "))
			continue
		}
		fmt.Fprintf(w, "  %s %s %s\n", s.Name, s.Method, s.RequestURL)
	}
	fmt.Fprintf(w, "fields:\n")
	for _, f := range plan.Fields {
		fmt.Fprintf(w, "  %s %s\n", f.Pointer, f.Outcome)
	}
	return nil
}

// shownBody is a JSON body indented, any other as its text.
func shownBody(body any) string {
	raw, isJSON := body.(json.RawMessage)
	var out bytes.Buffer
	if !isJSON || json.Indent(&out, raw, "", "  ") != nil {
		return fmt.Sprint(body)
	}
	return out.String()
}

// printProblem writes a problem for people.
func printProblem(w io.Writer, p *gateway.Problem) {
	fmt.Fprintf(w, "%d %s: %s\n", p.Status, http.StatusText(p.Status), p.Message)
	for _, f := range p.Failures {
		place := ""
		if f.Pointer != "" { // else it is about the body as a whole
			place = f.Pointer + ": "
		}
		if f.Line > 0 {
			place += fmt.Sprintf("%d:%d: ", f.Line, f.Column)
		}
		fmt.Fprintf(w, "  %s%s: %s\n", place, f.Code, f.Message)
	}
	if m := p.Mapping; m != nil {
		fmt.Fprintf(w, "  %s:%d:%d\n", m.File, m.Line, m.Col)
	}
}

// printRefusal writes an error envelope for people.
func printRefusal(w io.Writer, body []byte) {
	var envelope struct {
		StatusCode int    `json:"statusCode"`
		Message    string `json:"message"`
		Details    struct {
			Failures []gateway.Failure     `json:"failures"`
			Mapping  *gateway.MappingPlace `json:"mapping"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.StatusCode == 0 {
		fmt.Fprintf(w, "portolan: %s\n", body)
		return
	}
	printProblem(w, &gateway.Problem{
		Status: envelope.StatusCode, Message: envelope.Message, Failures: envelope.Details.Failures, Mapping: envelope.Details.Mapping,
	})
}

// offline is a provider client that refuses to be used.
type offline struct{}

// Do gives an error.
func (offline) Do(context.Context, *engine.Call) (*engine.Reply, error) {
	return nil, errors.New("a plan makes no call")
}

// recorder keeps an answer.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func newRecorder() *recorder { return &recorder{status: http.StatusOK, header: http.Header{}} }

// Header is the answer's.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write keeps the body.
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
