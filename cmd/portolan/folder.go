package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"portolan/engine"
	"portolan/source"
)

// folder is a place with mappings that was named on the command line: a tree of provider
// folders, one provider folder, or one file of it.
type folder struct {
	given string       // as it was written; in front of the places shown
	base  string       // what stands in front of them in findings
	layer engine.Layer // its Path is absolute, so that it cannot be taken for another's
	lower []engine.Layer
}

// builtinFolder is the tree of built-in mappings.
func builtinFolder() folder {
	layer := builtin("")
	return folder{given: layer.Path, base: layer.Path, layer: layer}
}

// openFolders opens what the arguments name; without any, the built-in mappings.
func openFolders(args []string) ([]folder, error) {
	if len(args) == 0 {
		return []folder{builtinFolder()}, nil
	}
	out := make([]folder, 0, len(args))
	for _, arg := range args {
		f, err := openFolder(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// openFolder opens a tree ("mappings", "mappings/..."), a provider folder, which has
// .yaml files, or a .yaml file. The error is a usageError.
func openFolder(arg string) (folder, error) {
	given := strings.TrimSuffix(arg, "...")
	if trimmed := strings.TrimRight(given, "/"); trimmed != "" || given == "" {
		given = trimmed
	}
	if given == "" {
		given = "."
	}
	info, err := os.Stat(given)
	if err != nil {
		return folder{}, usagef("%s: there is no such file or folder", arg)
	}
	absolute, err := filepath.Abs(given)
	if err != nil {
		return folder{}, usageError{err, nil}
	}
	f := folder{given: filepath.ToSlash(given), base: filepath.ToSlash(absolute)}
	switch {
	case !info.IsDir() && filepath.Ext(given) != ".yaml":
		return folder{}, usagef("%s: want a folder or a .yaml file", arg)
	case !info.IsDir():
		f.one(filepath.Dir(absolute))
	case hasYAML(absolute):
		f.one(absolute)
	default:
		f.layer = engine.Layer{FS: os.DirFS(absolute), Path: f.base}
		names := f.integrations()
		if len(names) == 0 {
			return folder{}, usagef("%s: no provider directory in it", arg)
		}
		for _, name := range names {
			f.lower = append(f.lower, builtin(name))
		}
	}
	return f, nil
}

// one makes f a single provider folder.
func (f *folder) one(dir string) {
	root := filepath.Dir(dir)
	f.layer = engine.Layer{FS: os.DirFS(root), Path: filepath.ToSlash(root), Only: filepath.Base(dir)}
	f.lower = []engine.Layer{builtin(f.layer.Only)}
}

// integrations are the names of the provider folders.
func (f folder) integrations() []string {
	if f.layer.Only != "" {
		return []string{f.layer.Only}
	}
	files, _ := fs.Glob(f.layer.FS, "*/*.yaml") // the pattern is valid, and the files are sorted
	var names []string
	for _, file := range files {
		if name := path.Dir(file); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func hasYAML(dir string) bool {
	files, err := fs.Glob(os.DirFS(dir), "*.yaml")
	return err == nil && len(files) > 0
}

// layers are the folder's and, below it, what it may leave out: the built-in files of its
// providers.
func (f folder) layers() []engine.Layer { return append(slices.Clip(f.lower), f.layer) }

// foreign gives the findings that are not about the folder's files.
func (f folder) foreign(findings source.Diagnostics) source.Diagnostics {
	return slices.DeleteFunc(slices.Clone(findings), func(d source.Diagnostic) bool { return len(f.own(source.Diagnostics{d})) > 0 })
}

// own gives those findings that are about the folder's files, with places as given.
func (f folder) own(findings source.Diagnostics) source.Diagnostics {
	var out source.Diagnostics
	for _, d := range findings {
		rest, ok := strings.CutPrefix(d.Pos.File, f.base)
		if !ok || rest != "" && !strings.HasPrefix(rest, "/") && f.base != "/" {
			continue
		}
		if d.Pos.File = f.given + rest; f.given == "." {
			d.Pos.File = strings.TrimPrefix(rest, "/")
		}
		out = append(out, d)
	}
	return out
}
