package engine

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Layer is a directory of mappings with a folder for each provider. Path is the prefix of file
// names in diagnostics. Only is the one provider folder to read; "" reads all.
type Layer struct {
	FS   fs.FS
	Path string
	Only string
}

// Names of the files in a provider's folder. Other .yaml files are mappings, named after their
// models.
const (
	IntegrationFile = "integration.yaml"
	SandboxFile     = "sandbox.yaml" // read by the sandbox, not by the engine
)

// Documents are mapping folders as read. Their expressions are compiled, their references are
// not resolved.
type Documents struct {
	Expressions []*jsonata.Expr // all of them

	language  *jsonata.Language
	providers []*providerDocs // by name
}

type providerDocs struct {
	name        string
	integration *integrationDoc // nil if it could not be read
	mappings    []*mappingDoc
}

// reader reads the YAML of mappings.
type reader struct{ jsonata.Reader }

func newReader(diags *source.Diagnostics, language *jsonata.Language) *reader {
	return &reader{jsonata.Reader{Reader: source.Reader{Diags: diags}, Language: language}}
}

// Load reads the layers. A file of a later layer replaces the same file of an earlier one.
func Load(language *jsonata.Language, layers ...Layer) (*Documents, source.Diagnostics) {
	var diags source.Diagnostics
	folders := findFolders(layers, &diags)
	docs := &Documents{language: language, providers: make([]*providerDocs, len(folders))}
	found := make([]source.Diagnostics, len(folders))
	read := make([][]*jsonata.Expr, len(folders))
	inParallel(len(folders), func(i int) {
		r := newReader(&found[i], language)
		docs.providers[i] = folders[i].read(r)
		read[i] = r.Read
	})
	docs.Expressions = slices.Concat(read...)
	return docs, slices.Concat(append(found, diags)...)
}

func (f *sourceFolder) read(r *reader) *providerDocs {
	p := &providerDocs{name: f.name}
	for _, file := range f.files {
		root := file.parse(r.Diags)
		switch {
		case root == nil:
		case file.name == IntegrationFile:
			p.integration = readIntegration(r, root, f.name)
		default:
			p.mappings = append(p.mappings, readMapping(r, root, strings.TrimSuffix(file.name, ".yaml")))
		}
	}
	if !slices.ContainsFunc(f.files, func(f sourceFile) bool { return f.name == IntegrationFile }) {
		r.Diags.Errorf(startOf(path.Join(f.path, IntegrationFile)), "E060-missing-file", "provider %q has no %s", f.name, IntegrationFile)
	}
	return p
}

func startOf(file string) source.Pos { return source.Pos{File: file, Line: 1, Col: 1} }

type sourceFolder struct {
	name, path string
	files      []sourceFile
}

type sourceFile struct {
	name, path string // path as shown
	fsys       fs.FS
	fsPath     string
}

func (f sourceFile) parse(diags *source.Diagnostics) *source.Node {
	src, err := fs.ReadFile(f.fsys, f.fsPath)
	if err != nil {
		diags.Errorf(startOf(f.path), "E061-unreadable-file", "%s", err)
		return nil
	}
	return source.ParseYAML(f.path, src, diags)
}

// findFolders returns the provider folders of all layers, sorted by name, with each file of the
// last layer that has it.
func findFolders(layers []Layer, diags *source.Diagnostics) []*sourceFolder {
	folders := map[string]*sourceFolder{}
	for _, layer := range layers {
		entries, err := fs.ReadDir(layer.FS, ".")
		if err != nil {
			diags.Errorf(startOf(layer.Path), "E061-unreadable-file", "%s", err)
			continue
		}
		for _, e := range entries {
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || layer.Only != "" && e.Name() != layer.Only {
				continue
			}
			f := folders[e.Name()]
			if f == nil {
				f = &sourceFolder{name: e.Name()}
				folders[e.Name()] = f
			}
			f.path = path.Join(layer.Path, e.Name())
			f.addFiles(layer, diags)
		}
	}
	maps.DeleteFunc(folders, func(_ string, f *sourceFolder) bool { return len(f.files) == 0 })
	return slices.SortedFunc(maps.Values(folders), func(a, b *sourceFolder) int { return strings.Compare(a.name, b.name) })
}

func (f *sourceFolder) addFiles(layer Layer, diags *source.Diagnostics) {
	entries, err := fs.ReadDir(layer.FS, f.name)
	if err != nil {
		diags.Errorf(startOf(f.path), "E061-unreadable-file", "%s", err)
		return
	}
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || !strings.HasSuffix(name, ".yaml") || name == SandboxFile || strings.HasPrefix(name, ".") {
			continue
		}
		file := sourceFile{name: name, path: path.Join(f.path, name), fsys: layer.FS, fsPath: path.Join(f.name, name)}
		f.files = slices.DeleteFunc(f.files, func(old sourceFile) bool { return old.name == name })
		f.files = append(f.files, file)
	}
}
