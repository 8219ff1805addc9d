package schemas_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
	"portolan/schemas"
)

func decode(t *testing.T, source string) any {
	t.Helper()
	doc, err := plain.Decode([]byte(source), plain.Options{Lenient: true})
	if err != nil {
		t.Fatalf("decode %s: %v", source, err)
	}
	return doc.Value
}

func compile(t *testing.T, source string) *schemas.Schema {
	t.Helper()
	s, err := schemas.Compile("test", decode(t, source))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, schema, value string
		want                []string // "pointer code message"
	}{
		{"valid", `{"type":"object"}`, `{}`, nil},
		{"type", `{"properties":{"first_name":{"type":"string"}}}`, `{"first_name":5}`, []string{"/first_name type first_name must be a string, got number"}},
		{"type, several", `{"items":{"type":["integer","null","array"]}}`, `[1.5]`, []string{"/0 type 0 must be an integer, null or an array, got number"}},
		{"type of the whole", `{"type":"object"}`, `[]`, []string{" type the value must be an object, got array"}},
		{"required", `{"properties":{"roles":{"items":{"required":["id","name"]}}}}`, `{"roles":[{"name":"x"},{}]}`, []string{
			"/roles/0/id required roles/0/id is required",
			"/roles/1/id required roles/1/id is required",
			"/roles/1/name required roles/1/name is required",
		}},
		{"required, odd names", `{"required":["a/b","c~d","e f","%41"]}`, `{}`, []string{
			"/%41 required %41 is required",
			"/a~1b required a~1b is required",
			"/c~0d required c~0d is required",
			"/e f required e f is required",
		}},
		{"dependentRequired", `{"dependentRequired":{"a/ b":["b","c"]}}`, `{"a/ b":1,"c":2}`, []string{"/b required b is required"}},
		{"dependencies", `{"$schema":"http://json-schema.org/draft-07/schema#","dependencies":{"a":["b","c"],"d":{"required":["e"]}}}`, `{"a":1,"d":1}`, []string{
			"/b required b is required", "/c required c is required", "/e required e is required",
		}},
		{"enum", `{"properties":{"roles":{"items":{"properties":{"id":{"enum":["owner","member","viewer"]}}}}}}`, `{"roles":[{"id":"boss"}]}`, []string{"/roles/0/id enum roles/0/id must be one of owner, member, viewer [owner member viewer]"}},
		{"enum, other values", `{"enum":["", "a, b", null, 7, {"x":[1]}]}`, `"z"`, []string{` enum the value must be one of "", "a, b", null, 7, {"x":[1]} [ a, b <nil> 7 map[x:[1]]]`}},
		{"enum, one value", `{"enum":["project"]}`, `1`, []string{" enum the value must be project [project]"}},
		{"const", `{"properties":{"type":{"const":"project"}}}`, `{"type":"team"}`, []string{"/type enum type must be project [project]"}},
		{"const null", `{"const":null}`, `1`, []string{" enum the value must be null [<nil>]"}},
		{"format date-time", `{"items":{"format":"date-time"}}`, `["2024-01-01T00:00:00Z","yesterday"]`, []string{"/1 format 1 must be a valid date-time"}},
		{"format uuid", `{"format":"uuid"}`, `"x"`, []string{" format the value must be a valid uuid"}},
		{"format email", `{"format":"email"}`, `"x"`, []string{" format the value must be a valid email"}},
		{"format, unknown", `{"format":"shoe-size"}`, `"x"`, nil},
		{"pattern", `{"pattern":"^[a-z]+$"}`, `"X"`, []string{" format the value must match the pattern ^[a-z]+$"}},
		{"propertyNames", `{"propertyNames":{"pattern":"^[a-z]+$","maxLength":3}}`, `{"ok":1,"No/":2,"four":3,"FOUR":4}`, []string{
			"/FOUR format FOUR has a name that is not allowed",
			"/No~1 format No~1 has a name that is not allowed",
			"/four format four has a name that is not allowed",
		}},
		{"propertyNames by reference", `{"propertyNames":{"$ref":"#/$defs/short"},"$defs":{"short":{"maxLength":2}}}`, `{"abc":1}`, []string{"/abc format abc has a name that is not allowed"}},
		{"propertyNames, nested", `{"propertyNames":{"allOf":[{"pattern":"^a"},{"anyOf":[{"maxLength":1},{"const":"abc"}]}]}}`, `{"ax":1,"b":1}`, []string{
			"/ax format ax has a name that is not allowed",
			"/b format b has a name that is not allowed",
		}},
		{"minimum, maximum", `{"items":{"minimum":-1,"maximum":1000000}}`, `[-2,1000001]`, []string{"/0 range 0 must be at least -1", "/1 range 1 must be at most 1000000"}},
		{"exclusive", `{"items":{"exclusiveMinimum":0,"exclusiveMaximum":0.5}}`, `[0,0.5]`, []string{"/0 range 0 must be more than 0", "/1 range 1 must be less than 0.5"}},
		{"multipleOf", `{"multipleOf":5}`, `7`, []string{" range the value must be a multiple of 5"}},
		{"big integers", `{"maximum":9007199254740992}`, `9007199254740993`, []string{" range the value must be at most 9.007199254740992e+15"}},
		{"minItems", `{"properties":{"roles":{"minItems":1}}}`, `{"roles":[]}`, []string{"/roles length roles must have at least 1 item"}},
		{"maxItems", `{"properties":{"roles":{"maxItems":1}}}`, `{"roles":[1,2]}`, []string{"/roles length roles must have at most 1 item"}},
		{"uniqueItems", `{"uniqueItems":true}`, `[1,1]`, []string{" length the value must not have the same item twice"}},
		{"minContains", `{"contains":{"const":1}}`, `[2,3]`, []string{" length the value must have at least 1 item of the required kind"}},
		{"maxContains", `{"contains":{"const":1},"minContains":0,"maxContains":1}`, `[1,1]`, []string{" length the value must have at most 1 item of the same kind"}},
		{"minProperties, maxProperties", `{"items":{"minProperties":1,"maxProperties":2}}`, `[{},{"a":1,"b":1,"c":1}]`, []string{"/0 length 0 must have at least 1 property", "/1 length 1 must have at most 2 properties"}},
		{"minLength, maxLength", `{"items":{"minLength":1,"maxLength":2}}`, `["","éàü"]`, []string{"/0 length 0 must have at least 1 character", "/1 length 1 must have at most 2 characters"}},
		{"additionalItems", `{"$schema":"http://json-schema.org/draft-07/schema","items":[{}],"additionalItems":false}`, `[1,2]`, []string{" length the value must have at most 1 item"}},
		{"additionalProperties", `{"properties":{"first_name":{},"emails":{}},"patternProperties":{"^x-":{}},"additionalProperties":false}`, `{"firstName":1,"x-a":1,"shoe/size":1}`, []string{
			"/firstName additional firstName is not a known field (did you mean \"first_name\"?)",
			"/shoe~1size additional shoe~1size is not a known field",
		}},
		{"additionalProperties, nested", `{"properties":{"emails":{"items":{"properties":{"email":{}},"additionalProperties":false}}}}`, `{"emails":[{"emial":"b"}]}`, []string{"/emails/0/emial additional emails/0/emial is not a known field (did you mean \"email\"?)"}},
		{"additionalProperties, the likely name is there already", `{"properties":{"email":{}},"additionalProperties":false}`, `{"email":"a","emial":"b"}`, []string{"/emial additional emial is not a known field"}},
		{"unevaluatedProperties", `{"allOf":[{"properties":{"a":{}}}],"unevaluatedProperties":false}`, `{"a":1,"b":2}`, []string{"/b additional b is not allowed"}},
		{"false for a property called required", `{"properties":{"required":false}}`, `{"required":1}`, []string{"/required additional required is not allowed"}},
		{"false as the whole", `false`, `1`, []string{" additional the value is not allowed"}},
		{"false after prefixItems", `{"prefixItems":[{}],"items":false}`, `[1,2]`, []string{"/1 additional 1 is not allowed"}},
		{"properties called like keywords", `{"properties":{"type":{"type":"string"},"enum":{"enum":[1]},"anyOf":{"required":["anyOf"]},"propertyNames":{"minLength":2}}}`, `{"type":1,"enum":2,"anyOf":{},"propertyNames":""}`, []string{
			"/anyOf/anyOf required anyOf/anyOf is required",
			"/enum enum enum must be 1 [1]",
			"/propertyNames length propertyNames must have at least 2 characters",
			"/type type type must be a string, got number",
		}},
		{"not a value", `{"not":{"const":"x"}}`, `"x"`, []string{" enum the value has a value that is not allowed"}},
		{"not a form", `{"not":{"required":["a"]}}`, `{"a":1}`, []string{" format the value has a form that is not allowed"}},
		{"anyOf, types", `{"anyOf":[{"type":"string"},{"type":"number"}]}`, `true`, []string{" type the value must be a string or a number, got boolean"}},
		{"anyOf, values", `{"items":{"anyOf":[{"enum":["a"]},{"const":"b"}]}}`, `["c"]`, []string{"/0 enum 0 must be one of a, b [a b]"}},
		{"anyOf, required", `{"items":{"anyOf":[{"required":["id"]},{"required":["email"]}]}}`, `[{}]`, []string{"/0/id required 0 must have id or email"}},
		{"anyOf, the branch of the right type", `{"anyOf":[{"type":"string"},{"type":"object","required":["a","b"]}]}`, `{}`, []string{"/a required a is required", "/b required b is required"}},
		{"oneOf, the branch of the right kind", `{"oneOf":[{"properties":{"kind":{"const":"a"}}},{"properties":{"kind":{"const":"b"}},"required":["x","y"]}]}`, `{"kind":"b"}`, []string{"/x required x is required", "/y required y is required"}},
		{"oneOf, several", `{"oneOf":[{"type":"number"},{"type":"integer"}]}`, `1`, []string{" format the value matches more than one of its alternatives"}},
		{"allOf, $ref, then: reported once", `{"allOf":[{"$ref":"#/$defs/s"},{"type":"string"}],"if":true,"then":{"$ref":"#/$defs/s"},"$defs":{"s":{"type":"string"}}}`, `1`, []string{" type the value must be a string, got number"}},
		{"$anchor and recursion", `{"$anchor":"node","properties":{"next":{"$ref":"#node"},"v":{"type":"string"}}}`, `{"next":{"next":{"v":1}}}`, []string{"/next/next/v type next/next/v must be a string, got number"}},
		{"all at once, sorted", `{"properties":{"a":{"type":"string"},"b":{"maxItems":0},"c":{"minimum":3}},"required":["z"],"additionalProperties":false}`, `{"a":1,"b":[1],"c":1,"d":1}`, []string{
			"/a type a must be a string, got number",
			"/b length b must have at most 0 items",
			"/c range c must be at least 3",
			"/d additional d is not a known field",
			"/z required z is required",
		}},
		{"x- keywords and $id are ignored", `{"$id":"https://example.com/s.json","x-known-values":["a"],"x-y":{"$ref":"https://example.com/"},"$ref":"#/$defs/t","$defs":{"t":{"type":"string"}}}`, `"b"`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, value := compile(t, tt.schema), decode(t, tt.value)
			for range 5 { // the library iterates over maps
				if diff := cmp.Diff(tt.want, texts(s.Validate(value))); diff != "" {
					t.Fatalf("violations (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func texts(violations []schemas.Violation) []string {
	var out []string
	for _, v := range violations {
		text := v.Pointer + " " + v.Code + " " + v.Message
		if v.Allowed != nil {
			text += " " + fmt.Sprint(v.Allowed)
		}
		out = append(out, text)
	}
	return out
}

func TestValidateOddValues(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"properties":{"n":{"type":"integer"},"s":{"type":"string"},"list":{"items":{"minimum":1}},"any":{}}}`)
	tests := []struct {
		name  string
		value any
		want  []string
	}{
		{"infinity", map[string]any{"n": math.Inf(1)}, []string{"/n type n must be a JSON value"}},
		{"not a number", map[string]any{"list": []any{1.0, math.NaN()}}, []string{"/list/1 type list/1 must be a JSON value"}},
		{"number out of range", map[string]any{"n": json.Number("1e99999999")}, []string{"/n type n must be a JSON value"}},
		{"invalid number", map[string]any{"n": json.Number("seven")}, []string{"/n type n must be a JSON value"}},
		{"other type", map[string]any{"s": struct{}{}}, []string{"/s type s must be a JSON value"}},
		{"other type where anything is allowed", map[string]any{"any": json.RawMessage(`{}`)}, nil},
		{"float64", map[string]any{"n": 3.0}, nil},
		{"long and strange names", map[string]any{"list": []any{0.0}, "s": "x"}, []string{"/list/0 range list/0 must be at least 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, texts(s.Validate(tt.value))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesStayShort(t *testing.T) {
	s := compile(t, `{"properties":{"first_name":{}},"additionalProperties":false}`)
	name := strings.Repeat("é\n", 5000)
	got := s.Validate(map[string]any{name: strings.Repeat("x", 5000)})
	if len(got) != 1 || got[0].Pointer != "/"+name {
		t.Fatalf("got %d violations", len(got))
	}
	if want := strings.Repeat("é\uFFFD", 50) + "… is not a known field"; got[0].Message != want {
		t.Errorf("message %q, want %q", got[0].Message, want)
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	cycle := map[string]any{}
	cycle["not"] = cycle
	deep := any(true)
	for range 70 {
		deep = map[string]any{"not": deep}
	}
	veryDeep := any(true)
	for range 20000 {
		veryDeep = []any{veryDeep}
	}
	tests := []struct {
		name   string
		schema any
		want   string
	}{
		{"wrong keyword value", decode(t, `{"properties":{"roles":{"minItems":"1"}}}`), `bad: /properties/roles/minItems: properties/roles/minItems must be an integer, got string`},
		{"misspelt keyword", decode(t, `{"properties":{"maxLenght":{"maxLenght":3}}}`), `bad: /properties/maxLenght/maxLenght: is not a keyword of JSON Schema (did you mean "maxLength"?)`},
		{"unknown keyword", decode(t, `{"items":[{"anyOf":[{"size":3}]}]}`), `bad: /items/0/anyOf/0/size: is not a keyword of JSON Schema`},
		{"unknown type", decode(t, `{"type":"strng"}`), `bad: /type: type must be one of array, boolean, integer, null, number, object, string`},
		{"two mistakes", decode(t, `{"required":"a","items":[1]}`), `bad: /items: items must be an object or a boolean, got array; /required: required must be an array, got string`},
		{"bad pattern", decode(t, `{"properties":{"a":{"pattern":"("}}}`), `bad: /properties/a/pattern: properties/a/pattern must be a valid regex`},
		{"not a schema", json.Number("1"), `bad: the value must be an object or a boolean, got number`},
		{"null", nil, `bad: the value must be an object or a boolean, got null`},
		{"http reference", decode(t, `{"properties":{"a":{"$ref":"https://example.com/a.json"}}}`), `bad: /properties/a/$ref: must point into the schema itself (#…), nothing else is loaded`},
		{"file reference", decode(t, `{"$ref":"file:///etc/passwd"}`), `bad: /$ref: must point into the schema itself (#…), nothing else is loaded`},
		{"relative reference", decode(t, `{"allOf":[{"$ref":"other.json"}]}`), `bad: /allOf/0/$ref: must point into the schema itself (#…), nothing else is loaded`},
		{"reference to a draft", decode(t, `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`), `bad: /$ref: must point into the schema itself (#…), nothing else is loaded`},
		{"reference inside an x- keyword", decode(t, `{"$ref":"#/x-a","x-a":{"$ref":"https://example.com/a.json"}}`), `bad: https://example.com/a.json is outside the schema`},
		{"dangling reference", decode(t, `{"$ref":"#/$defs/a"}`), `bad: /$ref: does not exist in the schema`},
		{"dangling anchor", decode(t, `{"$ref":"#a"}`), `bad: #a not found`},
		{"endless reference", decode(t, `{"$ref":"#"}`), `bad: infinite loop #/$ref`},
		{"foreign $schema", decode(t, `{"$schema":"https://example.com/draft"}`), `bad: /$schema: must be https://json-schema.org/draft/2020-12/schema, https://json-schema.org/draft/2019-09/schema or http://json-schema.org/draft-07/schema`},
		{"$schema of the wrong type", decode(t, `{"$schema":7}`), `bad: invalid $schema in `},
		{"nested $id", decode(t, `{"properties":{"a":{"$id":"b"}}}`), `bad: /properties/a/$id: only the root schema may have an $id`},
		{"number out of range", decode(t, `{"maximum":1e999}`), `bad: /maximum: is out of range`},
		{"length out of range", decode(t, `{"items":{"maxLength":1e30}}`), `bad: /items/maxLength: is out of range`},
		{"infinity", map[string]any{"maximum": math.Inf(1)}, `bad: not plain JSON: +Inf is not a JSON number`},
		{"Go value", map[string]any{"default": make(chan int)}, `bad: not plain JSON: chan int is not a plain JSON value`},
		{"deep", deep, `bad: nested deeper than 64 levels`},
		{"very deep", veryDeep, `bad: not plain JSON: nested more than 10000 deep`},
		{"huge", map[string]any{"description": strings.Repeat("x", 1<<20)}, `bad: larger than 1048576 bytes`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := schemas.Compile("bad", tt.schema)
			if _, ok := errors.AsType[*schemas.CompileError](err); !ok {
				t.Fatalf("error %v, want a *CompileError", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := schemas.Compile("cycle", cycle); err == nil {
		t.Error("a cycle of Go values was accepted")
	}
}

// A schema whose endless loop shows only during validation yields a violation.
func TestValidateEndlessSchema(t *testing.T) {
	s, err := schemas.Compile("loop", decode(t, `{"$ref":"#/$defs/a","$defs":{
		"a":{"properties":{"p":{"$ref":"#/$defs/b"}},"if":{"$ref":"#/$defs/b"}},
		"b":{"$ref":"#/$defs/a"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Validate(map[string]any{})
	if len(got) != 1 || got[0].Code != schemas.CodeType {
		t.Errorf("got %v, want one violation", got)
	}
}

func TestCompileCopies(t *testing.T) {
	schema := decode(t, `{"$id":"https://example.com/s.json","enum":["a"]}`).(map[string]any)
	s, err := schemas.Compile("copy", schema)
	if err != nil {
		t.Fatal(err)
	}
	if schema["$id"] == nil {
		t.Error("Compile changed its argument")
	}
	schema["enum"].([]any)[0] = "b"
	s.Validate("x")[0].Allowed[0] = "c"
	if got := s.Validate("a"); got != nil {
		t.Errorf("the schema changed after it was compiled: %v", got)
	}
}

func TestValidateConcurrently(t *testing.T) {
	t.Parallel()
	s := compile(t, `{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}},"additionalProperties":false}`)
	want := []string{"/a type a must be a string or null, got number", "/b additional b is not a known field"}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if diff := cmp.Diff(want, texts(s.Validate(map[string]any{"a": 1.0, "b": 2.0}))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
	group.Wait()
}
