package engine_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"portolan/engine"
	"portolan/gateway"
	"portolan/schemas"
	"portolan/source"
)

var update = flag.Bool("update", false, "rewrite what test data expect")

const lintCases = "../testdata/lint"

// lint compiles the mapping folders in files, with the overrides of acme's users.update, and
// returns its findings, one per line.
func lint(t *testing.T, files fstest.MapFS, layers []engine.OverrideLayer) string {
	t.Helper()
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: files})
	models, err := schemas.Unified()
	if err != nil {
		t.Fatal(err)
	}
	c, more := engine.Compile(docs, gateway.Models(models), nil)
	_, bad, err := gateway.NewSnapshot(c, models)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, d := range slices.Concat(found, more, bad).Sorted() {
		out.WriteString(d.String() + "\n")
	}
	if plan := c.Plan("acme", usersUpdate); plan != nil {
		_, found := c.Override("", plan, layers...)
		for _, d := range found {
			if d.Severity == source.SeverityWarning {
				out.WriteString("warning: ")
			}
			out.WriteString(d.String() + "\n")
		}
	}
	return out.String()
}

var usersUpdate = engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}

// layersOf takes the files override/<layer>/<key> out of an archive; override/<layer>/replace
// means that the layer replaces.
func layersOf(t *testing.T, archive *txtar.Archive) []engine.OverrideLayer {
	t.Helper()
	var layers []engine.OverrideLayer
	for _, f := range archive.Files {
		part := strings.Split(f.Name, "/")
		if part[0] != "override" {
			continue
		}
		if len(layers) == 0 || layers[len(layers)-1].Name != part[1] {
			layers = append(layers, engine.OverrideLayer{Name: part[1]})
		}
		l, text := &layers[len(layers)-1], strings.TrimSuffix(string(f.Data), "\n")
		switch part[2] {
		case "request_body_mapping":
			l.RequestBodyMapping = text
		case "query_mapping":
			l.QueryMapping = text
		case "response_mapping":
			l.ResponseMapping = text
		case "replace":
			l.Replace = true
		default:
			t.Fatalf("%s is no key of an override", f.Name)
		}
	}
	return layers
}

func TestLint(t *testing.T) {
	paths, err := filepath.Glob(lintCases + "/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := fstest.MapFS{}
			want := 0
			for i, f := range archive.Files {
				if f.Name == "want" {
					want = i
					continue
				}
				files[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			got := lint(t, files, layersOf(t, archive))
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[want].Data), got); diff != "" {
				t.Errorf("findings differ (-want +got):\n%s", diff)
			}
			if code := strings.TrimSuffix(filepath.Base(path), ".txtar"); !slices.Contains([]string{"many", "override", "override-warnings", "wrong-results"}, code) && !strings.Contains(got, ": "+code+": ") {
				t.Errorf("no finding has the code %s:\n%s", code, got)
			}
		})
	}
}

// A code that no case shows could be wrong, or dead.
func TestEveryCodeHasACase(t *testing.T) {
	var files []string
	for _, folder := range []string{".", "../source", "../jsonata", "../gateway"} {
		found, err := filepath.Glob(folder + "/*.go")
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(found), err)
		}
		files = append(files, found...)
	}
	code := regexp.MustCompile(`"([EW]0\d\d-[a-z-]+)"`)
	unreachable := []string{"E061-unreadable-file"} // a file system that fails, see TestLoadUnreadable
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(lintCases, m[1]+".txtar")); err != nil && !slices.Contains(unreachable, m[1]) {
				t.Errorf("%s: no case for %s", file, m[1])
			}
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	_, found := engine.Load(testLanguage(), engine.Layer{FS: os.DirFS("no/such/folder"), Path: "gone"})
	if len(found) != 1 || found[0].Code != "E061-unreadable-file" || found[0].Pos.File != "gone" {
		t.Errorf("got %v, want one E061 at gone", found)
	}
}
