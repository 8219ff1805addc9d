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
	"net/url"
	"os"
	"slices"
	"strings"

	"portolan/accounts"
	"portolan/engine"
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

// planAnswer is what the server answers to a request that is only planned.
type planAnswer struct {
	Debug json.RawMessage `json:"debug"`
}

// plannedCall is the part of it that is printed.
type plannedCall struct {
	RequestURL     string `json:"requestUrl"`
	RequestOptions struct {
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
		Body    json.RawMessage   `json:"body"`
	} `json:"requestOptions"`
	Steps []struct {
		Name       string `json:"name"`
		Method     string `json:"method"`
		RequestURL string `json:"requestUrl"`
	} `json:"steps"`
	Fields []engine.Receipt `json:"fields"`
}

// Run plans a unified request as the server would, and prints the provider request.
func (c *planCommand) Run(ctx context.Context, p *process) error {
	if !c.Sandbox && c.Accounts == "" && !c.given() {
		return usagef("plan needs accounts: --sandbox for demo ones, --accounts FILE, --data DIR or --database-url URL for your own")
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
	directory, token := newOperator(store, c.Environment)
	handler, err := server.New(w.catalog, engine.New(offline{}, p.now), w.models, directory, server.WithClock(p.now))
	if err != nil {
		return err
	}
	request, err := c.request(ctx, body, token)
	if err != nil {
		return err
	}
	answer := newRecorder()
	handler.ServeHTTP(answer, request)
	if answer.status != http.StatusOK {
		printRefusal(p.stderr, answer.body.Bytes())
		return errReported
	}
	var planned planAnswer
	if err := json.Unmarshal(answer.body.Bytes(), &planned); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if c.JSON {
		return writeJSON(p.stdout, planned.Debug)
	}
	return printPlan(p.stdout, planned.Debug)
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

func (c *planCommand) request(ctx context.Context, body []byte, token accounts.Secret) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, strings.ToUpper(c.Method), c.Target, bytes.NewReader(body))
	if err != nil {
		return nil, usageError{err}
	}
	if !strings.HasPrefix(request.URL.Path, "/unified/") {
		return nil, usagef("%s is no path of the unified API; they start with /unified/", c.Target)
	}
	request.URL.RawQuery = planOnly(request.URL.RawQuery)
	request.RequestURI = request.URL.RequestURI()
	request.Header.Set("Authorization", "Bearer "+token.Reveal())
	if c.Body == "" {
		request.Body, request.ContentLength = http.NoBody, 0
	} else {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// planOnly makes a query ask for the plan, whatever it asked for.
func planOnly(raw string) string {
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if pair != "" && name != "truto_skip_api_call" && name != "truto_response_format" {
			pairs = append(pairs, pair)
		}
	}
	return strings.Join(append(pairs, "truto_skip_api_call=true"), "&")
}

func printPlan(w io.Writer, debug []byte) error {
	var call plannedCall
	if err := json.Unmarshal(debug, &call); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	fmt.Fprintf(w, "%s %s\n", call.RequestOptions.Method, call.RequestURL)
	for _, name := range slices.Sorted(maps.Keys(call.RequestOptions.Headers)) {
		fmt.Fprintf(w, "%s: %s\n", name, call.RequestOptions.Headers[name])
	}
	if body := call.RequestOptions.Body; len(body) > 0 && string(body) != "null" {
		fmt.Fprintf(w, "\n%s\n", shownBody(body))
	}
	fmt.Fprintf(w, "\nsteps:\n")
	for _, s := range call.Steps {
		if s.RequestURL == "" {
			fmt.Fprintf(w, "  %s (known once the ones before it are answered)\n", s.Name)
			continue
		}
		fmt.Fprintf(w, "  %s %s %s\n", s.Name, s.Method, s.RequestURL)
	}
	fmt.Fprintf(w, "fields:\n")
	for _, f := range call.Fields {
		fmt.Fprintf(w, "  %s %s\n", f.Pointer, f.Outcome)
	}
	return nil
}

// shownBody is a JSON body indented, any other as its text.
func shownBody(body json.RawMessage) string {
	var text string
	if json.Unmarshal(body, &text) == nil {
		return text
	}
	var out bytes.Buffer
	if json.Indent(&out, body, "", "  ") != nil {
		return string(body)
	}
	return out.String()
}

// printRefusal writes an error envelope for people.
func printRefusal(w io.Writer, body []byte) {
	var envelope struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
		Details    struct {
			Failures []server.Failure `json:"failures"`
			Mapping  *struct {
				File string `json:"file"`
				Line int    `json:"line"`
				Col  int    `json:"col"`
			} `json:"mapping"`
		} `json:"details"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.StatusCode == 0 {
		fmt.Fprintf(w, "portolan: %s\n", body)
		return
	}
	fmt.Fprintf(w, "%d %s: %s\n", envelope.StatusCode, envelope.Error, envelope.Message)
	for _, f := range envelope.Details.Failures {
		place := ""
		if f.Pointer != "" { // else it is about the body as a whole
			place = f.Pointer + ": "
		}
		if f.Line > 0 {
			place += fmt.Sprintf("%d:%d: ", f.Line, f.Column)
		}
		fmt.Fprintf(w, "  %s%s: %s\n", place, f.Code, f.Message)
	}
	if m := envelope.Details.Mapping; m != nil {
		fmt.Fprintf(w, "  %s:%d:%d\n", m.File, m.Line, m.Col)
	}
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
