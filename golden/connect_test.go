package golden_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/golden"
	"portolan/jsonata"
)

const (
	connectFile = "cases/acme/connect/one.txtar"

	verified = "-- context.json --\n{\"site\":\"a\",\"key\":\"k\"}\n-- verify.request --\nGET https://a.example.com/v1/me?n=1\nX-Key: k\n" +
		"-- verify.response --\n401\n{\"why\":\"no such key\"}\n-- verify.error --\n401 acme: me.get: provider: no such key\n"
	connected = "-- token.json --\n{\"where\":\"b\"}\n-- settings.json --\n{\"site\":\"b\"}\n" +
		"-- endpoints --\nhttps://a.example.com/consent\nhttps://a.example.com/token\nread\nwrite\n"
)

func acme(tb testing.TB, integration string) *engine.Catalog {
	tb.Helper()
	docs, found := engine.Load(jsonata.NewLanguage(golden.Clock, nil, jsonata.Limits{}), engine.Layer{FS: fstest.MapFS{"acme/integration.yaml": {Data: []byte(integration)}}})
	catalog, more := engine.Compile(docs, nil, nil)
	if found = append(found, more...); found.Failed() {
		tb.Fatal(found)
	}
	return catalog
}

const acmeIntegration = `format: portolan/integration/v1
name: acme
base_url: https://{site}.example.com/v1
credentials:
  - {name: site, required: true, enum: [a, b]}
  - {name: key, secret: true, required: true}
authorization: {headers: {X-Key: context.key}}
verify: me.get
oauth2:
  authorize_url: https://{site}.example.com/consent
  token_url: https://{site}.example.com/token
  scopes: [read, write]
  replaces: [key]
  settings: {site: token.where}
errors: {message: error.why}
resources: {me: {get: {method: GET, path: /me, query: {n: '1'}}}}
`

func TestRunConnect(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, diff string }{
		"as listed":      {"", "", ""},
		"path":           {"path: /me", "path: /you", "+GET https://a.example.com/v1/you?n=1"},
		"verb":           {"method: GET", "method: POST", "+POST https://a.example.com/v1/me?n=1"},
		"host":           {"example.com/v1", "example.net/v1", "+GET https://a.example.net/v1/me?n=1"},
		"header":         {"X-Key: c", "X-Token: c", "+X-Token: k"},
		"parameter":      {"n: '1'", "n: '2'", "+GET https://a.example.com/v1/me?n=2"},
		"message":        {"error.why", "error.because", "-401 acme: me.get: provider: no such key"},
		"status":         {"errors: {", "errors: {status: '403', ", "+403 acme: me.get: provider: no such key"},
		"no verify":      {"verify: me.get\n", "", "-GET https://a.example.com/v1/me?n=1"},
		"setting":        {"token.where", "token.there", `-  "site": "b"`},
		"consent page":   {"/consent", "/agree", "+https://a.example.com/agree"},
		"token endpoint": {"/token\n", "/tokens\n", "+https://a.example.com/tokens"},
		"scopes":         {"[read, write]", "[read]", "-write"},
		"allowed value":  {"[a, b]", "[b]", `+acme: me.get: credential "site" must be one of b`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(acmeIntegration, tt.from, tt.to, 1)
			c, problems := golden.Parse(connectFile, []byte(verified+connected))
			if len(problems) > 0 || tt.from != "" && text == acmeIntegration {
				t.Fatal(problems)
			}
			got := golden.RunConnect(t.Context(), acme(t, text), c)
			if (got.State == golden.Passed) != (tt.diff == "") || !strings.Contains(got.Diff, tt.diff) {
				t.Errorf("%s:\n%s", got.State, got.Diff)
			}
			updated, problems := golden.Parse(connectFile, c.Update(got))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if again := golden.RunConnect(t.Context(), acme(t, text), updated); again.State != golden.Passed {
				t.Errorf("after the update: %s", again.Diff)
			}
			if name == "as listed" {
				if diff := cmp.Diff(verified+connected, string(c.Update(got))); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestParseConnect(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":         {"# nothing\n", "the case has no sections"},
		"unknown section": {verified + "-- notes --\nx\n", "section notes is unexpected"},
		"no answer":       {"-- verify.request --\nGET https://a.example.com\n", "section verify.response is missing"},
		"no token":        {"-- settings.json --\n{}\n", "section token.json is missing"},
		"not an object":   {"-- token.json --\n[]\n", "section token.json: must be an object"},
	} {
		t.Run(name, func(t *testing.T) {
			c, problems := golden.Parse(connectFile, []byte(tt.text))
			if c != nil || len(problems) != 1 || problems[0].Error() != connectFile+": "+tt.want {
				t.Errorf("got %v, want %s", problems, tt.want)
			}
		})
	}
	c, _ := golden.Parse(connectFile, []byte(verified))
	if !c.Connects() || !c.Refused() || c.Name != "acme/connect/one" || c.Provider != "acme" {
		t.Errorf("%+v", c)
	}
}
