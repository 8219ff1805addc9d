package golden_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/golden"
	"portolan/jsonata"
)

// Each line is the place of a change and the change. The changed file is the original but for that.
func TestMutants(t *testing.T) {
	const file = `format: portolan/integration/v1
name: acme
label: Acme
base_url: https://{site}.example.com/v1
credentials:
  - {name: site, required: true, enum: [a, b], default: a}
authorization:
  headers: {X-Key: '"k" & context.site'}
errors:
  status: |
    status = 418 ? 429
resources:
  me: {get: {method: GET, path: '/{id}/me.json', repeatable: true}}
`
	fsys := fstest.MapFS{"acme/integration.yaml": {Data: []byte(file)}}
	docs, found := engine.Load(jsonata.NewLanguage(golden.Clock, nil, jsonata.Limits{}), engine.Layer{FS: fsys})
	if len(found) > 0 {
		t.Fatal(found)
	}
	var got []string
	for _, m := range golden.Mutants("acme/integration.yaml", []byte(file), docs.Expressions) {
		got = append(got, fmt.Sprintf("%d:%d %s", m.Pos.Line, m.Pos.Col, m.What))
		changed := 0
		for _, text := range []string{`"https://{site}.example.com/v1"`, `"\"k\" & context.site"`, `"status = 418 ? 429\n"`, `"/{id}/me.json"`, `"default":"a"`, `"required":true`, `"GET"`, `["a","b"]`} {
			if !strings.Contains(string(m.Source), text) {
				changed++
			}
		}
		if changed == 0 || changed > 1 && !strings.HasPrefix(m.What, "drop ") {
			t.Errorf("%s: %d changes: %s", m.What, changed, m.Source)
		}
	}
	want := []string{
		"4:1 drop base_url",
		"4:11 {site}.example.com → {site}.example.comx",
		"4:11 v1 → v1x",
		"5:1 drop credentials",
		"6:5 drop item 1 of credentials",
		"6:18 drop required",
		"6:34 drop enum",
		"6:41 drop item 1 of enum",
		"6:44 drop item 2 of enum",
		"6:48 drop default",
		"6:57 a → ax",
		"7:1 drop authorization",
		"8:3 drop headers",
		"8:13 drop X-Key",
		`8:21 "k" & context.site → ("k")`,
		`8:21 "k" & context.site → (context.site)`,
		`8:21 "k" → "xk"`,
		"8:27 context → xcontext",
		"8:35 site → xsite",
		"9:1 drop errors",
		"10:3 drop status",
		"11:5 status = 418 ? 429 → (429)",
		"11:5 status = 418 ? 429 → ()",
		"11:12 = → !=",
		"11:5 status → xstatus",
		"11:14 418 → 419",
		"11:20 429 → 430",
		"12:1 drop resources",
		"13:3 drop me",
		"13:8 drop get",
		"13:14 drop method",
		"13:22 GET → POST",
		"13:27 drop path",
		"13:33 me.json → me.jsonx",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What lint compares with the mapping is not a change that a case can notice.
func TestMutantsOfSchemas(t *testing.T) {
	const file = "request_body_schema: {properties: {first_name: {}, emails: {maxItems: 1}, label: {type: 'null'}}}\n"
	var got []string
	for _, m := range golden.Mutants("x.yaml", []byte(file), nil) {
		got = append(got, m.What)
	}
	want := []string{
		"drop request_body_schema", "drop properties", "drop emails", "drop maxItems", "1 → 2",
		"drop label", "drop type", "null → nullx",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
