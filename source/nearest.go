package source

import (
	"strings"
	"unicode/utf8"
)

// maxMisspelt is the longest name that may be a misspelling, in bytes.
const maxMisspelt = 64

// Nearest returns the known name that differs from name in the fewest letters, regardless
// of case; "" if none is close. At most a third of name's letters may differ, rounded up, and
// half of the known name's, rounded down. The first of several is returned.
func Nearest(name string, known []string) string {
	if len(name) > maxMisspelt {
		return ""
	}
	best, fewest := "", (utf8.RuneCountInString(name)+2)/3+1
	letters := []rune(strings.ToLower(name))
	for _, k := range known {
		other := []rune(strings.ToLower(k))
		if d := editDistance(letters, other); d < fewest && d <= len(other)/2 {
			best, fewest = k, d
		}
	}
	return best
}

// editDistance returns how many letters must be added, dropped or changed to turn a into b.
func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
