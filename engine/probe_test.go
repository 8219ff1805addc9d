package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const acmeIntegration = `format: portolan/integration/v1
name: acme
base_url: https://api.example.com
resources:
  people:
    update: {method: PUT, path: "/people/{id}"}
    note: {method: POST, path: "/people/{id}/notes"}
`

// compileAcme compiles a mapping whose operation is the given YAML, indented by six.
func compileAcme(t *testing.T, operation string) (*engine.Plan, string) {
	t.Helper()
	mapping := "format: portolan/mapping/v1\nmodel: ticketing\nresources:\n  users:\n    update:\n      call: people.update\n" +
		"      " + strings.ReplaceAll(strings.TrimSpace(operation), "\n", "\n      ") + "\n"
	files := fstest.MapFS{"acme/integration.yaml": {Data: []byte(acmeIntegration)}, "acme/ticketing.yaml": {Data: []byte(mapping)}}
	docs, found := engine.Load(testLanguage(), engine.Layer{FS: files})
	catalog, more := engine.Compile(docs, unifiedModels(t), nil)
	var codes []string
	for _, d := range append(found, more...).Sorted() {
		codes = append(codes, d.Code)
	}
	return catalog.Plan("acme", engine.Operation{Model: "ticketing", Resource: "users", Method: "update"}), strings.Join(codes, " ")
}

