package engine_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"portolan/engine"
)

// Whatever stands in a mapping folder, it is read without a panic, and every finding has a
// place inside a file.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob(lintCases + "/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var integration, mapping []byte
		for _, file := range archive.Files {
			switch file.Name {
			case "acme/integration.yaml":
				integration = file.Data
			case "acme/ticketing.yaml":
				mapping = file.Data
			}
		}
		f.Add(integration, mapping)
	}
	models, language := unifiedModels(f), testLanguage()
	f.Fuzz(func(t *testing.T, integration, mapping []byte) {
		files := fstest.MapFS{"acme/integration.yaml": {Data: integration}, "acme/ticketing.yaml": {Data: mapping}}
		docs, found := engine.Load(language, engine.Layer{FS: files})
		_, more := engine.Compile(docs, models, nil)
		for _, d := range append(found, more...) {
			file := files[d.Pos.File]
			if file == nil {
				t.Fatalf("%s: no such file", d)
			}
			lines := strings.Split(string(file.Data), "\n")
			if d.Pos.Line < 1 || d.Pos.Line > len(lines)+1 || d.Pos.Col < 1 {
				t.Fatalf("%s: outside the file of %d lines", d, len(lines))
			}
		}
	})
}

// A path variable stays one segment of a URL, and comes back as it was.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"u1", "../x", "a/b", "%2e%2e", "a b", "ä日", "", ".", "..", "a?b#c", "a\x00b", "\xff"} {
		f.Add("/people/{id}.json", seed)
	}
	f.Add("/{a}{b}/x", "1")
	f.Add("/{", "1")
	f.Fuzz(func(t *testing.T, template, value string) {
		path, err := engine.ExpandTemplate(template, value)
		if err != nil {
			return
		}
		if got, want := strings.Count(path, "/"), strings.Count(template, "/"); got != want {
			t.Fatalf("%q with %q has %d slashes, want %d: %q", template, value, got, want, path)
		}
		if strings.ContainsAny(path, "?#") && !strings.ContainsAny(template, "?#") {
			t.Fatalf("%q with %q leaves the path: %q", template, value, path)
		}
		segment, err := engine.ExpandTemplate("{id}", value)
		if err != nil {
			return // the template has no variable
		}
		if back, err := url.PathUnescape(segment); err != nil || back != value {
			t.Fatalf("%q came back as %q, %v", value, back, err)
		}
	})
}
