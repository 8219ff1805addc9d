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

// String gives file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Severity says whether a Diagnostic refuses the mapping.
type Severity int

// SeverityError refuses the mapping; SeverityWarning is only told.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// String gives "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// MaxDiagnostics is how many findings one load reports at the most.
const MaxDiagnostics = 100

// Diagnostic is one load-time problem: the mapping author's, not a caller's.
type Diagnostic struct {
	Code     string // stable and searchable, "E012-unknown-key"
	Severity Severity
	Pos      Pos
	Message  string // one lower-case sentence
	Hint     string // may be empty
}

// String gives "file:line:col: code: message (hint)".
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

// Warnf adds a warning.
func (d *Diagnostics) Warnf(pos Pos, code, format string, args ...any) {
	*d = append(*d, Diagnostic{Code: code, Severity: SeverityWarning, Pos: pos, Message: fmt.Sprintf(format, args...)})
}

// Sorted gives the findings by file, line, column and code, without repetitions,
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

// maxSuggested is the longest name that is worth a suggestion, in bytes.
const maxSuggested = 64

// Nearest returns the known name closest to name, or "" where none is close: at most
// about a third of its letters may differ.
func Nearest(name string, known []string) string {
	if len(name) > maxSuggested {
		return ""
	}
	best, bestDistance := "", (len(name)+2)/3
	for _, k := range known {
		d := editDistance(strings.ToLower(name), strings.ToLower(k))
		if d <= len(k)/2 && (d < bestDistance || d == bestDistance && best == "") {
			best, bestDistance = k, d
		}
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
