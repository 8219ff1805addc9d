package source_test

import (
	"testing"

	"portolan/source"
)

// The YAML library takes these for ends of lines; editors do not, so no place would be right.
func TestOddLineBreaks(t *testing.T) {
	for _, src := range []string{"a: 1\n\rb: 2\n", "a: 1\r", "a: 1\u0085b: 2", "a: \u2028", "a: 1\n# \u2029\n"} {
		var found source.Diagnostics
		if source.ParseYAML("x.yaml", []byte(src), &found); len(found) != 1 || found[0].Code != "E001-yaml-syntax" {
			t.Errorf("%q: %v, want one E001", src, found)
		}
	}
	var found source.Diagnostics
	if root := source.ParseYAML("x.yaml", []byte("a: 1\r\nb: 2\r\n"), &found); len(found) > 0 || root.Entries[1].Pos.Line != 2 {
		t.Errorf("CRLF: %v", found)
	}
}
