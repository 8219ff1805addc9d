package server_test

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/golden"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/server"
	"portolan/source"
	"portolan/upstream"
)

var update = flag.Bool("update", false, "rewrite what golden cases expect")

func goldenCases(t *testing.T, providers ...string) []*golden.Case {
	t.Helper()
	cases, errs := golden.Load(os.DirFS("../testdata"), "cases", providers)
	for _, err := range errs {
		t.Error(err)
	}
	if len(cases) == 0 {
		t.Fatal("no cases")
	}
	return cases
}

// goldenServer is one server for all cases. The current case and its provider are in the context of
// the request.
type goldenServer struct{ *server.Server }

// caseKey is the context key of a goldenCase.
type caseKey struct{}

type goldenCase struct {
	doer    engine.Doer
	account golden.Account
}

func newGoldenServer(tb testing.TB, c *engine.Catalog) goldenServer {
	tb.Helper()
	unified, _ := models(tb)
	s, err := build(c, engine.New(caseDoer{}, golden.Clock), unified, caseAccounts{}, server.WithClock(golden.Clock))
	if err != nil {
		tb.Fatal(err)
	}
	return goldenServer{s}
}

func (s goldenServer) handler(d engine.Doer, a golden.Account) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caseKey{}, goldenCase{d, a})))
	})
}

// caseDoer passes a call to the provider of the case.
type caseDoer struct{}

func (caseDoer) Do(ctx context.Context, call *engine.Call) (*engine.Reply, error) {
	return ctx.Value(caseKey{}).(goldenCase).doer.Do(ctx, call)
}

// caseAccounts has the account of the case only.
type caseAccounts struct{}

func (caseAccounts) Authenticate(_ context.Context, token string) (accounts.Token, error) {
	if token != golden.Token {
		return accounts.Token{}, accounts.ErrUnauthorized
	}
	return accounts.Token{Name: "golden", Environment: "default"}, nil
}

func (caseAccounts) Account(ctx context.Context, _, id string) (accounts.Account, error) {
	a := ctx.Value(caseKey{}).(goldenCase).account
	if a.ID == "" || !strings.EqualFold(a.ID, id) {
		return accounts.Account{}, accounts.ErrNotFound
	}
	return accounts.Account{ID: a.ID, Integration: a.Integration, Environment: "default", Context: a.Context}, nil
}

func (caseAccounts) Ready(context.Context) error { return nil }

func TestGoldenGateway(t *testing.T) {
	snapshot := newSnapshot(t)
	gatewayFor := func(d engine.Doer, a golden.Account) *gateway.Gateway {
		return gateway.New(snapshot, engine.New(d, golden.Clock), oneAccount{a})
	}
	read := func(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
		return server.ReadCall(snapshot, verb, target, body)
	}
	applicable := 0
	for _, kase := range goldenCases(t) {
		t.Run(kase.Name, func(t *testing.T) {
			result := golden.RunGateway(t.Context(), read, gatewayFor, kase)
			if result.State == golden.Failed {
				t.Error(result.Diff)
			}
			if result.State == golden.Passed {
				applicable++
			}
		})
	}
	if applicable < 200 { // most cases get as far as the gateway
		t.Errorf("only %d cases reach the gateway", applicable)
	}
}

// oneAccount has the account of the case only.
type oneAccount struct{ account golden.Account }

func (a oneAccount) Account(_ context.Context, _, id string) (accounts.Account, error) {
	if !strings.EqualFold(a.account.ID, id) {
		return accounts.Account{}, accounts.ErrNotFound
	}
	return accounts.Account{ID: a.account.ID, Integration: a.account.Integration, Context: a.account.Context}, nil
}

