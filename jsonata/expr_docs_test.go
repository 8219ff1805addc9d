package jsonata

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/expressions.md documents every function, its examples are true, and it lists every
// difference from the reference implementation.
func TestExpressionsPage(t *testing.T) {
	file, err := os.ReadFile("../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(file)
	l := testLanguage(Limits{})

	example := regexp.MustCompile("(?m)\\| `([^`]+)` \\| `([^`]+)` \\|$")
	examples := example.FindAllStringSubmatch(page, -1)
	if len(examples) < 60 {
		t.Errorf("%d examples only", len(examples))
	}
	for _, m := range examples {
		if diff := cmp.Diff(m[2], evalText(t, l, m[1], `{}`)); diff != "" {
			t.Errorf("%s: (-page +got)\n%s", m[1], diff)
		}
	}

	asInJSONata := []string{"filter", ownPrefix + "applied"}
	for name := range library(nil, nil) {
		if !slices.Contains(refusedFunctions, name) && !strings.Contains(page, "`$"+name+"(") {
			t.Errorf("$%s is not documented", name)
		}
	}
	for name := range libraryInJSONata {
		if !slices.Contains(asInJSONata, name) && !strings.Contains(page, "`$"+name+"(") {
			t.Errorf("$%s is not documented", name)
		}
	}
	for _, name := range refusedFunctions {
		if !strings.Contains(page, "`$"+name+"`") {
			t.Errorf("$%s is not said to be refused", name)
		}
	}

	var differences []oracleDifference
	readJSONFile(t, "testdata/oracle/differences.json", &differences)
	for _, d := range differences {
		if row := fmt.Sprintf("` | %s | %d |\n", d.Reason, len(d.Cases)); d.Reason == "" || !strings.Contains(page, row) {
			t.Errorf("the page misses the difference %s", row)
		}
	}
	differences = nil
	readJSONFile(t, "testdata/library/differences.json", &differences)
	for _, d := range differences {
		if row := fmt.Sprintf("- %s (%d).\n", d.Reason, len(d.Cases)); d.Reason == "" || !strings.Contains(page, row) {
			t.Errorf("the page misses the difference %s", row)
		}
	}
	for _, name := range methods {
		if !strings.Contains(page, name+"(") {
			t.Errorf("the function %s of objects is not documented", name)
		}
	}
	cases, _ := readOracle(t)
	if want := fmt.Sprintf("Measured on %d expressions", len(cases)); !strings.Contains(page, want) {
		t.Errorf("the page misses %q", want)
	}
}
