package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/jsonata"
	"portolan/source"
)

// What a probe cannot show ends at run time, at the expression's place.
func TestOverrideFailsAtRunTime(t *testing.T) {
	for name, c := range map[string]struct {
		l    engine.OverrideLayer
		file string
	}{
		"a loop":       {layer("account", `( $f := function($x) { $f($x) }; id = "7" ? { "a": $f(1) } )`, "", "", false), "account/request_body_mapping"},
		"no object":    {layer("account", "", `id = "7" ? [1]`, "", false), "account/query_mapping"},
		"no number":    {layer("account", "", "", `{ "name": response.first + 1 }`, false), "account/response_mapping"},
		"50 MB":        {layer("account", "", "", `response.first ? { "name": [1..6000000] }`, false), "account/response_mapping"},
		"doubled text": {layer("account", "", "", `response.first ? { "name": $length($reduce([1..40], function($s, $i) { $s & $s }, "0123456789")) }`, false), "account/response_mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			limits := jsonata.Limits{EvalTimeout: 3 * time.Second}
			if name == "a loop" { // the one that the deadline ends
				limits = jsonata.Limits{}
			}
			catalog, base := overriddenCatalog(t, limits)
			plan, found := catalog.Override("", base, c.l)
			if found.Failed() {
				t.Fatal(found)
			}
			req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
			_, _, _, err := carriedOut(t, plan, req, `{"id":1,"first":"Ada"}`)
			failed, ok := errors.AsType[*engine.Error](err)
			if !ok || failed.Kind != engine.KindMapping || failed.Pos != (source.Pos{File: c.file, Line: 1, Col: 1}) || strings.Contains(err.Error(), "Ada") {
				t.Errorf("got %v, want a mapping error at %s:1:1", err, c.file)
			}
		})
	}
}

// What costs too much whatever the data is refused when it is saved.
func TestOverrideCostsAreShown(t *testing.T) {
	for name, src := range map[string]string{
		"result: larger than the limit":      `{ "name": [1..6000000] }`,
		"expression uses too much memory":    `{ "name": $length($reduce([1..40], function($s, $i) { $s & $s }, "0123456789")) }`,
		"U1001: recursion is too deep":       `( $f := function($x) { 1 + $f($x) }; { "name": $f(1) } )`,
		"result: nested deeper than 1000 le": `{ "name": $reduce([1..1100], function($s, $i) { { "s": $s } }, 1) }`,
		"":                                   `{ "name": 1 + response.first & $error(response.nick) }`, // for want of data
	} {
		catalog, base := overriddenCatalog(t, jsonata.Limits{EvalTimeout: 3 * time.Second})
		_, found := catalog.Override("", base, layer("a", "", "", src, false))
		switch {
		case name == "" && len(found) > 0:
			t.Errorf("%s: %v", src, found)
		case name != "" && (len(found) != 1 || found[0].Code != "E047-costly-override" || !strings.HasPrefix(found[0].Message, name)):
			t.Errorf("%s: %v, want %s", src, found, name)
		}
	}
}

func TestOverrideSourceIsLimited(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	_, found := catalog.Override("", base, layer("a", "", "", `{ "name": "`+strings.Repeat("x", 16<<10)+`" }`, false))
	if len(found) != 1 || found[0].Code != "E020-bad-expression" || found[0].Pos != (source.Pos{File: "a/response_mapping", Line: 1, Col: 1}) {
		t.Errorf("found %v", found)
	}
}

// Places count runes and lines of the expression itself.
func TestOverridePlaces(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{})
	_, found := catalog.Override("", base, layer("a", "", "", "\n  { \"näme\": 1,\r\n    \"é\": respons.x,\n\t\"b\": $nope(1) }", false))
	var got []string
	for _, d := range found {
		got = append(got, fmt.Sprintf("%s %s", d.Pos, d.Code))
	}
	if diff := cmp.Diff([]string{"a/response_mapping:3:10 E022-unknown-binding", "a/response_mapping:4:7 E021-unknown-function"}, got); diff != "" {
		t.Errorf("places differ (-want +got):\n%s", diff)
	}
}