func TestGoldenHandler(t *testing.T) {
	c := catalog(t)
	s := newGoldenServer(t, c)
	var results []*golden.Result
	for _, kase := range goldenCases(t) {
		t.Run(kase.Name, func(t *testing.T) {
			result, err := golden.RunHandler(t.Context(), func(d engine.Doer, a golden.Account) (http.Handler, error) {
				return s.handler(d, a), nil
			}, kase)
			if err != nil {
				t.Fatal(err)
			}
			results = append(results, result)
			if *update && result.State == golden.Failed {
				if err := os.WriteFile("../testdata/"+kase.File, kase.Update(result), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if result.State != golden.Passed {
				t.Errorf("%s\n%s", result.State, result.Diff)
			}
		})
	}
	for _, cover := range golden.Cover(c, results) {
		if len(cover.Missing) > 0 {
			t.Errorf("supported, but in no case: %s", cover)
		}
		if cover.Cases < 12 {
			t.Errorf("too few cases: %s", cover)
		}
	}
}

// redirected sends all requests to one local server, and removes the headers from the answer that
// net/http adds.
type redirected struct {
	to   *url.URL
	next http.RoundTripper
}

func (r redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = r.to.Scheme, r.to.Host
	res, err := r.next.RoundTrip(out)
	if err == nil { // headers of net/http are not part of a case
		res.Header.Del("Date")
		res.Header.Del("Content-Length")
	}
	return res, err
}

func TestGoldenSockets(t *testing.T) {
	t.Parallel()
	s := newGoldenServer(t, catalog(t))
	for _, kase := range goldenCases(t) {
		t.Run(kase.Name, func(t *testing.T) {
			t.Parallel()
			provider := golden.NewUpstream(kase)
			far := httptest.NewServer(provider)
			defer far.Close()
			to, err := url.Parse(far.URL)
			if err != nil {
				t.Fatal(err)
			}
			client := upstream.New(upstream.WithRoundTripper(redirected{to, far.Client().Transport}))
			near := httptest.NewServer(s.handler(client, kase.Account))
			defer near.Close()
			req, err := kase.HTTPRequest(t.Context(), near.URL)
			if err != nil {
				t.Fatal(err)
			}
			res, err := near.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, err := golden.ReadAnswer(res)
			if err != nil {
				t.Fatal(err)
			}
			if result := provider.Compare(answer); result.State != golden.Passed {
				t.Errorf("%s\n%s", result.State, result.Diff)
			}
		})
	}
}

// mutant is a file of a provider with one broken expression.
type mutant struct {
	provider, file, what string
	text                 string
}

// mutants breaks each expression of a file as a whole, and each of its members if it builds an object
// or binds a variable.
func mutants(t *testing.T, provider, file string) []mutant {
	t.Helper()
	src, err := fs.ReadFile(mappings.FS, provider+"/"+file)
	if err != nil {
		t.Fatal(err)
	}
	var diags source.Diagnostics
	root := source.ParseYAML(file, src, &diags)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	lines := strings.Split(string(src), "\n")
	var out []mutant
	add := func(what string, from, to int, with string) {
		text := strings.Join(append(append(append([]string{}, lines[:from]...), with), lines[to:]...), "\n")
		out = append(out, mutant{provider, file, what, text})
	}
	member := regexp.MustCompile(`^(\s*(?:\{ )?"[^"]+": )(.*?)(,?)$`)
	variable := regexp.MustCompile(`^(\s*\$\w+ := )(.*)(;)$`)
	for _, e := range expressions(root, "") {
		line := e.Value.Pos.Line - 1
		what := fmt.Sprintf("%s:%d %s", file, line+1, e.Name)
		head := lines[line][:e.Value.Pos.Col-1]
		rest := lines[line][e.Value.Pos.Col-1:]
		if !strings.HasPrefix(rest, "|") {
			raw := e.Value.Text
			if q := rest[:1]; q == "'" || q == `"` {
				raw = rest[:strings.Index(rest[1:], q)+2]
			}
			add(what, line, line+1, head+`'"broken"'`+strings.TrimPrefix(rest, raw))
			continue
		}
		end := line + 1 + strings.Count(strings.TrimSuffix(e.Value.Text, "\n"), "\n") + 1
		add(what, line, end, head+`'{ "broken": true }'`)
		for i := line + 1; i < end; i++ {
			for _, re := range []*regexp.Regexp{member, variable} {
				if m := re.FindStringSubmatch(lines[i]); m != nil && strings.Count(m[2], "(") == strings.Count(m[2], ")") &&
					strings.Count(m[2], "{") == strings.Count(m[2], "}") && strings.Count(m[2], "[") == strings.Count(m[2], "]") {
					add(fmt.Sprintf("%s line %d", what, i+1), i, i+1, m[1]+`"broken"`+m[3])
				}
			}
		}
	}
	return out
}

// expressions returns the members of n that are JSONata; key is the key of n.
func expressions(n *source.Node, key string) []source.Entry {
	known := map[string]bool{
		"when": true, "status": true, "message": true, "fields": true, "limit": true, "remaining": true, "reset": true, "run_if": true,
		"query_mapping": true, "request_body_mapping": true, "response_mapping": true,
	}
	var out []source.Entry
	for _, e := range n.Entries {
		switch {
		case e.Value.Kind != source.Scalar:
			if !strings.HasSuffix(e.Name, "_schema") {
				out = append(out, expressions(e.Value, e.Name)...)
			}
		case known[e.Name] || key == "headers" || key == "query" || key == "path_variables" || key == "settings":
			out = append(out, e)
		}
	}
	for _, item := range n.Items {
		out = append(out, expressions(item, key)...)
	}
	return out
}

// If any expression of a mapping is broken, at least one golden case fails, or one case of connecting
// an account.
func TestEveryExpressionIsTested(t *testing.T) {
	_, known := models(t)
	for _, in := range catalog(t).Integrations() {
		provider := in.Name
		cases, connecting := goldenCases(t, provider), loadConnectCases(t, provider)
		files, err := fs.ReadDir(mappings.FS, provider)
		if err != nil {
			t.Fatal(err)
		}
		var all []mutant
		for _, f := range files {
			if f.Name() != engine.SandboxFile {
				all = append(all, mutants(t, provider, f.Name())...)
			}
		}
		if len(all) < 8 {
			t.Fatalf("%s: only %d expressions found", provider, len(all))
		}
		for _, m := range all {
			t.Run(provider+"/"+m.what, func(t *testing.T) {
				lang := jsonata.NewLanguage(golden.Clock, rand.Reader, jsonata.Limits{})
				docs, found := engine.Load(lang, engine.Layer{FS: mappings.FS, Path: "mappings", Only: provider},
					engine.Layer{FS: fstest.MapFS{provider + "/" + m.file: {Data: []byte(m.text)}}, Path: "mutant"})
				for _, d := range found {
					if d.Code != "E022-unknown-binding" {
						t.Fatalf("the mutant itself is broken: %s\n%s", d, m.text)
					}
				}
				c, _ := engine.Compile(docs, known)
				s := newGoldenServer(t, c)
				for _, kase := range connecting {
					if kase.run(c, provider) != "" {
						return
					}
				}
				for _, kase := range cases {
					result, err := golden.RunHandler(context.Background(), func(d engine.Doer, a golden.Account) (http.Handler, error) {
						return s.handler(d, a), nil
					}, kase)
					if err != nil {
						t.Fatal(err)
					}
					if result.State != golden.Passed {
						return
					}
				}
				t.Error("broken, and every case still passes")
			})
		}
	}
}
