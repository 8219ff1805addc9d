package engine_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"portolan/engine"
	"portolan/jsonata"
	"portolan/mappings"
	"portolan/schemas"
)

func unifiedModels(tb testing.TB) engine.Models {
	tb.Helper()
	unified, err := schemas.Unified()
	if err != nil {
		tb.Fatal(err)
	}
	models := engine.Models{}
	for key, m := range unified {
		part := strings.Split(key, ".")
		models[engine.Operation{Model: part[0], Resource: part[1], Method: part[2]}] = engine.Model{Request: m.Request, Query: m.Query, Response: m.Response}
	}
	return models
}

func testLanguage() *jsonata.Language {
	return jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{})
}

func TestMappingsHaveNoFindings(t *testing.T) {
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: mappings.FS, Path: "mappings"})
	_, more := engine.Compile(docs, unifiedModels(t))
	for _, d := range append(found, more...).Sorted() {
		t.Error(d)
	}
}
