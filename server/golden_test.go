package server_test

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/golden"
	"portolan/server"
	"portolan/upstream"
)

var update = flag.Bool("update", false, "rewrite what golden cases expect")

func goldenCases(t *testing.T) []*golden.Case {
	t.Helper()
	cases, errs := golden.Load(os.DirFS("../testdata"), "cases", nil)
	for _, err := range errs {
		t.Error(err)
	}
	cases = slices.DeleteFunc(cases, (*golden.Case).Connects)
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
	face := golden.Face{Failed: server.ErrorAnswer, Read: func(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
		return server.ReadCall(snapshot, verb, target, body)
	}}
	applicable := 0
	for _, kase := range goldenCases(t) {
		t.Run(kase.Name, func(t *testing.T) {
			result := golden.RunGateway(t.Context(), face, gatewayFor, kase)
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

// Each provider has cases of how an account connects, one of them with credentials that are refused.
func TestConnecting(t *testing.T) {
	c := catalog(t)
	cases, _ := golden.Load(os.DirFS("../testdata"), "cases", nil)
	refused := map[string]bool{}
	for _, kase := range cases {
		if !kase.Connects() {
			continue
		}
		result := golden.RunConnect(t.Context(), c, kase)
		if result.State != golden.Passed {
			t.Errorf("%s\n%s", kase.Name, result.Diff)
		}
		refused[kase.Provider] = refused[kase.Provider] || kase.Refused()
	}
	for _, in := range c.Integrations() {
		if !refused[in.Name] {
			t.Errorf("%s: no case of credentials that are refused", in.Name)
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