// supportOf writes a plan's support as "path → fields", with the index in front if it is not 0.
func supportOf(p *engine.Plan) []string {
	var out []string
	for _, leaf := range p.Support().Leaves {
		text := leaf.Path + " →"
		for i := range 9 {
			for _, f := range leaf.Fields[i] {
				text += fmt.Sprintf(" %d:%s", i, f)
			}
		}
		out = append(out, text)
	}
	return out
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name, operation string
		want            []string
		codes           string
	}{
		{
			"a required neighbour proves nothing", `
request_body_schema: {properties: {emails: {maxItems: 1, items: {properties: {email: {}, type: {}}}}}}
request_body_mapping: '{ "mail": body.emails[0].email }'`,
			[]string{"/emails/*/email → 0:mail"},
			"E042-not-effective",
		},
		{
			"an object that is only there proves nothing", `
request_body_schema: {properties: {first_name: {}}}
request_body_mapping: '{ "profile": $exists(body.first_name) ? { "first": body.frist_name } }'`,
			nil, "E042-not-effective",
		},
		{
			"a value may be changed on its way", `
request_body_schema: {properties: {first_name: {}}}
request_body_mapping: '{ "first": $uppercase(body.first_name) }'`,
			[]string{"/first_name → 0:first"},
			"",
		},
		{
			"each entry has its own field", `
request_body_schema: {properties: {emails: {maxItems: 3}}}
request_body_mapping: '{ "a": body.emails[0].email, "b": body.emails[1].email, "c": body.emails[2].email }'`,
			[]string{"/emails/*/email → 0:a 1:b 2:c"},
			"",
		},
		{
			"an enum counts by what it changes", `
request_body_schema: {properties: {roles: {maxItems: 1, items: {required: [id], properties: {id: {enum: [owner, member]}}}}}}
request_body_mapping: '{ "admin": body.roles[0].id = "owner" ? true, "plain": body.roles[0].id = "member" ? true }'`,
			[]string{"/roles/*/id → 0:admin 0:plain"},
			"",
		},
		{
			"custom_fields is one leaf", `
request_body_schema: {properties: {custom_fields: {}}}
request_body_mapping: '{ "custom": body.custom_fields }'`,
			[]string{"/custom_fields → 0:custom"},
			"",
		},
		{
			"custom_fields is taken by member", `
request_body_schema: {properties: {custom_fields: {}}}
request_body_mapping: '{ "title": body.custom_fields.title }'`,
			[]string{"/custom_fields → 0:title"},
			"",
		},
		{
			"a member of custom_fields is a number", `
request_body_schema: {properties: {custom_fields: {}}}
request_body_mapping: '{ "minutes": body.custom_fields.hours * 60 }'`,
			[]string{"/custom_fields → 0:minutes"},
			"",
		},
		{
			"a member of custom_fields has members", `
request_body_schema: {properties: {custom_fields: {}}}
request_body_mapping: '{ "city": body.custom_fields.` + "`home address`" + `.city }'`,
			[]string{"/custom_fields → 0:city"},
			"",
		},
		{
			"what differs by itself proves nothing", `
request_body_schema: {properties: {first_name: {}, last_name: {}}}
request_body_mapping: '{ "first": body.first_name, "request": $uuid() }'`,
			[]string{"/first_name → 0:first"},
			"E042-not-effective",
		},
		{
			"a step carries a field", `
request_body_schema: {properties: {first_name: {}, last_name: {}}}
request_body_mapping: '{ "first": body.first_name }'
after:
  - {name: note, call: people.note, run_if: $exists(body.last_name), request_body_mapping: '{ "text": body.last_name }'}`,
			[]string{"/first_name → 0:first", "/last_name → 0:note:/text"},
			"",
		},
		{
			"the query carries a field", `
request_body_schema: {properties: {first_name: {}}}
query_mapping: '{ "first": body.first_name }'
request_body_mapping: '{ "x": 1 }'`,
			[]string{"/first_name → 0:?/first"},
			"",
		},
		{
			"entries past the first are cut", `
request_body_schema: {properties: {roles: {maxItems: 2}}}
request_body_mapping: '{ "role": body.roles[0].id }'`,
			[]string{"/roles/*/id → 0:role"},
			"E046-array-cut",
		},
		{
			"one entry is sent bare", `
request_body_schema: {properties: {roles: {}}}
request_body_mapping: '{ "roles": body.roles.{ "key": id } }'`,
			nil, "E045-array-without-brackets",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, codes := compileAcme(t, c.operation)
			if codes != c.codes {
				t.Errorf("codes %q, want %q", codes, c.codes)
			}
			if c.want == nil && c.codes != "E042-not-effective" {
				return
			}
			if diff := cmp.Diff(c.want, supportOf(plan)); diff != "" {
				t.Errorf("support differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProviderFieldBecomesTheCallers(t *testing.T) {
	plan, codes := compileAcme(t, `
request_body_schema: {properties: {first_name: {}, emails: {maxItems: 2}, roles: {items: {required: [id]}}}}
request_body_mapping: '{ "person": { "first-name": body.first_name, "mail": body.emails[0].email, "alt": body.emails[1].email, "roles": [body.roles.id] } }'`)
	if codes != "" {
		t.Fatal(codes)
	}
	body := map[string]any{
		"first_name": "Ada", "emails": []any{map[string]any{"email": "a@example.com"}, map[string]any{"email": "b@example.com"}},
		"roles": []any{map[string]any{"id": "x"}, map[string]any{"id": "y"}},
	}
	for field, want := range map[string]string{
		"first-name": "/first_name", "person.first-name": "/first_name", "person[alt]": "/emails/1/email", "mail": "/emails/0/email",
		"roles": "/roles", "roles.1": "/roles/1/id", "unheard": "", "": "",
	} {
		if got := plan.Support().Pointer(field, body); got != want {
			t.Errorf("%q: got %q, want %q", field, got, want)
		}
	}
	if got := plan.Support().Pointer("alt", map[string]any{"first_name": "Ada"}); got != "" {
		t.Errorf("a field that the caller did not send: %q", got)
	}
}

func TestVersionIsOfTheContent(t *testing.T) {
	version := func(operation string) string {
		plan, codes := compileAcme(t, operation)
		if codes != "" {
			t.Fatal(codes)
		}
		return plan.Version()
	}
	base := version("request_body_schema: {properties: {first_name: {}}}\nrequest_body_mapping: '{ \"first\": body.first_name }'")
	for name, same := range map[string]string{
		"yaml comment":       "# why\nrequest_body_schema: {properties: {first_name: {}}}\nrequest_body_mapping: '{ \"first\": body.first_name }'",
		"yaml layout":        "request_body_schema:\n  properties:\n    first_name: {}\nrequest_body_mapping: |\n  { \"first\":\n      body.first_name }",
		"expression comment": "request_body_schema: {properties: {first_name: {}}}\nrequest_body_mapping: '{ \"first\": /* given */ body.first_name }'",
	} {
		if got := version(same); got != base {
			t.Errorf("%s: %s, want %s", name, got, base)
		}
	}
	if got := version("request_body_schema: {properties: {first_name: {}}}\nrequest_body_mapping: '{ \"frst\": body.first_name }'"); got == base {
		t.Error("another content has the same version")
	}
}

func TestReceipts(t *testing.T) {
	plan, _ := compileAcme(t, `
request_body_schema: {properties: {first_name: {}, emails: {maxItems: 2}, custom_fields: {}}}
request_body_mapping: '{ "first": body.first_name, "a": body.emails[0].email, "b": body.emails[1].email, "c": body.custom_fields }'`)
	long := strings.Repeat("x", 100) // what is inside has no receipts of its own
	got := plan.Receipts(&engine.Request{
		Body: map[string]any{
			"first_name": "Ada", "last_name": "Quill", "custom_fields": map[string]any{"a/b": nil}, "remote_data": map[string]any{},
			"emails": []any{map[string]any{"email": "a@example.com", "type": "work", long: map[string]any{"y": 1}}, map[string]any{"email": "b@example.com"}},
			"roles":  []any{map[string]any{"id": "owner", "name": "Owner"}},
		},
		Query: map[string]any{"collections": []any{}, "colour": "red"}, RemoteQuery: []engine.Param{{Name: "x"}},
	})
	var lines []string
	for _, r := range got {
		lines = append(lines, r.Pointer+" "+string(r.Outcome))
	}
	want := []string{
		"/custom_fields applied", "/emails/0/email applied", "/emails/0/type unsupported", "/emails/0/" + long + " unsupported", "/emails/1/email applied", "/first_name applied",
		"/last_name unsupported", "/remote_data passed_through", "/roles unsupported",
		"?collections unsupported", "?colour unsupported", "?remote_query passed_through",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("receipts differ (-want +got):\n%s", diff)
	}
}
