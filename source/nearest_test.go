package source_test

import (
	"strings"
	"testing"

	"portolan/source"
)

func TestNearest(t *testing.T) {
	keys := []string{"accounts", "base_url", "größe", "id", "name", "path", "resources"}
	for _, tt := range []struct {
		name  string
		known []string
		want  string
	}{
		{"resorces", keys, "resources"},
		{"acounts", keys, "accounts"},
		{"paht", keys, "path"}, // two swapped letters
		{"nam", keys, "name"},
		{"NAME", keys, "name"},
		{"Base_URL", keys, "base_url"},
		{"grösse", keys, "größe"},
		{"große", keys, "größe"},
		{"ÄÖÜ", []string{"äöx"}, "äöx"},
		{"日本", []string{"日本語"}, "日本語"},
		{"日本語", []string{"日本ab"}, ""}, // two of three letters differ
		{"日本語", []string{"英中韓"}, ""},  // common bytes, but no common letter
		{"it", keys, "id"},
		{"x", keys, ""},
		{"zzz", keys, ""},
		{"", keys, ""},
		{"a", []string{"b"}, ""},
		{"get", []string{"gat", "got"}, "gat"}, // the first of equally near names
		{"get", []string{"gat", "get"}, "get"},
		{"name", nil, ""},
		{strings.Repeat("a", 64), []string{strings.Repeat("a", 65)}, strings.Repeat("a", 65)},
		{strings.Repeat("a", 65), []string{strings.Repeat("a", 65)}, ""}, // too long for a misspelling
	} {
		if got := source.Nearest(tt.name, tt.known); got != tt.want {
			t.Errorf("Nearest(%q): want %q, got %q", tt.name, tt.want, got)
		}
	}
}
