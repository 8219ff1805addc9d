package engine

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
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
	language  *Language
	providers []*providerDocs // by name
}

type providerDocs struct {
	name        string
	integration *integrationDoc // nil where it could not be read
	mappings    []*mappingDoc
}

// Load reads the layers. A file of a later layer replaces the same file of an earlier one.
func Load(language *Language, layers ...Layer) (*Documents, Diagnostics) {
	var diags Diagnostics
	reader := &Reader{Diags: &diags, Language: language}
	docs := &Documents{language: language}
	for _, folder := range findFolders(layers, &diags) {
		p := &providerDocs{name: folder.name}
		docs.providers = append(docs.providers, p)
		for _, file := range folder.files {
			root := file.parse(&diags)
			switch {
			case root == nil:
			case file.name == IntegrationFile:
				p.integration = readIntegration(reader, root, folder.name)
			default:
				p.mappings = append(p.mappings, readMapping(reader, root, strings.TrimSuffix(file.name, ".yaml")))
			}
		}
		if !slices.ContainsFunc(folder.files, func(f sourceFile) bool { return f.name == IntegrationFile }) {
			diags.Errorf(Pos{File: path.Join(folder.path, IntegrationFile), Line: 1, Col: 1}, "E060-missing-file",
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

func (f sourceFile) parse(diags *Diagnostics) *Node {
	src, err := fs.ReadFile(f.fsys, f.fsPath)
	if err != nil {
		diags.Errorf(Pos{File: f.path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
		return nil
	}
	return ParseYAML(f.path, src, diags)
}

// findFolders lists the provider folders of all layers, each file from the last layer
// that has it.
func findFolders(layers []Layer, diags *Diagnostics) []sourceFolder {
	folders := map[string]*sourceFolder{}
	for _, layer := range layers {
		entries, err := fs.ReadDir(layer.FS, ".")
		if err != nil {
			diags.Errorf(Pos{File: layer.Path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
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

func (f *sourceFolder) lay(layer Layer, diags *Diagnostics) {
	entries, err := fs.ReadDir(layer.FS, f.name)
	if err != nil {
		diags.Errorf(Pos{File: f.path, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
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

// CheckFormat reports whether root is an object whose `format` is want; anything else is
// reported, and nothing more should be: a file of another format has other keys.
func (r *Reader) CheckFormat(root *Node, want string) bool {
	start := Pos{File: root.Pos.File, Line: 1, Col: 1}
	format := root.Get("format")
	switch {
	case root.Kind != Object:
		r.Diags.Errorf(start, "E004-wrong-type", "want an object, got %s", root.Kind)
	case format == nil:
		r.Diags.Errorf(start, "E010-missing-format", "key %q is missing", "format")
		r.Diags.Hintf("start the file with format: %s", want)
		return true // its keys can still be checked
	case format.Text != want:
		r.Diags.Errorf(format.Pos, "E011-wrong-format", "format is %q, want %q", format.Text, want)
	default:
		return true
	}
	return false
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// Name returns n's text, which must be a name: lower-case letters, digits, underscores.
func (r *Reader) Name(n *Node) string {
	return r.checkName(r.String(n), n.Pos)
}

func (r *Reader) checkName(name string, pos Pos) string {
	if name != "" && !nameRule.MatchString(name) {
		r.Diags.Errorf(pos, "E006-bad-value", "%q is no name", name)
		r.Diags.Hintf("lower-case letters, digits and underscores")
	}
	return name
}
