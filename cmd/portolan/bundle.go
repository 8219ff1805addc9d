package main

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata"
	"portolan/sandbox"
	"portolan/schemas"
	"portolan/source"
)

// bundle is everything that is loaded from mapping directories.
type bundle struct {
	language  *jsonata.Language
	catalog   *engine.Catalog
	snapshot  *gateway.Snapshot
	providers []*sandbox.Provider // those with a sandbox, by name; none if it was not loaded
	findings  source.Diagnostics  // unsorted
}

// loading is what load needs besides the layers.
type loading struct {
	evalTimeout time.Duration
	maxValues   int            // 0: the default
	workers     jsonata.Worker // evaluates overrides; nil: this process does
	sandbox     bool           // sandbox.yaml is read too
	known       engine.Probed
}

// load reads the layers. Problems of mappings are findings; an error means that the program itself
// is broken.
//
//nolint:contextcheck,nolintlint // a language is used by many calls (contextcheck reports this line as well)
func (p *process) load(l loading, layers ...engine.Layer) (*bundle, error) {
	models, err := schemas.Unified()
	if err != nil {
		return nil, fmt.Errorf("unified schemas: %w", err)
	}
	b := &bundle{language: jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: l.evalTimeout, Values: l.maxValues}).WithWorker(l.workers)}
	docs, read := engine.Load(b.language, layers...)
	catalog, compiled := engine.Compile(docs, gateway.Models(models), l.known)
	b.catalog = catalog
	snapshot, bad, err := gateway.NewSnapshot(catalog, models)
	if err != nil {
		return nil, err
	}
	b.snapshot, b.findings = snapshot, slices.Concat(read, compiled, bad)
	if l.sandbox {
		b.loadProviders(layers)
	}
	return b, nil
}

// loadChecked loads mappings to run them. It prints the findings, and returns errReported if
// one of them is an error.
func (p *process) loadChecked(flags mappingFlags, l loading) (*bundle, error) {
	layers, err := flags.layers()
	if err != nil {
		return nil, err
	}
	l.evalTimeout, l.maxValues = flags.EvalTimeout, int(flags.MaxValues)
	b, err := p.load(l, layers...)
	if err != nil {
		return nil, err
	}
	for _, d := range b.findings.Sorted() {
		fmt.Fprintln(p.stderr, d)
	}
	if b.findings.Failed() {
		return b, errReported
	}
	return b, nil
}

// loadProviders reads the sandbox.yaml of each provider from the last layer that has one.
func (b *bundle) loadProviders(layers []engine.Layer) {
	sources := map[string]engine.Layer{}
	for _, layer := range layers {
		files, _ := fs.Glob(layer.FS, "*/"+engine.SandboxFile) // the pattern is valid, and the engine reports directories that cannot be read
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
			b.findings.Errorf(source.Pos{File: shown, Line: 1, Col: 1}, "E061-unreadable-file", "%s", err)
			continue
		}
		provider, findings := sandbox.Load(name, shown, src, b.language)
		b.findings = append(b.findings, findings...)
		if provider != nil {
			b.providers = append(b.providers, provider)
		}
	}
	slices.SortFunc(b.providers, func(a, b *sandbox.Provider) int { return strings.Compare(a.Name(), b.Name()) })
}

// integrations returns the names of all integrations, sorted.
func (b *bundle) integrations() []string {
	var names []string
	for _, in := range b.catalog.Integrations() {
		names = append(names, in.Name)
	}
	return names
}

// updatePlan returns the first method of the integration that updates a record; nil if there
// is none.
func (b *bundle) updatePlan(integration string) *engine.Plan {
	for _, plan := range b.catalog.Plans() {
		if plan.Integration().Name == integration && plan.Operation().Method == "update" {
			return plan
		}
	}
	return nil
}

// basePath returns the path of an integration's base_url, such as "/api/v1/" or "".
func (b *bundle) basePath(integration string) string {
	in := b.catalog.Integration(integration)
	if in == nil {
		return ""
	}
	_, rest, _ := strings.Cut(in.BaseURL, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return ""
}
