package engine_test

import (
	"crypto/rand"
	"testing"
	"time"

	"portolan/engine"
	"portolan/gateway"
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
	return gateway.Models(unified)
}

func testLanguage() *jsonata.Language {
	return jsonata.NewLanguage(time.Now, rand.Reader, jsonata.Limits{})
}

func TestMappingsHaveNoFindings(t *testing.T) {
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: mappings.FS, Path: "mappings"})
	_, more := engine.Compile(docs, unifiedModels(t), nil)
	for _, d := range append(found, more...).Sorted() {
		t.Error(d)
	}
}
