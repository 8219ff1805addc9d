package main

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"portolan/accounts"
	"portolan/engine"
	"portolan/gateway"
	"portolan/golden"
	"portolan/jsonata"
	"portolan/schemas"
	"portolan/server"
	"portolan/source"
)

// mutateFlag is --mutate [N].
type mutateFlag struct {
	set   bool
	limit int // of changes to each provider; 0: none
}

// Decode reads the number that may follow the flag.
func (f *mutateFlag) Decode(ctx *kong.DecodeContext) error {
	f.set = true
	next := ctx.Scan.Peek()
	n, err := strconv.Atoi(next.String())
	switch {
	case err == nil && n > 0:
		f.limit = n
		ctx.Scan.Pop()
	case err == nil || next.Type == kong.FlagValueToken:
		return fmt.Errorf("%q is not a number of changes", next.String())
	}
	return nil
}

// minScore is the part of the changes that the cases of a provider must notice.
const minScore = 0.98

// mutant is one change of a provider's file, and what came of it.
type mutant struct {
	golden.Mutant
	file    string // in the last layer
	refused bool   // lint refuses the changed file as such, without trying what it does
	noticed bool   // by a case
}

// mutation tries changes of the files of one provider.
type mutation struct {
	language *jsonata.Language
	models   schemas.Models
	layers   []engine.Layer // the last one has the files that are changed
	cases    []*golden.Case
}

// mutate prints the score of each provider's cases and the changes of dir's mappings that no case
// notices. It reports whether all scores are high enough.
func (c *testCommand) mutate(ctx context.Context, p *process, dir mappingDir, b *bundle, cases []*golden.Case) (bool, error) {
	models, err := schemas.Unified()
	if err != nil {
		return false, fmt.Errorf("unified schemas: %w", err)
	}
	high := true
	for _, name := range dir.integrations() {
		m := mutation{language: b.language, models: models}
		for _, layer := range dir.layers() {
			layer.Only = name
			m.layers = append(m.layers, layer)
		}
		for _, one := range cases {
			if one.Provider == name {
				m.cases = append(m.cases, one)
			}
		}
		mutants, err := m.mutants(name)
		if err == nil {
			mutants, err = m.run(ctx, mutants, cmp.Or(c.Mutate.limit, len(mutants)))
		}
		if err != nil {
			return false, err
		}
		high = printMutants(p.stdout, name, dir, mutants) && high
	}
	return high, nil
}

// printMutants prints the score and the changes that no case noticed, and reports whether the score
// is high enough.
func printMutants(w io.Writer, name string, dir mappingDir, mutants []mutant) bool {
	noticed := 0
	for _, m := range mutants {
		if m.noticed {
			noticed++
			continue
		}
		for _, d := range dir.own(source.Diagnostics{{Pos: m.Pos}}) {
			fmt.Fprintf(w, "not noticed: %s: %s\n", d.Pos, m.What)
		}
	}
	score := float64(noticed) / float64(max(len(mutants), 1))
	fmt.Fprintf(w, "%s: %d of %s noticed, score %.4f\n", name, noticed, counted(len(mutants), "change"), score)
	return score >= minScore
}

// mutants returns all changes of the provider's files in the last layer, in an order that is always
// the same and mixes the files.
func (m *mutation) mutants(provider string) ([]mutant, error) {
	layer := m.layers[len(m.layers)-1]
	docs, _ := engine.Load(m.language, m.layers...)
	files, err := fs.Glob(layer.FS, provider+"/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []mutant
	for _, file := range files {
		if base := path.Base(file); base == engine.SandboxFile || strings.HasPrefix(base, ".") {
			continue
		}
		src, err := fs.ReadFile(layer.FS, file)
		if err != nil {
			return nil, err
		}
		for _, one := range golden.Mutants(path.Join(layer.Path, file), src, docs.Expressions) {
			out = append(out, mutant{Mutant: one, file: file})
		}
	}
	slices.SortStableFunc(out, func(a, b mutant) int { return cmp.Compare(a.hash(), b.hash()) })
	return out, nil
}

func (m mutant) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, m.file, m.What, m.Pos.Line, m.Pos.Col)
	return h.Sum64()
}

// run tries the first n changes that lint does not refuse, and returns them by place.
func (m *mutation) run(ctx context.Context, mutants []mutant, n int) ([]mutant, error) {
	var out []mutant
	for len(out) < n && len(mutants) > 0 {
		batch := mutants[:min(n-len(out), len(mutants))]
		mutants = mutants[len(batch):]
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(runtime.GOMAXPROCS(0))
		for i := range batch {
			group.Go(func() error { return m.try(ctx, &batch[i]) })
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		out = append(out, slices.DeleteFunc(batch, func(one mutant) bool { return one.refused })...)
	}
	slices.SortStableFunc(out, func(a, b mutant) int {
		return cmp.Or(cmp.Compare(a.file, b.file), a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
	})
	return out, nil
}

// try runs the cases on the changed file, up to the first that fails.
//
//nolint:contextcheck // compiling does not end early
func (m *mutation) try(ctx context.Context, one *mutant) error {
	layers := slices.Clone(m.layers)
	last := &layers[len(layers)-1]
	last.FS = changedFile{last.FS, one.file, one.Source}
	docs, found := engine.Load(m.language, layers...)
	catalog, more := engine.Compile(docs, gateway.Models(m.models), nil)
	snapshot, bad, err := gateway.NewSnapshot(catalog, m.models)
	if err != nil {
		return err
	}
	one.refused = slices.ContainsFunc(slices.Concat(found, more, bad), func(d source.Diagnostic) bool {
		return d.Severity == source.SeverityError && !slices.Contains(foundByTrying, d.Code[:4])
	})
	for _, c := range m.cases {
		if one.refused || one.noticed || ctx.Err() != nil {
			break
		}
		one.noticed = runOffline(ctx, snapshot, c).State == golden.Failed
	}
	return ctx.Err()
}

// foundByTrying are the codes of findings about what a mapping does. A mapping with any other error
// does not run.
var foundByTrying = []string{"E041", "E042", "E043", "E045", "E046"}

// runOffline runs a case without a server.
func runOffline(ctx context.Context, snapshot *gateway.Snapshot, c *golden.Case) *golden.Result {
	if c.Connects() {
		return golden.RunConnect(ctx, snapshot.Catalog(), c)
	}
	face := golden.Face{
		Failed: server.ErrorAnswer,
		Read: func(verb, target string, body []byte) (gateway.Target, *gateway.Input, *gateway.Problem) {
			return server.ReadCall(snapshot, verb, target, body)
		},
	}
	return golden.RunGateway(ctx, face, func(doer engine.Doer, a golden.Account) *gateway.Gateway {
		return gateway.New(snapshot, engine.New(doer, golden.Clock), caseAccount(a))
	}, c)
}

// caseAccount is the only account of a case.
type caseAccount golden.Account

func (a caseAccount) Account(_ context.Context, _, id string) (accounts.Account, error) {
	if !strings.EqualFold(a.ID, id) {
		return accounts.Account{}, accounts.ErrNotFound
	}
	return accounts.Account{ID: a.ID, Integration: a.Integration, Context: a.Context}, nil
}

// changedFile is a file system with another content of one file.
type changedFile struct {
	fs.FS
	name    string
	content []byte
}

func (f changedFile) ReadFile(name string) ([]byte, error) {
	if name == f.name {
		return f.content, nil
	}
	return fs.ReadFile(f.FS, name)
}
