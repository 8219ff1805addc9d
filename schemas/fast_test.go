package schemas

import (
	"encoding/json"
	"runtime"
	"testing"

	"portolan/plain"
)

// The library accepts every value that fastValidator accepts.
func FuzzFastValidator(f *testing.F) {
	models, err := Unified()
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range models {
		for _, doc := range []map[string]any{m.Request, m.Query, m.Response} {
			text, err := plain.Append(nil, doc)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, []byte(`{"id":"1","first_name":"Ada","emails":[{"email":"ada@example.com","type":null}],"roles":[{"id":"owner"}],"custom_fields":{"a":1.5}}`))
		}
	}
	for _, seed := range [][2]string{
		{`{"type":"integer"}`, `1`},
		{`{"type":"integer"}`, `1.0`},
		{`{"type":["number","null"]}`, `1e400`},
		{`{"type":"string","minLength":2,"maxLength":3}`, `"é日本"`},
		{`{"enum":["a","b"]}`, `"b"`},
		{`{"enum":["a",1]}`, `1`},
		{`{"const":"a"}`, `"b"`},
		{`{"format":"date-time"}`, `"2026-01-02T03:04:05Z"`},
		{`{"format":"uuid","type":"string"}`, `"x"`},
		{`{"type":"array","items":{"type":"string"},"minItems":1,"maxItems":2}`, `["a","b","c"]`},
		{`{"prefixItems":[{"type":"string"}],"items":{"type":"number"}}`, `["a",1]`},
		{`{"type":"array","uniqueItems":true}`, `[1,1]`},
		{`{"type":"object","required":["a"],"properties":{"a":{}},"additionalProperties":false,"minProperties":1,"maxProperties":1}`, `{"a":null}`},
		{`{"additionalProperties":{"type":"string"}}`, `{"a":1}`},
		{`{"patternProperties":{"a":{"type":"string"}},"additionalProperties":false}`, `{"a":"x"}`},
		{`{"not":{}}`, `1`},
		{`{"anyOf":[{"type":"string"}]}`, `1`},
		{`{"allOf":[{"type":"string"}]}`, `1`},
		{`{"if":{},"then":{"type":"string"}}`, `1`},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}`, `1`},
		{`{"minimum":3}`, `2`},
		{`{"multipleOf":2}`, `3`},
		{`{"pattern":"^a"}`, `"b"`},
		{`{"contains":{"type":"string"}}`, `[]`},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":1}`},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":1}`},
		{`{"unevaluatedProperties":false}`, `{"a":1}`},
		{`{"items":false}`, `[1]`},
		{`false`, `1`},
		{`true`, `1`},
	} {
		f.Add([]byte(seed[0]), []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, schema, value []byte) {
		doc, err := plain.Decode(schema, plain.Options{})
		if err != nil {
			return
		}
		v, err := plain.Decode(value, plain.Options{Lenient: true})
		if err != nil {
			return
		}
		s, err := Compile("fuzz", doc.Value)
		if err != nil || !s.fast.valid(v.Value) {
			return
		}
		if err := validate(s.root, v.Value); err != nil {
			t.Errorf("%s accepts %s, the library does not: %v", schema, value, err)
		}
	})
}

// A usual request is validated without the library and without an allocation.
func TestFastValidatorOfUnifiedSchemas(t *testing.T) {
	models, err := Unified()
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{
		"first_name": "Ada", "last_name": nil, "emails": []any{map[string]any{"email": "ada@example.com"}},
		"roles": []any{map[string]any{"id": "owner"}}, "custom_fields": map[string]any{"floor": json.Number("2")},
	}
	s, err := Compile("request", models["ticketing.users.update"].Request)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = s.Validate(body) }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
	body["frist_name"] = "Ada"
	if found := s.Validate(body); len(found) != 1 {
		t.Errorf("got %v, want one violation", found)
	}
}

// A body of nothing but invalid entries costs little more memory than a valid one: without a
// limit before the library, each of these takes hundreds of megabytes.
func TestInvalidEntriesCostLittleMemory(t *testing.T) {
	models, err := Unified()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compile("request", models["ticketing.users.update"].Request)
	if err != nil {
		t.Fatal(err)
	}
	for name, entry := range map[string]any{"lists": []any{}, "objects": map[string]any{}, "unknown members": map[string]any{"x": "y"}, "numbers": json.Number("7")} {
		entries := make([]any, 200_000)
		for i := range entries {
			entries[i] = entry
		}
		for _, field := range []string{"emails", "roles"} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			found := s.Validate(map[string]any{field: entries})
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
				t.Errorf("%s in %s: %d bytes allocated", name, field, took)
			}
			if name == "objects" && field == "roles" { // a role needs no member
				continue
			}
			if len(found) < 900 || found[0].Pointer[:len(field)+1] != "/"+field {
				t.Errorf("%s in %s: %d violations", name, field, len(found))
			}
		}
	}
}
