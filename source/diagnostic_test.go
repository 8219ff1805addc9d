package source_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/source"
)

func TestDiagnosticsSorted(t *testing.T) {
	at := func(file string, line, col int) source.Pos { return source.Pos{File: file, Line: line, Col: col} }
	var found source.Diagnostics
	found.Errorf(at("b.yaml", 1, 1), "E005-missing-key", "key %q is missing", "a")
	found.Errorf(at("a.yaml", 10, 1), "E006-bad-value", "late")
	found.Warnf(at("a.yaml", 2, 10), "W001-any", "right")
	found.Hintf("do %s", "this")
	found.Errorf(at("a.yaml", 2, 9), "E006-bad-value", "b")
	found.Errorf(at("a.yaml", 2, 9), "E006-bad-value", "a")
	found.Errorf(at("a.yaml", 2, 9), "E005-missing-key", "c")
	found.Errorf(at("a.yaml", 2, 9), "E006-bad-value", "a") // again
	before := fmt.Sprint(found)
	var got []string
	for _, d := range found.Sorted() {
		got = append(got, d.Severity.String()+" "+d.String())
	}
	want := []string{
		"error a.yaml:2:9: E005-missing-key: c",
		"error a.yaml:2:9: E006-bad-value: a",
		"error a.yaml:2:9: E006-bad-value: b",
		"warning a.yaml:2:10: W001-any: right (do this)",
		"error a.yaml:10:1: E006-bad-value: late",
		`error b.yaml:1:1: E005-missing-key: key "a" is missing`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, fmt.Sprint(found)); diff != "" {
		t.Errorf("Sorted changed the findings: %s", diff)
	}
}

func TestDiagnosticsAreCapped(t *testing.T) {
	var found source.Diagnostics
	for line := 2 * source.MaxDiagnostics; line > 0; line-- {
		found.Errorf(source.Pos{File: "a.yaml", Line: line, Col: 1}, "E006-bad-value", "bad")
	}
	if got := found.Sorted(); len(got) != source.MaxDiagnostics || got[0].Pos.Line != 1 || got[source.MaxDiagnostics-1].Pos.Line != source.MaxDiagnostics {
		t.Errorf("%d findings, want the first %d: %v", len(got), source.MaxDiagnostics, got)
	}
}

func TestDiagnosticsFailed(t *testing.T) {
	var found source.Diagnostics
	if found.Failed() {
		t.Error("Failed without findings")
	}
	if found.Warnf(source.Pos{}, "W001-any", "odd"); found.Failed() {
		t.Error("Failed with a warning only")
	}
	if found.Errorf(source.Pos{}, "E006-bad-value", "bad"); !found.Failed() {
		t.Error("not Failed with an error")
	}
}
