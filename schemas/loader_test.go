package schemas_test

import (
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"portolan/engine"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/sandbox"
	"portolan/schemas"
	"portolan/source"
)

// far is a key unlike any other, so that the loader lists the known keys.
const far = "qqqqqqqqqqqqqqqqqqqqqqq"

// readers load a file of each format that has an editor schema.
var readers = map[string]func(src []byte) source.Diagnostics{
	"integration": func(src []byte) source.Diagnostics {
		_, found := engine.Load(loaderLanguage(), engine.Layer{FS: fstest.MapFS{"x/integration.yaml": {Data: src}}})
		return found
	},
	"mapping": func(src []byte) source.Diagnostics {
		_, found := engine.Load(loaderLanguage(), engine.Layer{FS: fstest.MapFS{"x/x.yaml": {Data: src}}})
		return found
	},
	"sandbox": func(src []byte) source.Diagnostics {
		_, found := sandbox.Load("x", "x/sandbox.yaml", src, loaderLanguage())
		return found
	},
}

func loaderLanguage() *jsonata.Language {
	return jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{})
}

// place is an object with a closed set of keys in the documents of a schema.
type place struct {
	at     string
	schema map[string]any
	in     func(value any) any              // returns a document with value at this place
	with   func(name string) map[string]any // returns a value with this key and every other key that is allowed beside it
}

func (p place) keys() []string {
	return slices.Sorted(maps.Keys(p.schema["properties"].(map[string]any)))
}

// explorer walks an editor schema.
type explorer struct {
	root   map[string]any
	places []place
}

func closedPlaces(t *testing.T, name string) []place {
	t.Helper()
	source, err := schemas.Editor(name)
	if err != nil {
		t.Fatal(err)
	}
	x := &explorer{root: decode(t, string(source)).(map[string]any)}
	x.walk("", x.root, func(value any) any { return value })
	return x.places
}

func (x *explorer) resolve(schema any) map[string]any {
	s, _ := schema.(map[string]any)
	for s["$ref"] != nil {
		s = x.root["definitions"].(map[string]any)[strings.TrimPrefix(s["$ref"].(string), "#/definitions/")].(map[string]any)
	}
	return s
}

func (x *explorer) walk(at string, schema any, in func(any) any) {
	s := x.resolve(schema)
	properties, _ := s["properties"].(map[string]any)
	if s["additionalProperties"] == false {
		x.places = append(x.places, place{at + "/", s, in, func(name string) map[string]any { return x.object(s, name) }})
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		x.walk(at+"/"+name, properties[name], func(value any) any {
			object := x.object(s, name)
			object[name] = value
			return in(object)
		})
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		x.walk(at+"/x", more, func(value any) any { return in(map[string]any{"x": value}) })
	}
	if items, ok := s["items"].(map[string]any); ok {
		x.walk(at+"/0", items, func(value any) any { return in([]any{value}) })
	}
	alternatives, _ := s["anyOf"].([]any)
	for _, one := range alternatives {
		x.walk(at, one, in)
	}
}

// sample returns a value that satisfies the schema; an object has as many keys as allowed.
func (x *explorer) sample(schema any) any {
	s := x.resolve(schema)
	for _, keyword := range []string{"examples", "enum"} {
		if list, ok := s[keyword].([]any); ok {
			return list[0]
		}
	}
	if value, ok := s["const"]; ok {
		return value
	}
	alternatives, _ := s["anyOf"].([]any)
	switch {
	case s["type"] == "object":
		return x.object(s, "")
	case s["type"] == "array":
		return []any{x.sample(s["items"])}
	case s["type"] == "boolean":
		return true
	case len(alternatives) > 0:
		return x.sample(alternatives[0])
	default:
		return "x"
	}
}

