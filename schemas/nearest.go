package schemas

import (
	"strings"
	"unicode/utf8"
)

const maxMisspelt = 64 // bytes; longer names are no misspellings

// nearest gives the known name that differs from name in the fewest letters, at most about
// a third of them and regardless of case; "" where there is none.
func nearest(name string, known []string) string {
	if len(name) > maxMisspelt {
		return ""
	}
	best, fewest := "", (utf8.RuneCountInString(name)+1)/3+1
	for _, k := range known {
		if d := editDistance([]rune(strings.ToLower(name)), []rune(strings.ToLower(k))); d < fewest {
			best, fewest = k, d
		}
	}
	return best
}

func editDistance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			change := diagonal
			if x != y {
				change = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], change
		}
	}
	return row[len(b)]
}
