package main

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"portolan/mappings"
)

// No Go file names a provider: all that is known about one is in its mapping folder.
func TestNoProviderIsNamedInGo(t *testing.T) {
	folders, err := fs.ReadDir(mappings.FS, ".")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	var names []string
	for _, f := range folders {
		words := strings.Split(f.Name(), "_")
		names = append(names, strings.Join(words, `[ _-]?`), words[0]) // pivotal_tracker, PivotalTracker, pivotal
	}
	// Parts of other words (archive) do not count.
	named := regexp.MustCompile(`(?:^|[^a-z])((?i:` + strings.Join(names, "|") + `))(?:$|[^a-z])|[a-z]((?:` + title(names) + `))`)
	if !named.MatchString("newHiveClient") || !named.MatchString(`"hive"`) || named.MatchString("archive") {
		t.Fatal("the pattern finds the wrong things")
	}
	seen := 0
	root := os.DirFS("../..")
	err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		seen++
		src, err := fs.ReadFile(root, path)
		for i, line := range strings.Split(string(src), "\n") {
			if found := named.FindString(line); found != "" {
				t.Errorf("%s:%d: names %q", path, i+1, found)
			}
		}
		return err
	})
	if err != nil || seen < 50 {
		t.Errorf("%d files seen, %v", seen, err)
	}
}

// title returns the names with a capital letter, as in identifiers.
func title(names []string) string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, strings.ToUpper(name[:1])+name[1:])
	}
	return strings.Join(out, "|")
}
