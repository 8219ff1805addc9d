package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Col are 1-based; Col counts runes.
// The zero Pos means "no place".
type Pos struct {
	File string
	Line int
	Col  int
}

// String returns file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Severity is whether a Diagnostic refuses the file.
type Severity int

// SeverityError refuses the file; SeverityWarning is only shown.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// MaxDiagnostics is the maximum number of findings that one load reports.
const MaxDiagnostics = 100

// Diagnostic is one problem in a file.
type Diagnostic struct {
	Code     string // stable and searchable, "E012-unknown-key"
	Severity Severity
	Pos      Pos
	Message  string // one lower-case sentence
	Hint     string // may be empty
}

// String returns "file:line:col: code: message (hint)".
func (d Diagnostic) String() string {
	s := fmt.Sprintf("%s: %s: %s", d.Pos, d.Code, d.Message)
	if d.Hint != "" {
		s += " (" + d.Hint + ")"
	}
	return s
}

// Diagnostics collects the findings of one load.
type Diagnostics []Diagnostic

// Errorf adds an error without a hint.
func (d *Diagnostics) Errorf(pos Pos, code, format string, args ...any) {
	*d = append(*d, Diagnostic{Code: code, Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// Hintf sets the hint of the finding added last.
func (d *Diagnostics) Hintf(format string, args ...any) {
	(*d)[len(*d)-1].Hint = fmt.Sprintf(format, args...)
}

// Suggest adds the known name that is nearest to name as a hint to the finding added last, and
// reports whether there is one.
func (d *Diagnostics) Suggest(name string, known []string) bool {
	near := Nearest(name, known)
	if near != "" {
		d.Hintf("did you mean %q?", near)
	}
	return near != ""
}

// Warnf adds a warning.
func (d *Diagnostics) Warnf(pos Pos, code, format string, args ...any) {
	*d = append(*d, Diagnostic{Code: code, Severity: SeverityWarning, Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// Sorted returns the findings by file, line, column and code, without repetitions,
// at most MaxDiagnostics of them.
func (d Diagnostics) Sorted() Diagnostics {
	out := slices.Clone(d)
	slices.SortStableFunc(out, func(a, b Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.Pos.File, b.Pos.File), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col,
			strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message))
	})
	out = slices.Compact(out)
	if len(out) > MaxDiagnostics {
		out = out[:MaxDiagnostics]
	}
	return out
}

// Failed reports whether any finding is an error.
func (d Diagnostics) Failed() bool {
	return slices.ContainsFunc(d, func(x Diagnostic) bool { return x.Severity == SeverityError })
}
