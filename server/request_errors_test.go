package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const (
	users     = "/unified/ticketing/users/u1?integrated_account_id="
	hiveUser1 = users + hiveID
	name      = `{"first_name":"Ada"}`
)

// failureList returns the failures of an error envelope as "pointer code", in their order.
func failureList(tb testing.TB, w *httptest.ResponseRecorder) []string {
	tb.Helper()
	out := []string{}
	details, _ := decode(tb, w)["details"].(map[string]any)
	list, _ := details["failures"].([]any)
	for _, f := range list {
		f := f.(map[string]any)
		out = append(out, fmt.Sprintf("%s %s", f["pointer"], f["code"]))
	}
	return out
}

// envelopeOf checks the parts that all error answers have, and returns the envelope.
func envelopeOf(tb testing.TB, w *httptest.ResponseRecorder, status int) map[string]any {
	tb.Helper()
	if w.Code != status {
		tb.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	e := decode(tb, w)
	if e["statusCode"] != float64(status) || e["error"] == "" || e["message"] == "" || e["message"] == nil {
		tb.Errorf("envelope: %s", w.Body)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		tb.Errorf("content type %q", got)
	}
	if w.Header().Get("X-Request-Id") == "" || w.Header().Get("Server-Timing") == "" {
		tb.Errorf("headers: %v", w.Header())
	}
	if strings.Contains(w.Body.String(), "goroutine ") || strings.Contains(w.Body.String(), ".go:") {
		tb.Errorf("the answer holds a stack: %s", w.Body)
	}
	return e
}

// insights returns the names in truto_error_insight.
func insights(e map[string]any) []string {
	m, _ := e["truto_error_insight"].(map[string]any)
	return slices.Sorted(maps.Keys(m))
}

// counted returns a doer that answers with success and counts its calls.
func counted(calls *atomic.Int64) doer {
	return func(c *engine.Call) (*engine.Reply, error) {
		calls.Add(1)
		return answers(200, hiveUser)(c)
	}
}

func TestBadRequests(t *testing.T) {
	patch := http.MethodPatch
	deep := strings.Repeat(`{"custom_fields":`, 65) + "1" + strings.Repeat("}", 65)
	hive, tracker := hiveUser1, users+pivotal
	role := `{"roles":[{"id":"owner"}]}`
	container := "&collections[0][id]=7"
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		failures                   string // joined by ", "
		message                    string // part of it
	}{
		{"account missing", patch, "/unified/ticketing/users/u1", name, nil, 400, "?integrated_account_id required", "integrated_account_id is required"},
		{"account unknown", patch, users + "00000000-0000-4000-8000-00000000abcd", name, nil, 404, "", "there is no integrated account"},
		{"account of another environment", patch, users + "00000000-0000-4000-8000-0000000000ff", name, nil, 404, "", "there is no integrated account"},
		{"account no uuid", patch, users + "7", name, nil, 400, "?integrated_account_id format", "must be a UUID"},
		{"account twice", patch, hive + "&integrated_account_id=" + hiveID, name, nil, 400, "?integrated_account_id type", "given once"},
		{"account empty", patch, users, name, nil, 400, "?integrated_account_id empty", "must not be empty"},

		{"query escape", patch, hive + "&a=%zz", name, nil, 400, "?a syntax", ""},
		{"query value and object", patch, hive + "&a=1&a[b]=2", name, nil, 400, "?a[b] type", "used as a value and as an object"},
		{"query depth", patch, hive + "&a[b][c][d][e][f][g]=1", name, nil, 400, "?a[b][c][d][e][f][g] limit", ""},
		{"query index", patch, hive + "&a[21]=1", name, nil, 400, "?a[21] limit", ""},
		{"query pairs", patch, hive + strings.Repeat("&a[]=1", 1000), name, nil, 400, "? limit", "more than 1000 parameters"},
		{"query prototype", patch, hive + "&__proto__[a]=1", name, nil, 400, "?__proto__[a] syntax", ""},
		{"format unknown", patch, hive + "&truto_response_format=xml", name, nil, 400, "?truto_response_format enum", "unified, raw, normalized, debug"},
		{"boolean", patch, hive + "&truto_ignore_remote_data=yes", name, nil, 400, "?truto_ignore_remote_data enum", ""},
		{"truto parameter", patch, hive + "&truto_ignore_remote_dat=1", name, nil, 400, "?truto_ignore_remote_dat additional", `did you mean "truto_ignore_remote_data"?`},
		{"excluded field", patch, hive + "&truto_exclude_fields=emial", name, nil, 400, "?truto_exclude_fields enum", `there is no field "emial" to exclude`},
		{"remote_query authorizes", patch, hive + "&remote_query[user_id]=x", name, nil, 400, "?remote_query[user_id] unsupported", "must not replace a parameter that authenticates"},
		{"remote_query authorizes in another case", patch, hive + "&remote_query[USER_ID]=x", name, nil, 400, "?remote_query[USER_ID] unsupported", "must not replace a parameter that authenticates"},
		{"remote_query authorizes inside", patch, hive + "&remote_query[User_id][a]=x", name, nil, 400, "?remote_query[User_id] unsupported", ""},
		{"remote_query authorizes to PHP", patch, hive + "&remote_query[%20user.id]=x", name, nil, 400, "?remote_query[ user.id] unsupported", ""},
		{"remote_query authorizes to servers that ignore separators", patch, hive + "&remote_query[userId]=x", name, nil, 400, "?remote_query[userId] unsupported", ""},
		{"unknown parameter, strict", patch, hive + "&colour=red", name, []string{"Prefer", "handling=strict"}, 400, "?colour unsupported", "colour is not supported"},
		{"unsupported field, strict", patch, hive, `{"first_name":"A","roles":[{"id":"x"}]}`, []string{"Prefer", "handling=strict"}, 400, "/roles unsupported", "roles is not supported"},

		{"wrong type", patch, hive, `{"first_name":7}`, nil, 400, "/first_name type", "first_name must be"},
		{"wrong type inside", patch, users + planhat, `{"emails":["a@example.com"]}`, nil, 400, "/emails/0 type", ""},
		{"object for array", patch, users + planhat, `{"roles":{"id":"x"}}`, nil, 400, "/roles type", ""},
		{"null", patch, hive, `{"first_name":null}`, nil, 400, "/first_name null", "cannot clear it"},
		{"null entry", patch, users + planhat, `{"roles":[null]}`, nil, 400, "/roles/0 type", ""},
		{"null inside", patch, users + planhat, `{"emails":[{"email":null}]}`, nil, 400, "/emails/0/email null", ""},
		{"unknown field", patch, hive, `{"frist_name":"A"}`, nil, 400, "/frist_name additional", `did you mean "first_name"?`},
		{"email missing", patch, users + planhat, `{"emails":[{"type":"work"}]}`, nil, 400, "/emails/0/email required", ""},
		{"second email", patch, users + planhat, `{"emails":[{"email":"a@example.com"},{"email":"b@example.com"}]}`, nil, 400, "/emails length", ""},
		{"no role", patch, tracker + container, `{"roles":[]}`, nil, 400, "/roles length", ""},
		{"duplicate keys", patch, hive, `{"first_name":"A","first_name":"B"}`, nil, 400, "/first_name syntax", "given more than once"},
		{"depth", patch, hive, deep, nil, 400, " limit", "nested more than 64 deep"},
		{"array", patch, hive, `[]`, nil, 400, " type", "the body must be an object"},
		{"trailing data", patch, hive, name + "{}", nil, 400, " syntax", "line 1, column 21"},
		{"empty body", patch, hive, "", nil, 400, " empty", "the body is empty"},
		{"empty object", patch, hive, "{}", nil, 400, " empty", ""},
		{"nothing reaches the provider", patch, hive, role, nil, 400, "/roles empty", "roles is not supported by this integration, and nothing in the request would reach the provider"},
		{"remote_query alone", patch, hive + "&remote_query[a]=1", "{}", nil, 400, " empty", ""},
		{"empty remote_data alone", patch, hive, `{"remote_data":{}}`, nil, 400, " empty", ""},
		{"2 MiB", patch, hive, `{"first_name":"` + strings.Repeat("a", 2<<20) + `"}`, nil, 413, "", "larger than 1048576 bytes"},
		{"content type", patch, hive, name, []string{"Content-Type", "text/plain"}, 415, "", `"text/plain" is not supported`},
		{"no content type", patch, hive, name, []string{"Content-Type", ""}, 415, "", "content-type is missing"},
		{"content encoding", patch, hive, name, []string{"Content-Encoding", "gzip"}, 415, "", `content-encoding "gzip" is not supported`},

		{"collection missing", patch, tracker, role, nil, 400, "?collections required", "Collection with type project is required."},
		{"collection with an empty id", patch, tracker + "&collections[0][id]=", role, nil, 400, "?collections[0][id] empty", "collections[0][id] must not be empty"},
		{"collection with an empty id, as an object", patch, tracker + "&collections[id]=", role, nil, 400, "?collections[id] empty", ""},
		{"collection with an empty type", patch, tracker + container + "&collections[0][type]=", role, nil, 400, "?collections[0][type] empty", ""},
		{"one of two collections empty", patch, tracker + "&collections[]=7&collections[]=", role, nil, 400, "?collections length, ?collections[1] empty", ""},
		{"collection with JSON as its id", patch, tracker + `&collections[0][id]={%22id%22:7}`, role, nil, 400, "?collections[0][id] format", "write collections[0][id]=7"},
		{"collection as quoted text", patch, tracker + "&collections=%227%22", role, nil, 400, "?collections format", "write collections[0][id]=7"},
		{"collection with JSON as its type", patch, tracker + container + "&collections[0][type]=[1]", role, nil, 400, "?collections[0][type] format", ""},
		{"collection empty", patch, tracker + "&collections[]=", role, nil, 400, "?collections required", "Collection with type project is required."},
		{"two collections", patch, tracker + "&collections[]=7&collections[]=8", role, nil, 400, "?collections length", "collections"},
		{"collection of another type", patch, tracker + container + "&collections[0][type]=board", role, nil, 400, "?collections[0][type] enum", "project"},
		{"collection key", patch, tracker + container + "&collections[0][typ]=project", role, nil, 400, "?collections[0][typ] additional", `did you mean "type"?`},
		{"role outside the enum", patch, tracker + container, `{"roles":[{"id":"boss"}]}`, nil, 400, "/roles/0/id enum", "owner, member, viewer"},
		{"role without id", patch, tracker + container, `{"roles":[{"name":"owner"}]}`, nil, 400, "/roles/0/id required", ""},

		{"id empty", patch, "/unified/ticketing/users/?integrated_account_id=" + hiveID, name, nil, 400, "{id} format", "is empty"},
		{"id dot", patch, strings.Replace(hive, "u1", ".", 1), name, nil, 400, "{id} format", `must not be "."`},
		{"id dots", patch, strings.Replace(hive, "u1", "%2e%2E", 1), name, nil, 400, "{id} format", `must not be "."`},
		{"id control character", patch, strings.Replace(hive, "u1", "a%00", 1), name, nil, 400, "{id} format", "control character"},
		{"id line break", patch, strings.Replace(hive, "u1", "a%0d%0aX:%201", 1), name, nil, 400, "{id} format", "control character"},
		{"id no UTF-8", patch, strings.Replace(hive, "u1", "%ff", 1), name, nil, 400, "{id} format", "UTF-8"},
		{"id of two segments", patch, strings.Replace(hive, "u1", "a/b", 1), name, nil, 404, "", "there is no route /unified/ticketing/users/a/b: it has too many segments for /unified/{model}/{resource}/{id}"},

		{"two slashes after the id", patch, strings.Replace(hive, "u1", "u1//", 1), name, nil, 404, "", "it has too many segments"},
		{"no id", patch, strings.Replace(hive, "/u1", "", 1), name, nil, 404, "", "it has too few segments for /unified/{model}/{resource}/{id}"},
		{"no resource", patch, "/unified/ticketing/", name, nil, 404, "", "it has too few segments"},
		{"nothing after unified", patch, "/unified", name, nil, 404, "", "it has too few segments"},
		{"three slashes at the start", patch, "//" + hive, name, nil, 404, "", "there is no route //unified/"},
		{"model", patch, "/unified/crm/users/u1?integrated_account_id=" + hiveID, name, nil, 404, "", `the unified model "crm" does not exist`},
		{"model misspelt", patch, "/unified/tickting/users/1", name, nil, 404, "", `the unified model "tickting" does not exist (did you mean "ticketing"?)`},
		{"resource", patch, "/unified/ticketing/people/u1", name, nil, 404, "", `there is no resource "people" in the unified model "ticketing"`},
		{"resource misspelt", "GET", "/unified/ticketing/usrs/u1/", name, nil, 404, "", `there is no resource "usrs" in the unified model "ticketing" (did you mean "users"?)`},
		{"resource of 1 KiB", patch, "/unified/ticketing/" + strings.Repeat("u", 1<<10) + "/u1", name, nil, 404, "", strings.Repeat("u", 100) + `…" in the unified model`},
		{"resource over the limit", patch, "/unified/ticketing/" + strings.Repeat("u", 16<<10) + "/u1", name, nil, 414, "", "longer than 16384 bytes"},
		{"unknown route over the limit", "GET", "/" + strings.Repeat("u", 16<<10), "", nil, 414, "", "longer than 16384 bytes"},
		{"headers of an open route", "GET", "/healthz", "", []string{"X-Much", strings.Repeat("a", 64<<10)}, 431, "", "larger than 65536 bytes"},
		{"route", "GET", "/nowhere", "", nil, 404, "", "there is no route /nowhere"},
		{"route before token", "GET", "/nowhere", "", []string{"Authorization", ""}, 404, "", "there is no route"},
		{"resource before token", patch, "/unified/crm/users/u1", name, []string{"Authorization", ""}, 404, "", "there is no route"},
		{"target", patch, hive + "&a=" + strings.Repeat("a", 16<<10), name, nil, 414, "", "longer than 16384 bytes"},
		{"headers", patch, hive, name, []string{"X-Much", strings.Repeat("a", 64<<10)}, 431, "", "larger than 65536 bytes"},

		{
			"everything at once", patch, strings.Replace(tracker, "u1", "..", 1) + "&truto_formt=raw&truto_exclude_fields=nme&truto_skip_api_call=perhaps",
			`{"frist_name":"A","last_name":null,"emails":[{}],"roles":[{"id":"boss"}]}`, nil, 400,
			"/emails/0/email required, /frist_name additional, /last_name null, /roles/0/id enum, ?collections required, " +
				"?truto_exclude_fields enum, ?truto_formt additional, ?truto_skip_api_call enum, {id} format", "and 6 more",
		},
	}
	var calls atomic.Int64
	s := newServer(t, counted(&calls))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			calls.Store(0)
			w := ask(s, tt.method, tt.target, tt.body, tt.headers...)
			e := envelopeOf(t, w, tt.status)
			got := failureList(t, w)
			slices.Sort(got)
			if diff := cmp.Diff(tt.failures, strings.Join(got, ", ")); diff != "" {
				t.Errorf("failures (-want +got)\n%s%s", diff, w.Body)
			}
			if message, _ := e["message"].(string); !strings.Contains(message, tt.message) {
				t.Errorf("message %q lacks %q", message, tt.message)
			}
			if strings.Contains(w.Header().Get("Server-Timing"), "upstream") || calls.Load() != 0 {
				t.Errorf("the provider was called: %d, %s", calls.Load(), w.Header().Get("Server-Timing"))
			}
			if tt.status == 400 != (len(got) > 0) {
				t.Errorf("%d with failures %v", tt.status, got)
			}
			required := strings.Contains(tt.failures, "?integrated_account_id required") || strings.Contains(tt.failures, "?collections required")
			if slices.Contains(insights(e), "missing_required_query_parameters") != required {
				t.Errorf("insight: %v", e["truto_error_insight"])
			}
			if w := ask(s, patch, hive, name); w.Code != 200 {
				t.Errorf("afterwards a good request gets %d", w.Code)
			}
		})
	}
}

