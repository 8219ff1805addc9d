package accounts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pos is a place in a file. Line and Col are 1-based; Col counts runes.
type Pos struct {
	File string
	Line int
	Col  int
}

// String gives file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Problem is one mistake in an accounts file. Its texts never hold a value of the file or
// of the environment, only names.
type Problem struct {
	Pos     Pos
	Code    string // stable and searchable, "E012-unknown-key"
	Message string // one lower-case sentence
	Hint    string // may be empty
}

// String gives "file:line:col: code: message (hint)".
func (p Problem) String() string {
	s := fmt.Sprintf("%s: %s: %s", p.Pos, p.Code, p.Message)
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// FileErrors are all mistakes of a file, in its order.
type FileErrors []Problem

// Error gives a line for each.
func (p FileErrors) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems is how many mistakes one load reports at the most.
const maxProblems = 100

func (p FileErrors) sorted() FileErrors {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col, strings.Compare(a.Code, b.Code))
	})
	return p[:min(len(p), maxProblems)]
}

// suggestion is the hint for a name that is none of known.
func suggestion(name string, known []string) string {
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(distance(name, a), distance(name, b)) })
	if distance(name, best) <= len(best)/3 {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known keys: " + strings.Join(known, ", ")
}

// distance is how many letters must be added, dropped or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal, row[j+1] = row[j+1], min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