// object samples the object schema s. Of keys that exclude each other it uses with, or else
// the first.
func (x *explorer) object(s map[string]any, with string) map[string]any {
	out := map[string]any{}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		out[name] = x.sample(p)
	}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		out["x"] = x.sample(more)
	}
	if not, ok := s["not"].(map[string]any); ok {
		exclusive := not["required"].([]any)
		kept := max(slices.Index(exclusive, any(with)), 0)
		for i, name := range exclusive {
			if i != kept {
				delete(out, name.(string))
			}
		}
	}
	return out
}

func loadDocument(t *testing.T, format string, document any) source.Diagnostics {
	t.Helper()
	src, err := json.Marshal(document) // JSON is YAML
	if err != nil {
		t.Fatal(err)
	}
	return readers[format](src)
}

func withCode(found source.Diagnostics, code string) source.Diagnostics {
	return slices.DeleteFunc(slices.Clone(found), func(d source.Diagnostic) bool { return d.Code != code })
}

// The editor schemas and the loaders accept the same keys.
func TestEditorKeys(t *testing.T) {
	for format := range readers {
		places := closedPlaces(t, format)
		if len(places) < 3 {
			t.Errorf("%s: only %d objects found", format, len(places))
		}
		for _, p := range places {
			t.Run(format+p.at, func(t *testing.T) {
				for _, name := range p.keys() {
					document := p.in(p.with(name))
					for _, d := range withCode(loadDocument(t, format, document), "E012-unknown-key") {
						t.Errorf("with %s: %s", name, d)
					}
					if violations := editor(t, format).Validate(asJSON(t, document)); len(violations) > 0 {
						t.Errorf("with %s: the schema reports %v", name, texts(violations))
					}
				}
				unknown := p.with("")
				unknown[far] = "x"
				want := []string{`unknown key "` + far + `" known keys: ` + strings.Join(p.keys(), ", ")}
				var got []string
				for _, d := range withCode(loadDocument(t, format, p.in(unknown)), "E012-unknown-key") {
					got = append(got, d.Message+" "+d.Hint)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("known keys (-schema +loader):\n%s", diff)
				}
				if len(editor(t, format).Validate(asJSON(t, p.in(unknown)))) == 0 {
					t.Error("the schema accepts an unknown key")
				}
			})
		}
	}
}

