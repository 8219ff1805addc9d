package engine_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"portolan/engine"
	"portolan/mappings"
	"portolan/schemas"
)

func unifiedModels(t testing.TB) engine.Models {
	t.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		t.Fatal(err)
	}
	models := engine.Models{}
	for key, m := range unified {
		part := strings.Split(key, ".")
		models[engine.Operation{Model: part[0], Resource: part[1], Method: part[2]}] = engine.Model{Request: m.Request, Query: m.Query, Response: m.Response}
	}
	return models
}

func TestMappingsHaveNoFindings(t *testing.T) {
	start := time.Now()
	lang := engine.NewLanguage(time.Now, rand.Reader, engine.Limits{})
	docs, found := engine.Load(lang, engine.Layer{FS: mappings.FS, Path: "mappings"})
	t.Log(time.Since(start))
	catalog, more := engine.Compile(docs, unifiedModels(t))
	t.Log(time.Since(start))
	for _, d := range append(found, more...).Sorted() {
		t.Error(d)
	}
	for _, p := range catalog.Plans() {
		t.Log(p.Version())
		for _, l := range p.Support().Leaves {
			t.Log("  ", l)
		}
		t.Log("  ", p.Support().Query)
	}
}
