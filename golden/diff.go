package golden

import (
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// diffLines returns the hunks of a unified diff from want to got.
func diffLines(want, got string) string {
	text := diff.Diff("want", withNewline(want), "got", withNewline(got))
	_, hunks, _ := strings.Cut(string(text), "\n+++ got\n")
	return hunks
}

func withNewline(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text + "\n")
}