func TestEditorRequiredKeys(t *testing.T) {
	missing := regexp.MustCompile(`^key "(.*)" is missing$`)
	for format := range readers {
		for _, p := range closedPlaces(t, format) {
			t.Run(format+p.at, func(t *testing.T) {
				var want []string
				required, _ := p.schema["required"].([]any)
				for _, name := range required {
					want = append(want, name.(string))
				}
				var got []string
				found := loadDocument(t, format, p.in(map[string]any{}))
				for _, d := range slices.Concat(withCode(found, "E005-missing-key"), withCode(found, "E010-missing-format")) {
					if m := missing.FindStringSubmatch(d.Message); m != nil {
						got = append(got, m[1])
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("required keys (-schema +loader):\n%s", diff)
				}
				if len(withCode(found, "E005-missing-key")) > 0 && len(editor(t, format).Validate(asJSON(t, p.in(map[string]any{})))) == 0 {
					t.Error("the schema accepts an object without a required key")
				}
			})
		}
	}
}

// The editor schemas refuse the types that the loaders refuse.
func TestEditorTypes(t *testing.T) {
	for format := range readers {
		s := editor(t, format)
		refused := 0
		for _, p := range closedPlaces(t, format) {
			for _, name := range p.keys() {
				for _, value := range []any{nil, true, 7, 1.5, "x", []any{}, []any{nil}, map[string]any{}, map[string]any{"x": []any{}}} {
					object := p.with(name)
					object[name] = value
					document := p.in(object)
					wrong := withCode(loadDocument(t, format, document), "E004-wrong-type")
					if len(wrong) > 0 {
						refused++
					}
					if len(wrong) > 0 && len(s.Validate(asJSON(t, document))) == 0 {
						t.Errorf("%s%s%s: the schema accepts %v, the loader reports %s", format, p.at, name, value, wrong[0])
					}
				}
			}
		}
		if refused < 20 {
			t.Errorf("%s: only %d values were of the wrong type", format, refused)
		}
	}
}

// The faults without a required description are the built-in ones.
func TestEditorBuiltinFaults(t *testing.T) {
	source, err := schemas.Editor("sandbox")
	if err != nil {
		t.Fatal(err)
	}
	x := &explorer{root: decode(t, string(source)).(map[string]any)}
	p, found := sandbox.Load("x", "x.yaml", []byte(
		"{format: portolan/sandbox/v1, demo: {integrated_account_id: a, context: {}, sample_id: b}, routes: [], no_route: {status: 404}}"), loaderLanguage())
	if p == nil {
		t.Fatal(found)
	}
	var builtin []string
	for _, f := range p.Faults() {
		builtin = append(builtin, f.Name)
	}
	slices.Sort(builtin)
	faults := x.root["properties"].(map[string]any)["faults"].(map[string]any)["properties"].(map[string]any)
	if diff := cmp.Diff(builtin, slices.Sorted(maps.Keys(faults))); diff != "" {
		t.Errorf("faults that may be replaced (-loader +schema):\n%s", diff)
	}
	var like []string
	for _, name := range x.resolve(map[string]any{"$ref": "#/definitions/like"})["enum"].([]any) {
		like = append(like, name.(string))
	}
	slices.Sort(like)
	if diff := cmp.Diff(builtin, like); diff != "" {
		t.Errorf("like (-loader +schema):\n%s", diff)
	}
}

func TestBuiltinFilesSatisfyEditorSchemas(t *testing.T) {
	files, err := fs.Glob(mappings.FS, "*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range files {
		src, err := fs.ReadFile(mappings.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		format := formatOf(file)
		seen[format]++
		for _, v := range editor(t, format).Validate(fromYAML(t, file, src)) {
			t.Errorf("%s: %s: %s", file, v.Pointer, v.Message)
		}
		if line := "# yaml-language-server: $schema=../../schemas/" + format + ".schema.json\n"; !strings.HasPrefix(string(src), line) {
			t.Errorf("%s does not start with %q", file, line)
		}
	}
	for format := range readers {
		if seen[format] == 0 {
			t.Errorf("no file of format %s", format)
		}
	}
}

// The editor schemas refuse the files of lint cases whose mistakes a schema can express.
func TestEditorRefusesLintCases(t *testing.T) {
	for _, code := range []string{"E004-wrong-type", "E005-missing-key", "E012-unknown-key"} {
		archive, err := txtar.ParseFile(filepath.Join("..", "testdata", "lint", code+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
		want := string(archive.Files[i].Data)
		for _, f := range slices.Delete(slices.Clone(archive.Files), i, i+1) {
			faulty := strings.Contains(want, f.Name+":")
			violations := editor(t, formatOf(f.Name)).Validate(fromYAML(t, f.Name, f.Data))
			if (len(violations) > 0) != faulty {
				t.Errorf("%s: %s: the loader reports faults: %t, the schema: %v", code, f.Name, faulty, texts(violations))
			}
		}
	}
}

func formatOf(file string) string {
	switch name := strings.TrimSuffix(path.Base(file), ".yaml"); name {
	case "integration", "sandbox":
		return name
	default:
		return "mapping"
	}
}

func fromYAML(t *testing.T, file string, src []byte) any {
	t.Helper()
	var found source.Diagnostics
	root := source.ParseYAML(file, src, &found)
	if root == nil {
		t.Fatal(found)
	}
	value := (&jsonata.Reader{Reader: source.Reader{Diags: &found}}).JSON(root)
	for _, d := range found {
		t.Error(d)
	}
	return value
}

// asJSON returns document as plain JSON.
func asJSON(t *testing.T, document any) any {
	t.Helper()
	src, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(src))
}
