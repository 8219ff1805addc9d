package main

import (
	"crypto/rand"
	"io/fs"
	"os"
	"strings"
	"testing"

	"portolan/engine"
	"portolan/golden"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/plain"
	"portolan/schemas"
	"portolan/source"
)

// A file that is only written anew, as JSON, is neither refused nor noticed: a score counts nothing
// but changes.
func TestUnchangedIsNotNoticed(t *testing.T) {
	t.Parallel()
	models, err := schemas.Unified()
	if err != nil {
		t.Fatal(err)
	}
	files, _ := fs.Glob(mappings.FS, "*/*.yaml")
	for _, file := range files {
		provider, name, _ := strings.Cut(file, "/")
		if name == engine.SandboxFile {
			continue
		}
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			cases, _ := golden.Load(os.DirFS("../../testdata/cases"), ".", []string{provider})
			src, err := fs.ReadFile(mappings.FS, file)
			if err != nil || len(cases) == 0 {
				t.Fatal(len(cases), err)
			}
			r := source.Reader{Diags: &source.Diagnostics{}}
			text, err := plain.Append(nil, r.JSON(source.ParseYAML(file, src, r.Diags)))
			if err != nil {
				t.Fatal(err)
			}
			m := mutation{jsonata.NewLanguage(golden.Clock, rand.Reader, jsonata.Limits{}), models, []engine.Layer{builtin(provider)}, cases}
			same := mutant{Mutant: golden.Mutant{Source: text}, file: file}
			if err := m.try(t.Context(), &same); err != nil || same.refused || same.noticed {
				t.Errorf("refused: %t, noticed: %t, %v", same.refused, same.noticed, err)
			}
		})
	}
}
