package engine_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/mappings"
	"portolan/source"
)

// compileKnown compiles one method. Its model is that of update, whatever its name.
func compileKnown(t *testing.T, integration, mapping string, known engine.Probed) *engine.Plan {
	t.Helper()
	docs, _ := engine.Load(testLanguage(), engine.Layer{FS: fstest.MapFS{
		"acme/integration.yaml": {Data: []byte(integration)}, "acme/ticketing.yaml": {Data: []byte(mapping)},
	}})
	models := unifiedModels(t)
	models[engine.Operation{Model: "ticketing", Resource: "users", Method: "create"}] = models[engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}]
	catalog, _ := engine.Compile(docs, models, known)
	return catalog.Plans()[0]
}

const knownMapping = `format: portolan/mapping/v1
model: ticketing
resources:
  users:
    update:
      call: people.update
      request_body_schema:
        properties:
          first_name: {}
          roles: {minItems: 1, maxItems: 1, items: {properties: {id: {enum: ["a b", "c"], x-provider-values: true}}}}
      request_body_mapping: '{"first": body.first_name, "role": body.roles[0].id}'
`

// Only a mapping whose content is exactly the same is not probed again. One that probing reports
// something about is always probed.
func TestProbedMappingIsNotProbedAgain(t *testing.T) {
	cold := compileKnown(t, acmeIntegration, knownMapping, nil)
	if cold.Probed() == "" || !cold.Support().Names("first_name") {
		t.Fatalf("%q %v", cold.Probed(), supportOf(cold))
	}
	marked := engine.Probed{cold.Probed(): engine.Support{Query: []string{"marked"}}}
	warm := compileKnown(t, acmeIntegration, knownMapping, marked)
	if diff := cmp.Diff(engine.Support{Query: []string{"marked"}}, *warm.Support()); diff != "" || warm.Probed() != cold.Probed() || warm.Version() != cold.Version() {
		t.Errorf("it was probed: %s", diff)
	}
	for _, change := range [][2]string{
		{`"a b"`, `"a  b"`}, // a version ignores the blank, what probing finds does not
		{"body.first_name", "body.last_name"},
		{"    update:\n", "    create:\n"},
		{"first_name: {}", "first_name: {maxLength: 9}"},
		{"api.example.com", "example.com"},
	} {
		plan := compileKnown(t, strings.Replace(acmeIntegration, change[0], change[1], 1), strings.Replace(knownMapping, change[0], change[1], 1), marked)
		if plan.Probed() == cold.Probed() || len(plan.Support().Query) > 0 {
			t.Errorf("%s: not probed", change[1])
		}
		if same := change[0] == `"a b"`; same != (plan.Version() == cold.Version()) {
			t.Errorf("%s: the version is %s, that of the mapping without it %s", change[1], plan.Version(), cold.Version())
		}
	}
	broken := compileKnown(t, acmeIntegration, strings.Replace(knownMapping, "first_name: {}", "first_name: {}\n          last_name: {}", 1), nil)
	if broken.Probed() != "" {
		t.Error("the findings of a mapping would be lost")
	}
}

// The built-in mappings are the same if they are known.
func TestKnownMappingsAreEqual(t *testing.T) {
	load := func(known engine.Probed) *engine.Catalog {
		docs, _ := engine.Load(testLanguage(), engine.Layer{FS: mappings.FS, Path: "mappings"})
		catalog, found := engine.Compile(docs, unifiedModels(t), known)
		if len(found) > 0 {
			t.Fatal(found)
		}
		return catalog
	}
	known := engine.Probed{}
	cold := load(nil)
	for _, p := range cold.Plans() {
		known[p.Probed()] = *p.Support()
	}
	warm := load(known)
	if len(known) != len(cold.Plans()) || len(warm.Plans()) != len(cold.Plans()) {
		t.Fatalf("%d known of %d", len(known), len(cold.Plans()))
	}
	for i, p := range cold.Plans() {
		if diff := cmp.Diff(p.Support(), warm.Plans()[i].Support()); diff != "" || p.Version() != warm.Plans()[i].Version() {
			t.Errorf("%s: %s", p.Version(), diff)
		}
	}
}

// Mappings are compiled in parallel. Their findings do not depend on it.
func TestFindingsDoNotDependOnProcessors(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 12 {
		name := fmt.Sprintf("acme%02d", i)
		files[name+"/integration.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(acmeIntegration, "acme", name, 1) + "odd: 1\n")}
		files[name+"/ticketing.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(knownMapping, "first_name: {}", "last_name: {}", 1))}
	}
	files["empty/other.yaml"] = &fstest.MapFile{Data: []byte("a: b\n")}
	lint := func() source.Diagnostics {
		docs, found := engine.Load(testLanguage(), engine.Layer{FS: files})
		_, more := engine.Compile(docs, unifiedModels(t), nil)
		return append(found, more...).Sorted()
	}
	want := lint()
	if len(want) != 12*3+5 {
		t.Errorf("%d findings: %v", len(want), want)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if diff := cmp.Diff(want, lint()); diff != "" {
		t.Error(diff)
	}
}
