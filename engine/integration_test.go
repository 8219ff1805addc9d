package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const grantedIntegration = `format: portolan/integration/v1
name: acme
base_url: https://{site}.example.com
credentials:
  - {name: site, label: Site, required: true, pattern: '[a-z]+'}
  - {name: realm, enum: [eu, us], default: eu}
  - {name: zone, enum: [z1, z2]}
  - {name: api_key, secret: true, required: true}
authorization: {headers: {Authorization: 'context.access_token ? "Bearer " & context.access_token : context.api_key'}}
verify: people.me
oauth2:
  authorize_url: https://{site}.example.com/{realm}/authorize
  token_url: https://auth.example.com/{realm}/{zone}/token
  scopes: [read, write]
  replaces: [api_key]
  settings: {site: token.site, realm: token.realm.name}
resources:
  people:
    me: {method: GET, path: /me}
`

func grantedCatalog(t *testing.T) *engine.Catalog {
	t.Helper()
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte(grantedIntegration)},
		"bare/integration.yaml": {Data: []byte("format: portolan/integration/v1\nname: bare\nbase_url: https://example.com\nresources: {}\n")},
	}})
	c, more := engine.Compile(docs, engine.Models{}, nil)
	for _, d := range append(found, more...) {
		t.Error(d)
	}
	return c
}

func TestCheckContext(t *testing.T) {
	credentials := grantedCatalog(t).Integration("acme").Credentials
	for _, c := range []struct {
		name    string
		context engine.Context
		want    []string
	}{
		{"a key", engine.Context{"site": "a", "api_key": "k"}, nil},
		{"a token in place of the key", engine.Context{"site": "a", "access_token": "t"}, nil},
		{"an empty token", engine.Context{"site": "a", "access_token": ""}, []string{`credential "api_key" is missing`}},
		{"a token that is no text", engine.Context{"site": "a", "access_token": 7.0}, []string{`credential "api_key" is missing`, `credential "access_token" must be text`}},
		{"a token replaces only what is said", engine.Context{"access_token": "t"}, []string{`credential "site" is missing`}},
		{"a line break", engine.Context{"site": "a", "api_key": "k\nX-Evil: 1"}, []string{`credential "api_key" contains a control character`}},
		{"NUL", engine.Context{"site": "a", "api_key": "k\x00"}, []string{`credential "api_key" contains a control character`}},
		{"a C1 control", engine.Context{"site": "a", "access_token": "k\u0085"}, []string{`credential "access_token" contains a control character`}},
		{"several", engine.Context{"site": "evil.com/", "realm": "mars", "api_key": "k"}, []string{`credential "site" does not match its pattern`, `credential "realm" must be one of eu, us`}},
		{"undeclared ones", engine.Context{"site": "a", "api_key": "k", "other": "\n"}, nil},
	} {
		if diff := cmp.Diff(c.want, engine.CheckContext(credentials, c.context)); diff != "" {
			t.Errorf("%s: differs (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestCatalogOfIntegrations(t *testing.T) {
	c := grantedCatalog(t)
	var names []string
	for _, cr := range c.Integration("acme").Credentials {
		names = append(names, cr.Name)
		if granted := cr.Name == engine.AccessToken; cr.Granted != granted || cr.Replaced != (cr.Name == "api_key") || granted && !cr.Secret {
			t.Errorf("credential %+v", cr)
		}
	}
	if diff := cmp.Diff([]string{"site", "realm", "zone", "api_key", "access_token"}, names); diff != "" {
		t.Errorf("credentials differ (-want +got):\n%s", diff)
	}
	acme, bare := c.Integration("acme"), c.Integration("bare")
	if acme.Label != "acme" || acme.BaseURL != "https://{site}.example.com" || c.Integration("none") != nil || len(c.Integrations()) != 2 {
		t.Errorf("the catalog has %+v", c.Integrations())
	}
	if bare.Verify != nil || bare.OAuth != nil || len(bare.Credentials) > 0 {
		t.Error("bare has what it does not declare")
	}
	if acme.Verify.Name != "people.me" || !strings.HasPrefix(acme.Verify.Version(), "acme/people.me@") {
		t.Errorf("verify is %s, version %s", acme.Verify.Name, acme.Verify.Version())
	}
}

func TestOAuthEndpoints(t *testing.T) {
	o := grantedCatalog(t).Integration("acme").OAuth
	if diff := cmp.Diff([]string{"read", "write"}, o.Scopes); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		account engine.Context
		want    [3]string
	}{
		{engine.Context{"site": "a", "zone": "z1"}, [3]string{"https://a.example.com/eu/authorize", "https://auth.example.com/eu/z1/token"}},
		{engine.Context{"site": "b", "realm": "us", "zone": "z2"}, [3]string{"https://b.example.com/us/authorize", "https://auth.example.com/us/z2/token"}},
		{engine.Context{"site": "b", "access_token": "t"}, [3]string{2: `acme: oauth2: credential "zone" is missing`}},
		{engine.Context{"zone": "z1"}, [3]string{2: `acme: oauth2: credential "site" is missing`}},
		{engine.Context{"site": "evil.com/", "zone": "z1"}, [3]string{2: `acme: oauth2: credential "site" does not match its pattern`}},
		{engine.Context{"site": "a", "realm": "x/../", "zone": "z1"}, [3]string{2: `acme: oauth2: credential "realm" must be one of eu, us`}},
		{engine.Context{"site": []any{"a"}, "zone": "z1"}, [3]string{2: `acme: oauth2: credential "site" must be text`}},
	} {
		authorize, token, err := o.Endpoints(c.account)
		got := [3]string{authorize, token}
		if err != nil {
			got[2] = err.Error()
			if failed, ok := errors.AsType[*engine.Error](err); !ok || failed.Kind != engine.KindAccount {
				t.Errorf("%v is no account error", err)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("differs (-want +got):\n%s", diff)
		}
	}
}

func TestOAuthSettings(t *testing.T) {
	o := grantedCatalog(t).Integration("acme").OAuth
	for _, c := range []struct {
		answer, want map[string]any
		fails        bool
	}{
		{map[string]any{"site": "a", "realm": map[string]any{"name": "eu"}}, map[string]any{"site": "a", "realm": "eu"}, false},
		{map[string]any{"site": "", "realm": nil}, map[string]any{}, false},
		{map[string]any{"site": 7.0}, map[string]any{"site": "7"}, false},
		{nil, map[string]any{}, false},
		{map[string]any{"site": map[string]any{"x": "canary"}}, nil, true},
		{map[string]any{"site": []any{"canary"}}, nil, true},
	} {
		got, err := o.Settings(t.Context(), c.answer)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v: differs (-want +got):\n%s", c.answer, diff)
		}
		failed, ok := errors.AsType[*engine.Error](err)
		if ok != c.fails || ok && (failed.Kind != engine.KindMapping || failed.Pos.Line != 16 || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%v: got %v", c.answer, err)
		}
	}
}
