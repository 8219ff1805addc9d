package engine_test

import (
	"errors"
	"strings"
	"testing"

	"portolan/engine"
	"portolan/jsonata"
)

// An answer with too many values is not usable if the mapping reads it. The result of an override
// has the same limit.
func TestValuesAreLimited(t *testing.T) {
	catalog, base := overriddenCatalog(t, jsonata.Limits{Values: 1000})
	req := &engine.Request{ID: "7", Body: map[string]any{"first_name": "Ada"}, Context: account()}
	answer := func(items int) string { return `{"id":1,"list":[` + strings.Repeat("{},", items-1) + "{}]}" }
	if _, _, record, err := carriedOut(t, base, req, answer(997)); err != nil || record["id"] != "1" {
		t.Errorf("as many as allowed: %v, %v", record, err)
	}
	_, _, _, err := carriedOut(t, base, req, answer(998))
	failed, ok := errors.AsType[*engine.Error](err)
	if !ok || failed.Kind != engine.KindProvider || failed.Cause != engine.CauseTooManyValues || failed.Provider.Message != "the provider's answer has too many values" {
		t.Errorf("one more: %v", err)
	}
	plan, found := catalog.Override("", base, layer("a", "", "", `{ "custom": [1..response.n] }`, false))
	if found.Failed() {
		t.Fatal(found)
	}
	if _, _, _, err := carriedOut(t, plan, req, `{"n":998}`); err != nil {
		t.Errorf("a result as large as allowed: %v", err)
	}
	if _, _, _, err := carriedOut(t, plan, req, `{"n":999}`); !errors.Is(err, jsonata.ErrTooLarge) {
		t.Errorf("a larger result: %v", err)
	}
}
