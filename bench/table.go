package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// result holds all turns. The first contestant is the one that others are compared with.
type result struct {
	at      time.Time
	machine string
	command string
	names   []string
	rounds  [][]round // of every contestant
	calls   int64     // all of them, each with the right answer
}

// measure is a column of the table.
type measure struct {
	title  string
	value  func(round) float64
	format func(float64) string
}

func measures() []measure {
	load := fmt.Sprintf(", %d clients", manyClients)
	return []measure{
		{"p50, 1 client", func(r round) float64 { return r.one.P50.Seconds() }, microseconds},
		{"requests/s" + load, func(r round) float64 { return float64(r.many.Calls) / r.many.Took.Seconds() }, whole},
		{"CPU a call" + load, func(r round) float64 { return r.many.cpu.Seconds() }, microseconds},
		{"p99" + load, func(r round) float64 { return r.many.P99.Seconds() }, microseconds},
		{"RSS" + load, func(r round) float64 { return float64(r.many.rss) }, mebibytes},
	}
}

func microseconds(seconds float64) string { return fmt.Sprintf("%.0f µs", seconds*1e6) }
func whole(n float64) string              { return fmt.Sprintf("%.0f", n) }
func mebibytes(bytes float64) string      { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// busy is the share of the machine that others may use before a turn is called disturbed.
const busy = 0.1

// print writes the tables in Markdown: the ratios, and below them what was measured.
func (r *result) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, `%s`\n", r.at.Format(time.DateOnly), r.machine, r.command)
	fmt.Fprintf(&b, "%d calls, every answer right; median of %d rounds (least–most)\n\n", r.calls, len(r.rounds[0]))
	r.table(&b, "ratio to "+r.names[0], func(m measure, i int) string {
		if i == 0 {
			return "1"
		}
		ratios := r.ratios(m, i)
		return fmt.Sprintf("%.2f (%.2f–%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
	})
	b.WriteByte('\n')
	r.table(&b, "measured", func(m measure, i int) string {
		var values []float64
		for _, round := range r.rounds[i] {
			values = append(values, m.value(round))
		}
		return m.format(median(values))
	})
	fmt.Fprintf(&b, "\n%s\n", r.disturbance())
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *result) table(b *strings.Builder, title string, cell func(measure, int) string) {
	columns := measures()
	fmt.Fprintf(b, "| %s |", title)
	for _, m := range columns {
		fmt.Fprintf(b, " %s |", m.title)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", 1+len(columns)) + "\n")
	for i, name := range r.names {
		fmt.Fprintf(b, "| %s |", name)
		for _, m := range columns {
			fmt.Fprintf(b, " %s |", cell(m, i))
		}
		b.WriteByte('\n')
	}
}

// ratios compares each round with the same round of the first contestant.
func (r *result) ratios(m measure, i int) []float64 {
	out := make([]float64, len(r.rounds[i]))
	for n := range out {
		out[n] = m.value(r.rounds[i][n]) / m.value(r.rounds[0][n])
	}
	return out
}

// disturbance says whether something else ran.
func (r *result) disturbance() string {
	var shares []float64
	disturbed := 0
	for _, rounds := range r.rounds {
		for _, round := range rounds {
			for _, s := range []sample{round.one, round.many} {
				if !s.known {
					return "This system does not tell whether something else ran."
				}
				shares = append(shares, s.others)
				if s.others > busy {
					disturbed++
				}
			}
		}
	}
	usual := fmt.Sprintf("Other processes used %.0f %% of the machine (median of the turns, at most %.0f %%).",
		median(shares)*100, slices.Max(shares)*100)
	if disturbed == 0 {
		return usual
	}
	return fmt.Sprintf("Warning: something else ran. In %d of %d turns it used more than %.0f %% of the machine.\n%s",
		disturbed, len(shares), busy*100, usual)
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
