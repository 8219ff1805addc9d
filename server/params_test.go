package server

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/gateway"
)

const accountID = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"

func read(t *testing.T, raw string) (params, []gateway.Failure) {
	t.Helper()
	q, failures := decodeQuery(raw)
	if len(failures) > 0 {
		t.Fatalf("%q cannot be decoded: %v", raw, failures)
	}
	return readParams(q)
}

func TestParams(t *testing.T) {
	tests := []struct {
		name, query string
		want        params // account, format and rawQuery are set if they are zero
	}{
		{"nothing else", "", params{}},
		{"formats", "truto_response_format=debug", params{options: gateway.Options{Format: gateway.FormatDebug}}},
		{"unified by name", "truto_response_format=unified", params{}},
		{"sent empty", "truto_response_format=&truto_skip_api_call&truto_ignore_remote_data=&truto_exclude_fields=", params{}},
		{"normalized", "truto_response_format=normalized", params{options: gateway.Options{Format: gateway.FormatNormalized}}},
		{"raw", "truto_response_format=raw", params{options: gateway.Options{Format: gateway.FormatRaw}}},
		{"true", "truto_ignore_remote_data=true&truto_skip_api_call=1", params{options: gateway.Options{IgnoreRemoteData: true, PlanOnly: true}}},
		{"false", "truto_ignore_remote_data=false&truto_skip_api_call=0", params{}},
		{"excluded, one", "truto_exclude_fields=emails", params{options: gateway.Options{Exclude: []string{"emails"}}}},
		{"excluded, commas", "truto_exclude_fields=emails,%20roles", params{options: gateway.Options{Exclude: []string{"emails", "roles"}}}},
		{"excluded, repeated", "truto_exclude_fields=b&truto_exclude_fields=a", params{options: gateway.Options{Exclude: []string{"b", "a"}}}},
		{"excluded, brackets", "truto_exclude_fields[]=b&truto_exclude_fields[]=a,c", params{options: gateway.Options{Exclude: []string{"b", "a", "c"}}}},
		{"excluded, indices", "truto_exclude_fields[1]=b&truto_exclude_fields[0]=a", params{options: gateway.Options{Exclude: []string{"a", "b"}}}},
		{"excluded, twice", "truto_exclude_fields=a,b,a", params{options: gateway.Options{Exclude: []string{"a", "b"}}}},
		{
			"remote query", "remote_query[a][b]=1",
			params{remote: []engine.Param{{Name: "a[b]", Value: "1"}}},
		},
		{
			"the rest", "limit=5&filter[a]=1&is_active=&remote_query=",
			params{query: map[string]any{"limit": "5", "filter": map[string]any{"a": "1"}}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, failures := read(t, "integrated_account_id="+accountID+"&"+tt.query)
			if len(failures) > 0 {
				t.Fatal(failures)
			}
			tt.want.account = accountID
			if tt.want.options.Format == "" {
				tt.want.options.Format = gateway.FormatUnified
			}
			if tt.want.query == nil {
				tt.want.query = map[string]any{}
			}
			tt.want.rawQuery = got.rawQuery
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(params{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got.rawQuery["integrated_account_id"] != accountID {
				t.Errorf("rawQuery is not what came: %v", got.rawQuery)
			}
		})
	}
}

func TestParamsAccountIsLowerCase(t *testing.T) {
	got, failures := read(t, "integrated_account_id="+strings.ToUpper(accountID))
	if len(failures) > 0 {
		t.Fatal(failures)
	}
	if got.account != accountID {
		t.Errorf("got %s", got.account)
	}
}

func TestCollections(t *testing.T) {
	entry := func(id, kind string) any {
		e := map[string]any{"id": id}
		if kind != "" {
			e["type"] = kind
		}
		return e
	}
	tests := []struct {
		query string
		want  any // nil: none
	}{
		{"collections=7", []any{entry("7", "")}},
		{"collections=7,8", []any{entry("7,8", "")}},
		{"collections[]=7", []any{entry("7", "")}},
		{"collections[0]=7", []any{entry("7", "")}},
		{"collections=7&collections=8", []any{entry("7", ""), entry("8", "")}},
		{"collections[id]=7&collections[type]=project", []any{entry("7", "project")}},
		{"collections[0][id]=7&collections[0][type]=project", []any{entry("7", "project")}},
		{"collections[][id]=7&collections[][type]=project", []any{entry("7", "project")}},
		{"collections[0][id]=7&collections[1][id]=8", []any{entry("7", ""), entry("8", "")}},
		{"collections[]=7&collections[][id]=8", []any{entry("7", ""), entry("8", "")}},
		{"collections=", nil},
		{"collections", nil},
		{"collections[]=", nil},
		{"collections[]=&collections[]=", nil},
	}
	for _, tt := range tests {
		got, failures := read(t, "integrated_account_id="+accountID+"&"+tt.query)
		if len(failures) > 0 {
			t.Errorf("%q: %v", tt.query, failures)
		}
		want := map[string]any{}
		if tt.want != nil {
			want["collections"] = tt.want
		}
		if diff := cmp.Diff(want, got.query); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.query, diff)
		}
		if _, ok := got.rawQuery["collections"]; !ok {
			t.Errorf("%q: rawQuery lost the collections", tt.query)
		}
	}
}

