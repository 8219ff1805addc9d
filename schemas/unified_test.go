package schemas_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/schemas"
)

func unified(t *testing.T) schemas.Models {
	t.Helper()
	models, err := schemas.Unified()
	if err != nil {
		t.Fatal(err)
	}
	return models
}

func compilePart(t *testing.T, schema map[string]any) *schemas.Schema {
	t.Helper()
	s, err := schemas.Compile("part", schema)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUnifiedOrder(t *testing.T) {
	want := []string{
		"id", "name", "first_name", "last_name", "username", "emails", "is_active", "team_ids", "avatar",
		"roles", "created_at", "updated_at", "etag", "remote_data",
	}
	m := unified(t)["ticketing.users.update"]
	if diff := cmp.Diff(want, m.Order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	properties := slices.Sorted(maps.Keys(m.Response["properties"].(map[string]any)))
	if diff := cmp.Diff(properties, slices.Sorted(slices.Values(m.Order))); diff != "" {
		t.Errorf("order and properties (-properties +order):\n%s", diff)
	}
}

func TestUnifiedIsFresh(t *testing.T) {
	clear(unified(t)["ticketing.users.update"].Request)
	if len(unified(t)["ticketing.users.update"].Request) == 0 {
		t.Error("the result is shared between callers")
	}
}

// Every field has a description, and every example satisfies its schema.
func TestUnifiedFieldsAreDocumented(t *testing.T) {
	seen := 0
	for key, m := range unified(t) {
		for part, schema := range map[string]map[string]any{"request": m.Request, "query": m.Query, "response": m.Response} {
			seen++
			if schema == nil {
				t.Errorf("%s has no %s", key, part)
			}
			documented(t, key+"."+part, schema)
		}
	}
	if seen == 0 {
		t.Error("no models")
	}
}

func documented(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	for _, key := range []string{"title", "description"} {
		if text, _ := schema[key].(string); text == "" {
			t.Errorf("%s has no %s", at, key)
		}
	}
	examples, _ := schema["examples"].([]any)
	if len(examples) == 0 {
		t.Errorf("%s has no example", at)
	}
	s, err := schemas.Compile(at, schema)
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range examples {
		if got := s.Validate(example); got != nil {
			t.Errorf("%s: example %v: %v", at, example, got)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		documented(t, at+"."+name, p.(map[string]any))
	}
	if items, ok := schema["items"].(map[string]any); ok {
		documented(t, at+"[]", items)
	}
}

func TestUnifiedRequest(t *testing.T) {
	s := compilePart(t, unified(t)["ticketing.users.update"].Request)
	tests := []struct {
		name, body string
		want       []string
	}{
		{"empty", `{}`, nil},
		{"null everywhere", `{"first_name":null,"last_name":null,"emails":null,"roles":null,"custom_fields":null,"remote_data":null}`, nil},
		{"null in leaves", `{"emails":[{"email":null,"type":null}],"roles":[{"id":null,"name":null}]}`, nil},
		{"empty values are values", `{"first_name":"","emails":[],"roles":[{}],"custom_fields":{},"remote_data":{}}`, nil},
		{"known values are not enforced", `{"roles":[{"id":"62f3"}]}`, nil},
		{"the provider judges addresses", `{"emails":[{"email":"not an address"}]}`, nil},
		{"any custom fields", `{"custom_fields":{"a":[null,{"b":1}]},"remote_data":{"x":null}}`, nil},
		{"not an object", `[]`, []string{" type the value must be an object, got array"}},
		{"types", `{"first_name":1,"emails":{},"roles":[null],"custom_fields":[],"remote_data":"x"}`, []string{
			"/custom_fields type custom_fields must be an object or null, got array",
			"/emails type emails must be an array or null, got object",
			"/first_name type first_name must be a string or null, got number",
			"/remote_data type remote_data must be an object or null, got string",
			"/roles/0 type roles/0 must be an object, got null",
		}},
		{"unknown at each level", `{"nickname":"x","emails":[{"email":"a","kind":"b"}],"roles":[{"ids":1}]}`, []string{
			"/emails/0/kind additional emails/0/kind is not a known field",
			"/nickname additional nickname is not a known field",
			"/roles/0/ids additional roles/0/ids is not a known field (did you mean \"id\"?)",
		}},
		{"missing address", `{"emails":[{"type":"work"}]}`, []string{"/emails/0/email required emails/0/email is required"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, texts(s.Validate(decode(t, tt.body)))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnifiedQuery(t *testing.T) {
	s := compilePart(t, unified(t)["ticketing.users.update"].Query)
	tests := []struct {
		name, query string
		want        []string
	}{
		{"none", `{}`, nil},
		{"other parameters stand beside", `{"color":"red"}`, nil},
		{"type may be left out", `{"collections":[{"id":"99"}]}`, nil},
		{"mistakes", `{"collections":[{"type":"project"},{"id":"","kind":"x"},"7"]}`, []string{
			"/collections/0/id required collections/0/id is required",
			"/collections/1/id length collections/1/id must have at least 1 character",
			"/collections/1/kind additional collections/1/kind is not a known field",
			"/collections/2 type collections/2 must be an object, got string",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, texts(s.Validate(decode(t, tt.query)))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnifiedResponse(t *testing.T) {
	s := compilePart(t, unified(t)["ticketing.users.update"].Response)
	tests := []struct {
		name  string
		value map[string]any
		want  []string
	}{
		{"smallest", map[string]any{"id": "1"}, nil},
		{"remote data as bytes", map[string]any{"id": "1", "remote_data": json.RawMessage(`[1]`)}, nil},
		{"no id", map[string]any{}, []string{"/id required id is required"}},
		{"empty id", map[string]any{"id": ""}, []string{"/id length id must have at least 1 character"}},
		{"numeric id", map[string]any{"id": json.Number("7")}, []string{"/id type id must be a string, got number"}},
		{"no time", map[string]any{"id": "1", "created_at": "17 May", "updated_at": "2024-05-17"}, []string{
			"/created_at format created_at must be a valid date-time", "/updated_at format updated_at must be a valid date-time",
		}},
		{"null is no value", map[string]any{"id": "1", "name": nil}, []string{"/name type name must be a string, got null"}},
		{"unknown field", map[string]any{"id": "1", "user_name": "x"}, []string{"/user_name additional user_name is not a known field (did you mean \"username\"?)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, texts(s.Validate(tt.value))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func editor(t *testing.T, name string) *schemas.Schema {
	t.Helper()
	source, err := schemas.Editor(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schemas.Compile(name, decode(t, string(source)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEditor(t *testing.T) {
	tests := []struct {
		name, schema, value string
		want                []string
	}{
		{"integration", "integration", `{
			"format": "portolan/integration/v1", "name": "example", "label": "Example", "base_url": "https://{site}.example.com",
			"credentials": [{"name": "api_key", "label": "API key", "secret": true, "required": true}, {"name": "site", "pattern": "[a-z]+", "enum": ["a", 7], "default": "a"}],
			"authorization": {"headers": {"X-Key": "context.api_key"}, "query": {"key": "context.api_key"}},
			"errors": {"when": "status >= 400", "status": 401, "message": "error.error", "fields": "error.fields"},
			"rate_limit": {"limit": "headers.a", "remaining": "headers.b", "reset": "headers.c"},
			"resources": {"users": {"update": {"method": "PUT", "path": "/users/{id}", "headers": {"Accept": "'x'"}, "query": {"a": "1"}, "body": "form", "repeatable": true}}}}`, nil},
		{"smallest integration", "integration", `{"format": "portolan/integration/v1", "name": "example", "base_url": "https://example.com", "resources": {}}`, nil},
		{"bad integration", "integration", `{"format": "portolan/mapping/v1", "name": "Example", "base_url": "https://example.com", "rate_limits": {}, "resources": {"users": {"update": {"method": "put", "repeatable": "yes"}, "Get": {"method": "GET", "path": "/"}}}, "credentials": [{"label": "x"}]}`, []string{
			"/credentials/0/name required credentials/0/name is required",
			"/format enum format must be portolan/integration/v1 [portolan/integration/v1]",
			"/name format name must match the pattern ^[a-z][a-z0-9_]*$",
			"/rate_limits additional rate_limits is not a known field (did you mean \"rate_limit\"?)",
			"/resources/users/Get format resources/users/Get has a name that is not allowed",
			"/resources/users/update/method enum resources/users/update/method must be one of GET, POST, PUT, PATCH, DELETE [GET POST PUT PATCH DELETE]",
			"/resources/users/update/path required resources/users/update/path is required",
			"/resources/users/update/repeatable type resources/users/update/repeatable must be a boolean, got string",
		}},
		{"mapping", "mapping", `{
			"format": "portolan/mapping/v1", "model": "ticketing", "resources": {"users": {"update": {
				"call": "people.update", "path_variables": {"project_id": "query.collections[0].id"},
				"query_schema": {"required": ["collections"]}, "request_body_schema": {"properties": {"first_name": {}}},
				"query_mapping": "{}", "request_body_mapping": "{}", "response_mapping": "response", "record": "after.read.person",
				"before": [{"name": "find", "call": "people.get", "run_if": "$exists(body.roles)", "path_variables": {"id": "id"}, "query_mapping": "{}", "request_body_mapping": "{}"}],
				"after": [{"name": "read", "call": "people.get"}]}}}}`, nil},
		{"bad mapping", "mapping", `{"format": "portolan/mapping/v1", "model": "ticketing", "resources": {"users": {"update": {"call": "people", "request_body_schema": true, "after": [{"call": "people.get", "runif": "x"}]}}}}`, []string{
			"/resources/users/update/after/0/name required resources/users/update/after/0/name is required",
			"/resources/users/update/after/0/runif additional resources/users/update/after/0/runif is not a known field (did you mean \"run_if\"?)",
			`/resources/users/update/call format resources/users/update/call must match the pattern ^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`,
			"/resources/users/update/request_body_schema type resources/users/update/request_body_schema must be an object, got boolean",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, texts(editor(t, tt.schema).Validate(decode(t, tt.value)))); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
	for _, name := range []string{"nothing", "", "../go"} {
		if _, err := schemas.Editor(name); err == nil {
			t.Errorf("Editor(%q) returned a schema", name)
		}
	}
}

// Each key of the editor schemas has a description, and each file is draft-07.
func TestEditorSchemasAreDocumented(t *testing.T) {
	files, err := fs.Glob(os.DirFS("."), "*.schema.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("editor schemas: %v, %v", files, err)
	}
	for _, file := range files {
		source, err := schemas.Editor(strings.TrimSuffix(file, ".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc := decode(t, string(source)).(map[string]any)
		if doc["$schema"] != "http://json-schema.org/draft-07/schema#" {
			t.Errorf("%s is of %v", file, doc["$schema"])
		}
		explained(t, file, doc, doc)
	}
}

func explained(t *testing.T, at string, root, schema map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		field := p.(map[string]any)
		text := field["description"]
		if ref, _ := field["$ref"].(string); text == nil && ref != "" {
			target := root["definitions"].(map[string]any)[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any)
			text = target["description"]
		}
		if text == nil {
			t.Errorf("%s: %s has no description", at, name)
		}
	}
	for name, member := range schema {
		if inner, ok := member.(map[string]any); ok {
			explained(t, at+"/"+name, root, inner)
		}
	}
}
