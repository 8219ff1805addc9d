package golden

import "strings"

const (
	diffContext = 3         // equal lines shown around a change
	maxDiffArea = 4_000_000 // lines times lines; beyond, the texts are shown whole
)

// diffLines shows how got differs from want: "- " before the lines of want alone, "+ "
// before those of got alone, "  " before those of both.
func diffLines(want, got string) string {
	a, b := lines(want), lines(got)
	if len(a)*len(b) > maxDiffArea {
		return mark("- ", a) + mark("+ ", b)
	}
	common := commonLengths(a, b)
	var out, same []string
	flush := func(atEnd bool) {
		if head := diffContext; len(same) > 2*diffContext || atEnd && len(same) > diffContext {
			if len(out) == 0 {
				head = 0
			}
			tail := same[len(same)-diffContext:]
			if atEnd {
				tail = nil
			}
			same = append(append(same[:head:head], "  …"), tail...)
		}
		out, same = append(out, same...), nil
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			same = append(same, "  "+a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			flush(false)
			out = append(out, "- "+a[i])
			i++
		default:
			flush(false)
			out = append(out, "+ "+b[j])
			j++
		}
	}
	flush(true)
	return strings.Join(out, "\n") + "\n"
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func mark(prefix string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(prefix + line + "\n")
	}
	return b.String()
}

// commonLengths gives, for each i and j, how many lines a[i:] and b[j:] share in order.
func commonLengths(a, b []string) [][]int {
	out := make([][]int, len(a)+1)
	out[len(a)] = make([]int, len(b)+1)
	for i := len(a) - 1; i >= 0; i-- {
		out[i] = make([]int, len(b)+1)
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				out[i][j] = out[i+1][j+1] + 1
			} else {
				out[i][j] = max(out[i+1][j], out[i][j+1])
			}
		}
	}
	return out
}
