package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/sandbox"
	"portolan/schemas"
	"portolan/source"
)

// mappingFlags say which mappings are served and how.
type mappingFlags struct {
	Mappings    string        `placeholder:"DIR" help:"Lay the mappings of this folder over the built-in ones, file by file."`
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one expression."`
}

// layers are the built-in mappings and, over them, those of --mappings.
func (f mappingFlags) layers() ([]engine.Layer, error) {
	layers := []engine.Layer{builtin("")}
	if f.Mappings == "" {
		return layers, nil
	}
	if info, err := os.Stat(f.Mappings); err != nil || !info.IsDir() {
		return nil, usagef("--mappings: %s is no folder", f.Mappings)
	}
	return append(layers, engine.Layer{FS: os.DirFS(f.Mappings), Path: f.Mappings}), nil
}

// builtin is the layer of the built-in mappings; only names one provider, "" all.
func builtin(only string) engine.Layer {
	return engine.Layer{FS: mappings.FS, Path: "mappings", Only: only}
}

// world is everything that was loaded from mapping folders.
type world struct {
	language  *jsonata.Language
	catalog   *engine.Catalog
	snapshot  *gateway.Snapshot
	providers []*sandbox.Provider // those that can be played, by name
	findings  source.Diagnostics  // unsorted
}

// load reads the layers. Overrides are evaluated by apart; where it is nil, in this process.
// The error is that of a broken program, not of a mapping.
//
//nolint:contextcheck,nolintlint // a language outlives every call (contextcheck finds this mark itself)
func (p *process) load(evalTimeout time.Duration, apart jsonata.Apart, layers ...engine.Layer) (*world, error) {
	models, err := schemas.Unified()
	if err != nil {
		return nil, fmt.Errorf("unified schemas: %w", err)
	}
	known := engine.Models{}
	for key, m := range models {
		if op, ok := engine.ParseOperation(key); ok {
			known[op] = engine.Model{Request: m.Request, Query: m.Query, Response: m.Response}
		}
	}
	w := &world{language: jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: evalTimeout}).WithApart(apart)}
	docs, read := engine.Load(w.language, layers...)
	catalog, compiled := engine.Compile(docs, known)
	w.catalog = catalog
	snapshot, bad, err := gateway.NewSnapshot(catalog, models)
	if err != nil {
		return nil, err
	}
	w.snapshot, w.findings = snapshot, slices.Concat(read, compiled, bad)
	w.loadProviders(layers)
	return w, nil
}

// loadServable is load for those who run the mappings: findings are printed, and an error
// among them refuses.
func (p *process) loadServable(flags mappingFlags, apart jsonata.Apart) (*world, error) {
	layers, err := flags.layers()
	if err != nil {
		return nil, err
	}
	w, err := p.load(flags.EvalTimeout, apart, layers...)
	if err != nil {
		return nil, err
	}
	for _, d := range w.findings.Sorted() {
		fmt.Fprintln(p.stderr, d)
	}
	if w.findings.Failed() {
		return w, errReported
	}
	return w, nil
}

// loadProviders reads each provider's sandbox.yaml, that of the last layer that has it.
func (w *world) loadProviders(layers []engine.Layer) {
	sources := map[string]engine.Layer{}
	for _, layer := range layers {
		files, _ := fs.Glob(layer.FS, "*/"+engine.SandboxFile) // the pattern is good, and a folder that cannot be read is reported by the engine
		for _, file := range files {
			if name := path.Dir(file); (layer.Only == "" || layer.Only == name) && !strings.HasPrefix(name, ".") {
				sources[name] = layer
			}
		}
	}
	for name, layer := range sources {
		file := path.Join(name, engine.SandboxFile)
		shown := path.Join(layer.Path, file)
		src, err := fs.ReadFile(layer.FS, file)
		if err != nil {
			w.findings.Errorf(source.Pos{File: shown, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
			continue
		}
		provider, findings := sandbox.Load(name, shown, src, w.language)
		w.findings = append(w.findings, findings...)
		if provider != nil {
			w.providers = append(w.providers, provider)
		}
	}
	slices.SortFunc(w.providers, func(a, b *sandbox.Provider) int { return strings.Compare(a.Name(), b.Name()) })
}

// integrations are the names of all integrations, sorted.
func (w *world) integrations() []string {
	var names []string
	for _, in := range w.catalog.Integrations() {
		names = append(names, in.Name)
	}
	return names
}

// updatePlan finds the first method of the integration that updates a record; nil for none.
func (w *world) updatePlan(integration string) *engine.Plan {
	for _, plan := range w.catalog.Plans() {
		if plan.Integration().Name == integration && plan.Operation().Method == "update" {
			return plan
		}
	}
	return nil
}

// basePath is the path of an integration's base_url ("/api/v1/", ""); its host may hold variables.
func (w *world) basePath(integration string) string {
	in := w.catalog.Integration(integration)
	if in == nil {
		return ""
	}
	_, rest, _ := strings.Cut(in.BaseURL, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}
