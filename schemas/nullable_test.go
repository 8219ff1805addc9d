package schemas_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
	"portolan/schemas"
)

func TestNullable(t *testing.T) {
	const given = `{"type":"object","required":["id"],"properties":{
		"id":{"type":"string","minLength":1}, "kind":{"type":["string","number"],"enum":["a",1]}, "any":{}, "yes":true,
		"list":{"type":"array","items":{"type":"object","properties":{"name":{"type":"string"}}}}}}`
	const want = `{"type":"object","required":["id"],"properties":{
		"id":{"type":["string","null"],"minLength":1}, "kind":{"type":["string","number","null"],"enum":["a",1,null]}, "any":{}, "yes":true,
		"list":{"type":["array","null"],"items":{"type":"object","properties":{"name":{"type":["string","null"]}}}}}}`
	decode := func(text string) map[string]any {
		object, err := plain.DecodeObject([]byte(text), plain.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return object
	}
	schema := decode(given)
	if diff := cmp.Diff(decode(want), schemas.Nullable(schema)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(decode(given), schema); diff != "" {
		t.Errorf("the schema has changed:\n%s", diff)
	}
}
