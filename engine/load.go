package engine

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"portolan/jsonata"
	"portolan/source"
)

// Layer is one folder tree of mappings, a folder for each provider. Path stands in front
// of file names in diagnostics. Only, where set, is the one provider folder to read.
type Layer struct {
	FS   fs.FS
	Path string
	Only string
}

// Names of the files in a provider's folder. Any other .yaml file is a mapping, named
// after its model.
const (
	IntegrationFile = "integration.yaml"
	SandboxFile     = "sandbox.yaml" // not the engine's: it plays the provider
)

// Documents are mapping folders as read: syntax checked, expressions compiled,
// references not yet followed.
type Documents struct {
	language  *jsonata.Language
	providers []*providerDocs // by name
}

type providerDocs struct {
	name        string
	integration *integrationDoc // nil where it could not be read
	mappings    []*mappingDoc
}

// reader reads the YAML of mappings. Its own methods stand beside the keys that they read.
type reader struct{ jsonata.Reader }

func newReader(diags *source.Diagnostics, language *jsonata.Language) *reader {
	return &reader{jsonata.Reader{Reader: source.Reader{Diags: diags}, Language: language}}
}

// Load reads the layers. A file of a later layer replaces the same file of an earlier one.
func Load(language *jsonata.Language, layers ...Layer) (*Documents, source.Diagnostics) {
	var diags source.Diagnostics
	r := newReader(&diags, language)
	docs := &Documents{language: language}
	for _, folder := range findFolders(layers, &diags) {
		p := &providerDocs{name: folder.name}
		docs.providers = append(docs.providers, p)
		for _, file := range folder.files {
			root := file.parse(&diags)
			switch {
			case root == nil:
			case file.name == IntegrationFile:
				p.integration = readIntegration(r, root, folder.name)
			default:
				p.mappings = append(p.mappings, readMapping(r, root, strings.TrimSuffix(file.name, ".yaml")))
			}
		}
		if !slices.ContainsFunc(folder.files, func(f sourceFile) bool { return f.name == IntegrationFile }) {
			diags.Errorf(source.Pos{File: path.Join(folder.path, IntegrationFile), Line: 1, Col: 1}, "E060-missing-file",
				"provider %q has no %s", folder.name, IntegrationFile)
		}
	}
	return docs, diags
}

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
		diags.Errorf(source.Pos{File: f.path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
		return nil
	}
	return source.ParseYAML(f.path, src, diags)
}

// findFolders lists the provider folders of all layers, each file from the last layer
// that has it.
func findFolders(layers []Layer, diags *source.Diagnostics) []sourceFolder {
	folders := map[string]*sourceFolder{}
	for _, layer := range layers {
		entries, err := fs.ReadDir(layer.FS, ".")
		if err != nil {
			diags.Errorf(source.Pos{File: layer.Path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
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
			f.lay(layer, diags)
		}
	}
	out := make([]sourceFolder, 0, len(folders))
	for _, f := range folders {
		if len(f.files) > 0 {
			out = append(out, *f)
		}
	}
	slices.SortFunc(out, func(a, b sourceFolder) int { return strings.Compare(a.name, b.name) })
	return out
}

func (f *sourceFolder) lay(layer Layer, diags *source.Diagnostics) {
	entries, err := fs.ReadDir(layer.FS, f.name)
	if err != nil {
		diags.Errorf(source.Pos{File: f.path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
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