func TestUnknownParameterIsNamed(t *testing.T) {
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", hiveUser1+"&colour=red&truto_response_format=debug", name)
	if got := w.Header().Get("Portolan-Unsupported"); w.Code != 200 || got != "?colour" {
		t.Fatalf("%d, Portolan-Unsupported %q", w.Code, got)
	}
	fields := decode(t, w)["debug"].(map[string]any)["fields"]
	want := []any{
		map[string]any{"pointer": "/first_name", "outcome": "applied"},
		map[string]any{"pointer": "?colour", "outcome": "unsupported"},
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestManyFailuresAreCounted(t *testing.T) {
	body := `{"a0":0`
	for i := 1; i < 170; i++ {
		body += fmt.Sprintf(`,"a%d":0`, i)
	}
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", hiveUser1, body+"}")
	details, _ := envelopeOf(t, w, 400)["details"].(map[string]any)
	if got := len(failureList(t, w)); got != 100 || details["truncated"] != float64(70) {
		t.Errorf("%d failures, truncated %v", got, details["truncated"])
	}
}

func TestUnsupportedHeaderIsBounded(t *testing.T) {
	target := hiveUser1
	for i := range 400 {
		target += fmt.Sprintf("&parameter_%05d=1", i)
	}
	w := ask(newServer(t, answers(200, hiveUser)), "PATCH", target, name)
	got := w.Header().Get("Portolan-Unsupported")
	if w.Code != 200 || len(got) > 4<<10 || len(got) < 3<<10 {
		t.Errorf("%d, header of %d bytes", w.Code, len(got))
	}
	var more int
	if _, err := fmt.Sscanf(got[strings.LastIndex(got, ", ")+2:], "+%d more", &more); err != nil || more+strings.Count(got, "?") != 400 {
		t.Errorf("%d named, end %q", strings.Count(got, "?"), got[len(got)-30:])
	}
}
