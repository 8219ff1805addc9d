package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mistakes has one mistake of each kind.
const mistakes = `format: portolan/sandbox/v1
demo: {integrated_account_id: x, contxt: {}}
setings: {}
collections:
  users:
    key: id
    records: [{id: 1}, {id: "1"}, {name: x}]
answers:
  gone: {status: 404, body: '1', text: '"x"'}
checks:
  known: {when: found.user}
views:
  shown: record.(
guard: [nown, {when: $nosuch(1), answer: gon}]
no_route: gone
routes:
  - route: get users
    answer: gone
  - route: GET /users/{id}/{id}
    find: {a: {of: nobody, view: show}}
    put: {user: found.a}
    answer: gone
  - route: GET /users
    answer: {body: '1'}
  - route: GET /users
    answer: gone
faults:
  slow: {on: [GET /user], like: slowly}
  mine: {answer: gone}
  none: {description: nothing}
  both: {description: two, answer: gone, like: slow}
oauth2:
  client_id: ""
  authorize: oauth
  token: /oauth/{id}
  revoke: /oauth/{id}
  code_lifetime: 0s
  expires_in: 1500ms
  refresh: rotated
  pkce: plain
  caller: token
  answer: nobody
`

const mistakesFound = `
bad.yaml:2:7: E005-missing-key: key "context" is missing
bad.yaml:2:7: E005-missing-key: key "sample_id" is missing
bad.yaml:2:34: E012-unknown-key: unknown key "contxt" (did you mean "context"?)
bad.yaml:3:1: E012-unknown-key: unknown key "setings" (did you mean "settings"?)
bad.yaml:7:24: E002-duplicate-key: a record with id 1 occurs twice
bad.yaml:7:35: E006-bad-value: record has no "id" as its key
bad.yaml:9:9: E006-bad-value: an answer cannot have both body and text
bad.yaml:11:10: E005-missing-key: key "answer" is missing
bad.yaml:13:17: E020-bad-expression: "(" is never closed (JSONata S0201)
bad.yaml:14:9: E006-bad-value: "nown" is not one of known (did you mean "known"?)
bad.yaml:14:22: E021-unknown-function: unknown function "$nosuch"
bad.yaml:14:42: E006-bad-value: "gon" is not one of gone (did you mean "gone"?)
bad.yaml:17:12: E006-bad-value: "get users" is not a valid route, want a method and a path: GET /users/{id}
bad.yaml:19:12: E006-bad-value: "GET /users/{id}/{id}" is not a valid route: a segment has at most one {variable}, and names are unique
bad.yaml:20:20: E022-unknown-binding: unknown binding "nobody" (bindings here: request, params, state, found, grant, facts, settings, now, serial)
bad.yaml:20:34: E006-bad-value: "show" is not one of shown (did you mean "shown"?)
bad.yaml:21:11: E012-unknown-key: unknown key "user" (did you mean "users"?)
bad.yaml:24:13: E005-missing-key: key "status" is missing
bad.yaml:25:12: E002-duplicate-key: route "GET /users" occurs twice
bad.yaml:28:15: E006-bad-value: "GET /user" is not one of get users, GET /users/{id}/{id}, GET /users, GET /users (did you mean "GET /users"?)
bad.yaml:28:33: E006-bad-value: "slowly" is not one of rate_limited, server_error, html, truncated, reset, slow, huge, redirect (did you mean "slow"?)
bad.yaml:29:9: E005-missing-key: key "description" is missing
bad.yaml:30:3: E005-missing-key: fault "none" needs one of answer, change, like
bad.yaml:31:3: E006-bad-value: fault "both" has answer and like, want one of them
bad.yaml:33:3: E005-missing-key: key "client_secret" is missing
bad.yaml:33:14: E006-bad-value: want text that is not empty
bad.yaml:34:14: E006-bad-value: "oauth" is not a valid path, for example /oauth/token
bad.yaml:35:10: E006-bad-value: "/oauth/{id}" is not a valid path, for example /oauth/token
bad.yaml:36:11: E002-duplicate-key: path "/oauth/{id}" occurs twice
bad.yaml:36:11: E006-bad-value: "/oauth/{id}" is not a valid path, for example /oauth/token
bad.yaml:37:18: E006-bad-value: "0s" is not a lifetime in whole seconds, for example 90s, 15m, 1h
bad.yaml:38:15: E006-bad-value: "1500ms" is not a lifetime in whole seconds, for example 90s, 15m, 1h
bad.yaml:39:12: E006-bad-value: "rotated" is not one of none, keep, rotate (did you mean "rotate"?)
bad.yaml:40:9: E006-bad-value: "plain" is not one of optional, required, ignored
bad.yaml:41:11: E022-unknown-binding: unknown binding "token" (bindings here: request, params, state, found, grant, facts, settings, now, serial)
bad.yaml:42:11: E022-unknown-binding: unknown binding "nobody" (bindings here: request, params, state, found, grant, facts, settings, now, serial, token)
`

func TestLoadReportsEveryMistake(t *testing.T) {
	t.Parallel()
	p, diags := Load("bad", "bad.yaml", []byte(mistakes), testLanguage())
	if p != nil {
		t.Error("got a provider")
	}
	var got strings.Builder
	for _, d := range diags {
		got.WriteString("\n" + d.String())
	}
	got.WriteString("\n")
	if diff := cmp.Diff(mistakesFound, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"empty", "", "f.yaml:1:1: E001-yaml-syntax: file is empty"},
		{"no YAML", "a: [", "f.yaml:1:1: E001-yaml-syntax: did not find expected node content"},
		{"a list", "[]", "f.yaml:1:1: E004-wrong-type: want an object, got a list"},
		{"another format", "format: portolan/mapping/v1", `f.yaml:1:9: E011-wrong-format: format is "portolan/mapping/v1", want "portolan/sandbox/v1"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, diags := Load("f", "f.yaml", []byte(tt.src), testLanguage())
			if p != nil || len(diags) != 1 || diags[0].String() != tt.want {
				t.Errorf("got %v, want %s", diags, tt.want)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(mistakes))
	f.Add([]byte(counter))
	language := testLanguage()
	f.Fuzz(func(t *testing.T, src []byte) {
		p, diags := Load("f", "f.yaml", src, language)
		if (p == nil) != diags.Failed() {
			t.Errorf("provider %v with diagnostics %v", p, diags)
		}
	})
}
