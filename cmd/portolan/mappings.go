package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portolan/engine"
	"portolan/mappings"
	"portolan/source"
)

// mappingFlags select the mappings and limit what their expressions may cost.
type mappingFlags struct {
	Mappings    string        `placeholder:"DIR" help:"Directory of mappings, whose files replace the built-in ones of the same name."`
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one phase of evaluating a mapping."`
	MaxValues   uint32        `default:"1000000" help:"Most values in a provider's answer and in the result of an expression."`
}

// layers returns the built-in mappings and, on top of them, those of --mappings.
func (f mappingFlags) layers() ([]engine.Layer, error) {
	layers := []engine.Layer{builtin("")}
	if f.Mappings == "" {
		return layers, nil
	}
	if info, err := os.Stat(f.Mappings); err != nil || !info.IsDir() {
		return nil, usagef("--mappings: no such directory: %s", f.Mappings)
	}
	return append(layers, engine.Layer{FS: os.DirFS(f.Mappings), Path: f.Mappings}), nil
}

// builtin returns the layer of the built-in mappings of one provider; of all if only is "".
func builtin(only string) engine.Layer {
	return engine.Layer{FS: mappings.FS, Path: "mappings", Only: only}
}

// mappingDir is an argument of the command line: a directory of provider directories, one provider
// directory, or one file of it.
type mappingDir struct {
	given string         // as written on the command line; findings are printed with it
	base  string         // the absolute path, with which the files of findings begin
	layer engine.Layer   // its Path is absolute, and different from that of other layers
	lower []engine.Layer // the built-in mappings of its providers
}

// builtinMappingDir returns the built-in mappings.
func builtinMappingDir() mappingDir {
	layer := builtin("")
	return mappingDir{given: layer.Path, base: layer.Path, layer: layer}
}

// openMappingDirs opens all args; without any, the built-in mappings.
func openMappingDirs(args []string) ([]mappingDir, error) {
	if len(args) == 0 {
		return []mappingDir{builtinMappingDir()}, nil
	}
	out := make([]mappingDir, 0, len(args))
	for _, arg := range args {
		d, err := openMappingDir(arg)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// openMappingDir opens a tree ("mappings", "mappings/..."), a provider directory, which contains
// .yaml files, or a .yaml file. The error is a usageError.
func openMappingDir(arg string) (mappingDir, error) {
	given := strings.TrimSuffix(arg, "...")
	if trimmed := strings.TrimRight(given, "/"); trimmed != "" || given == "" {
		given = trimmed
	}
	if given == "" {
		given = "."
	}
	info, err := os.Stat(given)
	if err != nil {
		return mappingDir{}, usagef("no such file or directory: %s", arg)
	}
	absolute, err := filepath.Abs(given)
	if err != nil {
		return mappingDir{}, usageError{err, nil}
	}
	d := mappingDir{given: filepath.ToSlash(given), base: filepath.ToSlash(absolute)}
	switch {
	case !info.IsDir() && filepath.Ext(given) != ".yaml":
		return mappingDir{}, usagef("not a directory or .yaml file: %s", arg)
	case !info.IsDir():
		d.setProvider(filepath.Dir(absolute))
	case hasYAML(absolute):
		d.setProvider(absolute)
	default:
		d.layer = engine.Layer{FS: os.DirFS(absolute), Path: d.base}
		names := d.integrations()
		if len(names) == 0 {
			return mappingDir{}, usagef("no provider directory in %s", arg)
		}
		for _, name := range names {
			d.lower = append(d.lower, builtin(name))
		}
	}
	return d, nil
}

// setProvider makes d a single provider directory.
func (d *mappingDir) setProvider(dir string) {
	root := filepath.Dir(dir)
	d.layer = engine.Layer{FS: os.DirFS(root), Path: filepath.ToSlash(root), Only: filepath.Base(dir)}
	d.lower = []engine.Layer{builtin(d.layer.Only)}
}

// integrations returns the names of the provider directories, sorted.
func (d mappingDir) integrations() []string {
	if d.layer.Only != "" {
		return []string{d.layer.Only}
	}
	files, _ := fs.Glob(d.layer.FS, "*/*.yaml") // the pattern is valid, and the result is sorted
	var names []string
	for _, file := range files {
		if name := path.Dir(file); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

func hasYAML(dir string) bool {
	files, err := fs.Glob(os.DirFS(dir), "*.yaml")
	return err == nil && len(files) > 0
}

// layers returns the directory and, below it, the built-in files of its providers.
func (d mappingDir) layers() []engine.Layer { return append(slices.Clip(d.lower), d.layer) }

// own returns the findings in files of the directory, with paths as on the command line.
func (d mappingDir) own(findings source.Diagnostics) source.Diagnostics {
	var out source.Diagnostics
	for _, finding := range findings {
		rest, ok := strings.CutPrefix(finding.Pos.File, d.base)
		if !ok || rest != "" && !strings.HasPrefix(rest, "/") && d.base != "/" {
			continue
		}
		if finding.Pos.File = d.given + rest; d.given == "." {
			finding.Pos.File = strings.TrimPrefix(rest, "/")
		}
		out = append(out, finding)
	}
	return out
}

// foreign returns the findings in other files.
func (d mappingDir) foreign(findings source.Diagnostics) source.Diagnostics {
	return slices.DeleteFunc(slices.Clone(findings), func(f source.Diagnostic) bool { return len(d.own(source.Diagnostics{f})) > 0 })
}
