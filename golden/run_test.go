package golden_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/golden"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/schemas"
	"portolan/server"
)

func catalog(tb testing.TB) *engine.Catalog {
	tb.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		tb.Fatal(err)
	}
	docs, found := engine.Load(jsonata.NewLanguage(golden.Clock, rand.Reader, jsonata.Limits{}), engine.Layer{FS: mappings.FS, Only: "hive"})
	catalog, more := engine.Compile(docs, gateway.Models(unified), nil)
	for _, d := range append(found, more...) {
		tb.Fatal(d)
	}
	return catalog
}

var face = golden.Face{Read: read, Failed: server.ErrorAnswer}

// read replaces the server's: it refuses users/refused only.
func read(_, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return gateway.Target{}, nil, &gateway.Problem{Status: 400, Message: err.Error()}
	}
	id := u.Path[strings.LastIndex(u.Path, "/")+1:]
	if id == "refused" {
		return gateway.Target{}, nil, &gateway.Problem{Status: 400, Message: "refused"}
	}
	object, err := engineBody(body)
	if err != nil {
		return gateway.Target{}, nil, &gateway.Problem{Status: 400, Message: err.Error()}
	}
	in := &gateway.Input{Body: object, Query: map[string]any{}}
	if exclude := u.Query().Get("truto_exclude_fields"); exclude != "" {
		in.Options.Exclude = []string{exclude}
	}
	op := engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}
	return gateway.Target{Operation: op, AccountID: "1", ID: id}, in, nil
}

// gatewayFor returns a gateway whose only account is the case's.
func gatewayFor(tb testing.TB, catalog *engine.Catalog) golden.GatewayFor {
	tb.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, found, err := gateway.NewSnapshot(catalog, unified)
	if err != nil || len(found) > 0 {
		tb.Fatal(found, err)
	}
	return func(doer engine.Doer, a golden.Account) *gateway.Gateway {
		return gateway.New(snapshot, engine.New(doer, golden.Clock), oneAccount{a})
	}
}

type oneAccount struct{ account golden.Account }

func (a oneAccount) Account(context.Context, string, string) (accounts.Account, error) {
	return accounts.Account{ID: a.account.ID, Integration: a.account.Integration, Context: a.account.Context}, nil
}

func hiveCases(tb testing.TB) map[string]*golden.Case {
	tb.Helper()
	cases, problems := golden.Load(os.DirFS("testdata"), ".", []string{"hive"})
	for _, p := range problems {
		tb.Error(p)
	}
	out := map[string]*golden.Case{}
	for _, c := range cases {
		out[c.Name[strings.LastIndex(c.Name, "/")+1:]] = c
	}
	return out
}

func TestRunGateway(t *testing.T) {
	const folder = "testdata/hive/ticketing.users.update/"
	tests := map[string]struct {
		base, old, replacement string
		state                  golden.State
		diff                   string
	}{
		"success":              {"names", "", "", golden.Passed, ""},
		"error":                {"user_not_found", "", "", golden.Passed, ""},
		"call differs":         {"names", `"firstName":"Ada","lastName":"Byron"}}` + "\n-- upstream.response", "}}\n-- upstream.response", golden.Failed, `+    "firstName": "Ada"`},
		"record differs":       {"names", `"name":"Ada Byron"`, `"name":"Ada"`, golden.Failed, `+  "name": "Ada Byron"`},
		"field excluded":       {"names", "?integrated", "?truto_exclude_fields=id&integrated", golden.Failed, `-  "id"`},
		"error status differs": {"user_not_found", "\n404\n", "\n400\n", golden.Failed, "+404"},
		"message differs":      {"user_not_found", `"message":"User not found","truto`, `"message":"Gone","truto`, golden.Failed, `+  "message": "User not found"`},
		"success for an error": {"user_not_found", "\n400\n{\"error\"", "\n200\n{\"error\"", golden.Failed, "+200"},
		"error for a success":  {"names", "\n200\n{\"id\":\"7hQm2ZtRk9BvXc4Ls\",\"profile\"", "\n500\n{\"id\":\"7hQm2ZtRk9BvXc4Ls\",\"profile\"", golden.Failed, "+500"},
	}
	gateways := gatewayFor(t, catalog(t))
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(folder + tt.base + golden.Extension)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(data), tt.old, tt.replacement, 1)
			c, problems := golden.Parse(folder+"x.txtar", []byte(text))
			if len(problems) > 0 || tt.old != "" && text == string(data) {
				t.Fatal("the replacement was not found", problems)
			}
			got := golden.RunGateway(t.Context(), face, gateways, c)
			if got.State != tt.state || !strings.Contains(got.Diff, tt.diff) {
				t.Errorf("%v:\n%s", got.State, got.Diff)
			}
		})
	}
	t.Run("refused before any call", func(t *testing.T) {
		text := strings.Replace(request, "users/u?", "users/refused?", 1) + account + "-- error --\n400\n"
		if got := golden.RunGateway(t.Context(), face, gateways, parse(t, text)); got.State != golden.NotApplicable {
			t.Error(got)
		}
	})
}

// Over sockets, calls are compared as in process, except for the client's headers.
func TestUpstreamOverSockets(t *testing.T) {
	c := parse(t, title+request+account+first+answer)
	for name, tt := range map[string]struct {
		path  string
		state golden.State
	}{
		"as listed": {"/v1/users/u?c=3&b=2", golden.Passed},
		"other":     {"/v1/users/u%2F?c=3&b=2", golden.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := golden.NewUpstream(c)
			provider := httptest.NewServer(upstream)
			defer provider.Close()
			got := send(t, "PUT", provider.URL+tt.path, `{"n":9007199254740993}`)
			if got.Status != 200 || string(got.Body) != `{"id":"u"}` || !hasHeader(got, "Content-Type", "application/json") {
				t.Errorf("%+v", got)
			}
			r := upstream.Compare(golden.Message{Status: 200, Header: []golden.Header{{Name: "Etag", Value: `"1"`}}, Body: []byte(`{"id":"u"}`)})
			if r.State != tt.state {
				t.Error(r.State, r.Diff)
			}
			if extra := send(t, "PUT", provider.URL+tt.path, "{}"); extra.Status != http.StatusNotImplemented {
				t.Errorf("%+v", extra)
			}
			if r := upstream.Compare(golden.Message{}); !strings.Contains(r.Diff, "made, not listed") {
				t.Error(r.Diff)
			}
		})
	}
}

func send(tb testing.TB, method, target, body string) golden.Message {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("X-Key", "k")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	m, err := golden.ReadAnswer(res)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func hasHeader(m golden.Message, name, value string) bool {
	for _, h := range m.Header {
		if h.Name == name && h.Value == value {
			return true
		}
	}
	return false
}
