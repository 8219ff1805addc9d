package jsonata

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
)

// The functions that have the name of one in Truto's public library return what that returns.
// differences.json has the reasons for all others, and docs/expressions.md lists them.
func TestLibrary(t *testing.T) {
	file, err := os.ReadFile("testdata/library/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var differences []oracleDifference
	readJSONFile(t, "testdata/library/differences.json", &differences)
	known := make(map[string]string)
	for _, d := range differences {
		maps.Copy(known, d.Cases)
	}
	l := testLanguage(Limits{})
	for line := range bytes.Lines(file) {
		var c struct {
			Expr   string
			Answer json.RawMessage
			Error  bool
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		want := "undefined"
		switch {
		case c.Error:
			want = "error"
		case c.Answer != nil:
			want = canonical(t, c.Answer)
		}
		got := evalText(t, l, c.Expr, `{}`)
		switch {
		case strings.HasPrefix(got, "error: "):
			got = "error"
		case got != "undefined" && !strings.HasPrefix(got, "compile: "):
			got = canonical(t, []byte(got))
		}
		ours, listed := known[c.Expr]
		switch {
		case listed && got == want:
			t.Errorf("%s: the listed difference is gone", c.Expr)
		case listed && got != ours:
			t.Errorf("%s: listed as %s, got %s", c.Expr, ours, got)
		case !listed && got != want:
			t.Errorf("%s: the library %s, got %s", c.Expr, want, got)
		}
		delete(known, c.Expr)
	}
	for expr := range known {
		t.Errorf("differences.json has %s, which is not a case", expr)
	}
}
