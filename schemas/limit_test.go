package schemas_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/schemas"
)

// However many violations a value has, MaxViolations are returned, always the same ones.
func TestViolationsAreLimited(t *testing.T) {
	t.Parallel()
	const n = 3 * schemas.MaxViolations
	members := func(item string) string { // %d is its number
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(item, "%d", strconv.Itoa(i)))
		}
		return b.String()[1:]
	}
	anyOf := `{"anyOf":[{"type":"string"},{"type":"null"}]}`
	tests := []struct{ name, schema, value, last string }{
		{"items", `{"items":{"type":"string"}}`, "[" + members(",%d") + "]", "/999"},
		{"members", `{"additionalProperties":{"type":"string"}}`, "{" + members(`,"a%d":1`) + "}", "/a1898"},
		{"unknown members", `{"additionalProperties":false}`, "{" + members(`,"a%d":1`) + "}", "/a1898"},
		{"unknown members of several objects", `{"items":{"additionalProperties":false}}`, "[" + strings.Repeat("{"+members(`,"a%d":1`)+"},", 2) + "1]", "/0/a1898"},
		{"missing members", `{"items":{"required":["b","a"]}}`, "[" + members(",{}") + "]", "/548/b"},
		{"alternatives", `{"items":` + anyOf + `}`, "[" + members(",%d") + "]", "/999"},
		{"alternatives inside", `{"anyOf":[{"items":` + anyOf + `},{"type":"null"}]}`, "[" + members(",%d") + "]", "/1898"},
		{"names", `{"propertyNames":{"maxLength":1}}`, "{" + members(`,"a%d":1`) + "}", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, v := compile(t, test.schema), decode(t, test.value)
			first := s.Validate(v)
			if len(first) != schemas.MaxViolations || test.last != "" && first[len(first)-1].Pointer != test.last {
				t.Errorf("%d violations, the last at %s", len(first), first[len(first)-1].Pointer)
			}
			for range 3 {
				if diff := cmp.Diff(first, s.Validate(v)); diff != "" {
					t.Fatalf("a later run\n(-first +later)\n%s", diff)
				}
			}
		})
	}
}