func TestParamsFailures(t *testing.T) {
	fail := func(pointer string, code gateway.Code, message string) gateway.Failure {
		return gateway.Failure{Pointer: pointer, Code: code, Message: strings.TrimPrefix(pointer, "?") + " " + message}
	}
	formats := fail("?truto_response_format", gateway.CodeEnum, "must be one of unified, raw, normalized, debug")
	formats.Allowed = []any{"unified", "raw", "normalized", "debug"}
	boolean := fail("?truto_skip_api_call", gateway.CodeEnum, "must be one of true, false, 1, 0")
	boolean.Allowed = []any{"true", "false", "1", "0"}
	required := fail("?integrated_account_id", gateway.CodeRequired, "is required: the id of the connected account")
	jsonText := func(pointer, example string) []gateway.Failure {
		return []gateway.Failure{fail(pointer, gateway.CodeFormat, "is JSON text: write "+example)}
	}
	const ok = "integrated_account_id=" + accountID + "&"
	tests := []struct {
		query string
		want  []gateway.Failure
	}{
		{"", []gateway.Failure{required}},
		{"integrated_account_id=", []gateway.Failure{fail("?integrated_account_id", gateway.CodeEmpty, "must not be empty")}},
		{"integrated_account_id=7", []gateway.Failure{fail("?integrated_account_id", gateway.CodeFormat, "must be a UUID")}},
		{ok[:len(ok)-2] + "g", []gateway.Failure{fail("?integrated_account_id", gateway.CodeFormat, "must be a UUID")}},
		{ok + ok, []gateway.Failure{fail("?integrated_account_id", gateway.CodeType, "must be one value, given once")}},
		{"integrated_account_id[]=" + accountID, []gateway.Failure{fail("?integrated_account_id", gateway.CodeType, "must be one value, given once")}},
		{ok + "truto_response_format=RAW", []gateway.Failure{formats}},
		{ok + "truto_response_format=raw&truto_response_format=raw", []gateway.Failure{fail("?truto_response_format", gateway.CodeType, "must be one value, given once")}},
		{ok + "truto_skip_api_call=yes", []gateway.Failure{boolean}},
		{ok + "truto_skip_api_call=TRUE", []gateway.Failure{boolean}},
		{ok + "truto_skip_api_call[a]=1", []gateway.Failure{fail("?truto_skip_api_call", gateway.CodeType, "must be one value, given once")}},
		{ok + "truto_exclude_fields=a,,b", []gateway.Failure{fail("?truto_exclude_fields", gateway.CodeEmpty, "has an empty name")}},
		{ok + "truto_exclude_fields[a]=b", []gateway.Failure{fail("?truto_exclude_fields", gateway.CodeType, "must be a list of names")}},
		{ok + "truto_exclude_fields[0][a]=b", []gateway.Failure{fail("?truto_exclude_fields", gateway.CodeType, "must be a list of names")}},
		{ok + "truto_response_formt=raw", []gateway.Failure{fail("?truto_response_formt", gateway.CodeAdditional, `is not a parameter of Portolan (did you mean "truto_response_format"?)`)}},
		{ok + "truto_x=1", []gateway.Failure{fail("?truto_x", gateway.CodeAdditional, "is not a parameter of Portolan")}},
		{ok + `truto_exclude_fields=["emails","roles"]`, []gateway.Failure{fail("?truto_exclude_fields", gateway.CodeFormat, "is JSON text: write truto_exclude_fields=emails,roles")}},
		{ok + `collections=[{"id":2260114}]`, jsonText("?collections", "collections[0][id]=2260114")},
		{ok + `collections=%20{"id":"p_1","type":"project"}`, jsonText("?collections", "collections[0][id]=p_1")},
		{ok + `collections=[{"type":"project"}]`, jsonText("?collections", "collections[0][id]=<id>")},
		{ok + `collections=[{"id":null}]`, jsonText("?collections", "collections[0][id]=<id>")},
		{ok + `collections=[{"id":"<b>"}]`, jsonText("?collections", "collections[0][id]=<id>")},
		{ok + `collections=[{"id":"` + strings.Repeat("7", 41) + `"}]`, jsonText("?collections", "collections[0][id]=<id>")},
		{ok + `collections=[7]`, jsonText("?collections", "collections[0][id]=7")},
		{ok + `collections="2260114"`, jsonText("?collections", "collections[0][id]=2260114")},
		{ok + `collections=%EF%BB%BF[{"id":1}]`, jsonText("?collections", "collections[0][id]=1")},
		{ok + `collections=%20%EF%BB%BF%20"1"`, jsonText("?collections", "collections[0][id]=1")},
		{ok + `collections[0][id]={"id":2260114}`, jsonText("?collections[0][id]", "collections[0][id]=2260114")},
		{ok + `collections[0][id]=[2260114]`, jsonText("?collections[0][id]", "collections[0][id]=2260114")},
		{ok + `collections[id]="1"`, jsonText("?collections[id]", "collections[id]=1")},
		{ok + `collections[0][id]=[[1]]`, jsonText("?collections[0][id]", "collections[0][id]=<id>")},
		{ok + `collections[0][id]=1&collections[0][type]="project"`, jsonText("?collections[0][type]", "collections[0][type]=<type>")},
		{ok + `truto_exclude_fields="emails"`, []gateway.Failure{fail("?truto_exclude_fields", gateway.CodeFormat, "is JSON text: write truto_exclude_fields=emails,roles")}},
		{ok + `collections={`, jsonText("?collections", "collections[0][id]=<id>")},
		{ok + `collections[]=7&collections[]={"id":8}`, jsonText("?collections[1]", "collections[1][id]=8")},
		{ok + "collections[0][id]=", []gateway.Failure{fail("?collections[0][id]", gateway.CodeEmpty, "must not be empty")}},
		{ok + "collections[id]=", []gateway.Failure{fail("?collections[id]", gateway.CodeEmpty, "must not be empty")}},
		{ok + "collections[]=7&collections[]=", []gateway.Failure{fail("?collections[1]", gateway.CodeEmpty, "must not be empty")}},
		{ok + "collections[0][type]=project", []gateway.Failure{fail("?collections[0][id]", gateway.CodeRequired, "is required")}},
		{ok + "collections[0][id]=7&collections[0][id]=8", []gateway.Failure{fail("?collections[0][id]", gateway.CodeType, "must be one value, given once")}},
		{ok + "collections[0][id]=7&collections[0][type]=", []gateway.Failure{fail("?collections[0][type]", gateway.CodeEmpty, "must not be empty")}},
		{ok + "collections[0][id]=7&collections[0][typ]=x", []gateway.Failure{fail("?collections[0][typ]", gateway.CodeAdditional, `is not known here (did you mean "type"?)`)}},
		{ok + "collections[0][]=7", []gateway.Failure{fail("?collections[0]", gateway.CodeType, "must be an id or an object with id and type")}},
		{
			"truto_response_format=RAW&collections[1][id]=7&collections[0][name]=x&truto_x=1",
			[]gateway.Failure{
				required, formats,
				fail("?collections[0][id]", gateway.CodeRequired, "is required"),
				fail("?collections[0][name]", gateway.CodeAdditional, "is not known here"),
				fail("?truto_x", gateway.CodeAdditional, "is not a parameter of Portolan"),
			},
		},
	}
	for _, tt := range tests {
		got, failures := read(t, tt.query)
		if diff := cmp.Diff(tt.want, failures); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.query, diff)
		}
		if got.options.Format != gateway.FormatUnified && !strings.Contains(tt.query, "="+string(got.options.Format)) {
			t.Errorf("%q: format %q", tt.query, got.options.Format)
		}
	}
}

func TestSuggestion(t *testing.T) {
	tests := []struct{ name, want string }{
		{"truto_skip_api_calls", ` (did you mean "truto_skip_api_call"?)`},
		{"TRUTO_SKIP_API_CALL", ` (did you mean "truto_skip_api_call"?)`},
		{"truto_exclude_field", ` (did you mean "truto_exclude_fields"?)`},
		{"truto_banana", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := gateway.Suggestion(tt.name, "truto_response_format", gateway.ParamExcludeFields, "truto_skip_api_call"); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestIsUUID(t *testing.T) {
	for id, want := range map[string]bool{
		"62f44730-dd91-461e-bd6a-aedd9e0ad79d": true, "62F44730-DD91-461E-BD6A-AEDD9E0AD79D": true,
		"": false, "62f44730-dd91-461e-bd6a-aedd9e0ad79": false, "62f44730-dd91-461e-bd6a-aedd9e0ad79g": false,
		"62f44730_dd91-461e-bd6a-aedd9e0ad79d": false, "62f44730-dd91-461e-bd6a-aedd9e0ad7-d": false, "62f44730-dd91-461e-bd6a-aedd9e0ad7\x19d": false,
	} {
		if got := isUUID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
