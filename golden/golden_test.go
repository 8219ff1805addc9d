package golden_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
	"portolan/golden"
)

const (
	file = "cases/acme/ticketing.users.update/one.txtar"

	title   = "# two calls, the second one a form\n"
	request = "-- request --\nPATCH /unified/ticketing/users/u?integrated_account_id=a1\n{\"first_name\":\"Ada\"}\n"
	account = "-- account.json --\n{\"integration\":\"acme\",\"context\":{\"big\":9007199254740993}}\n"
	first   = "-- upstream.request --\nPUT /v1/users/u?b=2&c=3\nx-key: k\n\n{\"n\":9007199254740993}\n-- upstream.response --\n200\n{\"id\":\"u\"}\n"
	second  = "-- upstream.2.request --\nPOST /v1/roles\na=1&b=2\n-- upstream.2.response --\n204\n"
	answer  = "-- response --\n200\nETag: \"1\"\n\n{\"id\":\"u\"}\n"
	whole   = title + request + account + first + second + answer
)

func parse(tb testing.TB, text string) *golden.Case {
	tb.Helper()
	c, problems := golden.Parse(file, []byte(text))
	if len(problems) > 0 {
		tb.Fatal(problems)
	}
	return c
}

func TestParse(t *testing.T) {
	c := parse(t, whole)
	type summary struct {
		Name, Title, ID, Number string
		Calls                   []golden.Exchange
		Answer                  golden.Message
	}
	got := summary{c.Name, c.Title, c.Account.ID, fmt.Sprint(c.Account.Context["big"]), c.Upstream, c.Answer}
	want := summary{
		"acme/ticketing.users.update/one", "two calls, the second one a form", "a1", "9007199254740993",
		[]golden.Exchange{
			{
				Request: golden.Message{
					Method: "PUT", Target: "/v1/users/u?b=2&c=3",
					Header: []golden.Header{{Name: "x-key", Value: "k"}}, Body: []byte(`{"n":9007199254740993}`),
				},
				Response: golden.Message{Status: 200, Body: []byte(`{"id":"u"}`)},
			},
			{
				Request:  golden.Message{Method: "POST", Target: "/v1/roles", Body: []byte("a=1&b=2")},
				Response: golden.Message{Status: 204},
			},
		},
		golden.Message{Status: 200, Header: []golden.Header{{Name: "ETag", Value: `"1"`}}, Body: []byte(`{"id":"u"}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseProblems(t *testing.T) {
	tests := map[string]struct{ file, text, want string }{
		"no request":           {file, account + answer, "section request is missing"},
		"no account":           {file, request + answer, "section account.json is missing"},
		"no answer":            {file, request + account, "section response is missing"},
		"bad account":          {file, request + "-- account.json --\n{\"integration\":\"acme\",\"contxt\":{}}\n" + answer, "contxt"},
		"other integration":    {file, request + "-- account.json --\n{\"integration\":\"other\"}\n" + answer, `integration is "other"`},
		"two answers":          {file, request + account + answer + "-- error --\n400\n", "section response is unexpected"},
		"section twice":        {file, request + request + account + answer, "section request occurs twice"},
		"unknown section":      {file, request + account + answer + "-- notes --\nx\n", "section notes is unexpected"},
		"gap":                  {file, request + account + first + strings.ReplaceAll(second, ".2.", ".3.") + answer, "upstream.3.request is unexpected"},
		"no provider answer":   {file, request + account + "-- upstream.request --\nGET /x\n" + answer, "upstream.response is missing"},
		"error as response":    {file, request + account + "-- response --\n404\n", "status 404 belongs in section error"},
		"response as error":    {file, request + account + "-- error --\n200\n", "status 200 belongs in section response"},
		"bad status":           {file, request + account + "-- response --\nOK\n", `the first line is "OK"`},
		"bad first line":       {file, "-- request --\npatch unified\n" + account + answer, "want a method and a path"},
		"space in the target":  {file, "-- request --\nPATCH /a b\n" + account + answer, "must be percent-encoded"},
		"bad escape":           {file, "-- request --\nPATCH /a%zz\n" + account + answer, "invalid URL escape"},
		"header without end":   {file, request + account + "-- response --\n200\nETag: 1\n{\"id\":1}\n", "is not a valid header"},
		"mapping version":      {file, request + account + "-- response --\n200\nPortolan-Mapping: x\n", "not compared"},
		"carriage returns":     {file, strings.ReplaceAll(whole, "\n", "\r\n"), "must end in LF"},
		"section without name": {file, whole + "-- --\n", `a line "-- --"`},
		"not an operation":     {"cases/acme/users/one.txtar", whole, `directory "users"`},
		"path is too short":    {"one.txtar", whole, "want <provider>"},
		"text after the value": {file, request + "-- account.json --\n{\"integration\":\"acme\"} 1\n" + answer, "more than one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, problems := golden.Parse(tt.file, []byte(tt.text))
			got := errors.Join(problems...)
			if c != nil || got == nil || !strings.Contains(got.Error(), tt.want) || !strings.HasPrefix(got.Error(), tt.file+": ") {
				t.Errorf("got %v, want %s: …%s", got, tt.file, tt.want)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	folder := func(provider string) string { return "cases/" + provider + "/ticketing.users.update/" }
	fsys := fstest.MapFS{
		folder("acme") + "one.txtar":    {Data: []byte(whole)},
		folder("acme") + "two.txt":      {Data: []byte(whole)},
		folder("acme") + ".keep":        {},
		folder("other") + "one.txtar":   {Data: []byte(strings.ReplaceAll(whole, "acme", "other"))},
		folder("other") + "empty.txtar": {},
	}
	tests := []struct {
		name            string
		dir             string
		providers       []string
		cases, problems int
	}{
		{"all", "cases", nil, 2, 4},
		{"one provider", "cases", []string{"acme"}, 1, 1},
		{"no directory", "nowhere", nil, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cases, problems := golden.Load(fsys, tt.dir, tt.providers)
			if len(cases) != tt.cases || len(problems) != tt.problems {
				t.Errorf("got %d cases, problems %v; want %d and %d", len(cases), problems, tt.cases, tt.problems)
			}
		})
	}
}

// handlerOf returns a handler that makes calls and answers with status, header and body.
func handlerOf(calls []*engine.Call, status int, header map[string]string, body string) golden.HandlerFor {
	return func(doer engine.Doer, _ golden.Account) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, call := range calls {
				_, _ = doer.Do(r.Context(), call)
			}
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}), nil
	}
}

func params(pairs ...string) []engine.Param {
	var out []engine.Param
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, engine.Param{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func asListed() (one, two *engine.Call) {
	one = &engine.Call{
		Method: "PUT", URL: "https://acme.example.com/v1/users/u", Query: params("c", "3", "b", "2"),
		Header: params("Content-Type", "application/json", "X-Key", "k"), Body: []byte(`{ "n": 9007199254740993 }`),
	}
	two = &engine.Call{
		Method: "POST", URL: "https://acme.example.com/v1/roles",
		Header: params("Content-Type", "application/x-www-form-urlencoded"), Body: []byte("b=2&a=1"),
	}
	return one, two
}

func TestCompare(t *testing.T) {
	type run struct {
		one, two *engine.Call
		more     []*engine.Call
		status   int
		header   map[string]string
		body     string
	}
	tests := map[string]struct {
		change func(r *run)
		want   string // in the diff; "": no diff
	}{
		"as listed":             {func(*run) {}, ""},
		"version is ignored":    {func(r *run) { r.header["Portolan-Mapping"] = "x" }, ""},
		"other header":          {func(r *run) { r.header["X-Request-Id"] = "x" }, ""},
		"accept is not listed":  {func(r *run) { r.one.Header = append(r.one.Header, params("Accept", "x")...) }, ""},
		"method":                {func(r *run) { r.one.Method = "PATCH" }, "+PATCH /v1/users/u"},
		"path":                  {func(r *run) { r.one.URL += "%2Fx" }, "+PUT /v1/users/u%2Fx"},
		"query value":           {func(r *run) { r.one.Query[0].Value = "4" }, "+?c=4"},
		"query added":           {func(r *run) { r.one.Query = append(r.one.Query, params("d", "")...) }, "+?d="},
		"query missing":         {func(r *run) { r.one.Query = r.one.Query[:1] }, "-?b=2"},
		"header value":          {func(r *run) { r.one.Header[1].Value = "l" }, "+x-key: l"},
		"header added":          {func(r *run) { r.one.Header = append(r.one.Header, params("X-More", "1")...) }, "+x-more: 1"},
		"header missing":        {func(r *run) { r.one.Header = r.one.Header[:1] }, "-x-key: k"},
		"last digit":            {func(r *run) { r.one.Body = []byte(`{"n":9007199254740992}`) }, `+  "n": 9007199254740992`},
		"no body":               {func(r *run) { r.one.Body = nil }, `-  "n": 9007199254740993`},
		"form value":            {func(r *run) { r.two.Body = []byte("a=1&b=3") }, "+b=3"},
		"call not made":         {func(r *run) { r.two = nil }, "upstream.2.request (listed, not made)"},
		"call not listed":       {func(r *run) { r.more = append(r.more, r.one) }, "upstream.3.request (made, not listed)"},
		"calls in other order":  {func(r *run) { r.one, r.two = r.two, r.one }, "upstream.2.request"},
		"status":                {func(r *run) { r.status = 201 }, "+201"},
		"answer":                {func(r *run) { r.body = `{"id":"v"}` }, `+  "id": "v"`},
		"answer is text":        {func(r *run) { r.body = `{"id":"u"} x` }, `+{"id":"u"} x`},
		"listed header":         {func(r *run) { delete(r.header, "Etag") }, `-etag: "1"`},
		"listed header's value": {func(r *run) { r.header["Etag"] = `"2"` }, `+etag: "2"`},
	}
	for _, name := range []string{
		"Portolan-Unsupported", "Portolan-Partial", "Portolan-Response-Warnings", "Preference-Applied",
		"Allow", "Retry-After", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset",
	} {
		tests[name] = struct {
			change func(r *run)
			want   string
		}{func(r *run) { r.header[name] = "1" }, "+" + strings.ToLower(name) + ": 1"}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &run{status: 200, header: map[string]string{"Etag": `"1"`}, body: `{"id": "u"}` + "\n"}
			r.one, r.two = asListed()
			tt.change(r)
			calls := []*engine.Call{r.one}
			if r.two != nil {
				calls = append(calls, r.two)
			}
			got, err := golden.RunHandler(t.Context(), handlerOf(append(calls, r.more...), r.status, r.header, r.body), parse(t, whole))
			if err != nil {
				t.Fatal(err)
			}
			if (got.State == golden.Passed) != (tt.want == "") || !strings.Contains(got.Diff, tt.want) || (got.Diff == "") != (tt.want == "") {
				t.Errorf("%v, diff:\n%s\nwant %q in it", got.State, got.Diff, tt.want)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	one, two := asListed()
	run := func(t *testing.T, c *golden.Case, calls []*engine.Call, status int, header map[string]string, body string) *golden.Result {
		t.Helper()
		r, err := golden.RunHandler(t.Context(), handlerOf(calls, status, header, body), c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	c := parse(t, whole)
	t.Run("of a passing case only changes the spelling", func(t *testing.T) {
		r := run(t, c, []*engine.Call{one, two}, 200, map[string]string{"ETag": `"1"`}, `{"id": "u"}`)
		want := strings.NewReplacer("x-key", "X-Key", "a=1&b=2", "b=2&a=1").Replace(whole)
		if diff := cmp.Diff(want, string(c.Update(r))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("makes the case pass", func(t *testing.T) {
		changed := *one
		changed.Method, changed.Query, changed.Body = "PATCH", params("z", "a b", "a", "&"), []byte(`{ "b": 1, "a": "<" }`)
		calls := []*engine.Call{&changed}
		header := map[string]string{"Retry-After": "7", "Ratelimit-Limit": "5", "X-Request-Id": "x"}
		const body = "Failed: badly\n\n"
		text := string(c.Update(run(t, c, calls, 503, header, body)))
		want := title + request + account +
			"-- upstream.request --\nPATCH /v1/users/u?a=%26&z=a+b\nX-Key: k\n\n{\"b\":1,\"a\":\"<\"}\n-- upstream.response --\n200\n{\"id\":\"u\"}\n" +
			"-- error --\n503\nratelimit-limit: 5\nRetry-After: 7\n\nFailed: badly\n\n\n"
		if diff := cmp.Diff(want, text); diff != "" {
			t.Error(diff)
		}
		updated := parse(t, text)
		if again := run(t, updated, calls, 503, header, body); again.State != golden.Passed {
			t.Error(again.Diff)
		} else if diff := cmp.Diff(text, string(updated.Update(again))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("adds an unlisted call without its answer", func(t *testing.T) {
		text := c.Update(run(t, c, []*engine.Call{one, two, one}, 200, nil, ""))
		if _, problems := golden.Parse(file, text); !strings.Contains(fmt.Sprint(problems), "upstream.3.response is missing") {
			t.Error(problems)
		}
	})
}

// A case may omit the content type and the token.
func TestRequestDefaults(t *testing.T) {
	for name, tt := range map[string]struct{ lines, contentType, authorization string }{
		"omitted": {"", "application/json", "Bearer " + golden.Token},
		"listed":  {"content-type: text/plain\nauthorization: Basic x\n\n", "text/plain", "Basic x"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(request, "{", tt.lines+"{", 1) + account + answer
			r, err := parse(t, text).HTTPRequest(t.Context(), "http://127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Header.Get("Content-Type") + r.Header.Get("Authorization"); got != tt.contentType+tt.authorization {
				t.Error(got)
			}
		})
	}
}

func TestCover(t *testing.T) {
	plans := catalog(t)
	gateways := gatewayFor(t, plans)
	cases := hiveCases(t)
	run := func(name string) *golden.Result {
		r := golden.RunGateway(t.Context(), face, gateways, cases[name])
		if r.State != golden.Passed {
			t.Fatal(r.Diff)
		}
		return r
	}
	failed := *run("names")
	failed.State = golden.Failed
	tests := map[string]struct {
		results []*golden.Result
		want    string
	}{
		"both": {[]*golden.Result{run("names"), run("user_not_found")}, "2 cases; fields 2/2; values 0/0; provider errors 400 404"},
		"some": {[]*golden.Result{run("user_not_found"), &failed}, "2 cases; fields 1/2; values 0/0; provider errors 400 404; missing: /last_name"},
		"none": {nil, "0 cases; fields 0/2; values 0/0; provider errors none; missing: /first_name, /last_name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, c := range golden.Cover(plans, tt.results) {
				lines = append(lines, c.String())
			}
			if diff := cmp.Diff([]string{"hive/ticketing.users.update: " + tt.want}, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Update with the expected result changes nothing, apart from a first normalisation.
func FuzzCase(f *testing.F) {
	f.Add(whole)
	f.Add(request + account + "-- error --\n400\n\nX: 1\n\n")
	f.Add(request + account + "-- upstream.request --\nGET //a/%2E?%zz&&a\n\n\n\n-- upstream.response --\n302\nLocation:\n-- response --\n299\n\n[1 ,\"\\u003c\"]")
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := golden.Parse(file, []byte(text))
		if (c == nil) != (len(problems) > 0) {
			t.Fatal(c, problems)
		}
		if c == nil {
			return
		}
		updated := c.Update(expected(c))
		again, problems := golden.Parse(file, updated)
		if len(problems) > 0 {
			t.Fatalf("%v in\n%s", problems, updated)
		}
		if r, err := golden.RunHandler(t.Context(), replay(c), again); err != nil || r.State != golden.Passed {
			t.Fatalf("%v\n%v", err, r)
		}
		if diff := cmp.Diff(string(updated), string(again.Update(expected(again)))); diff != "" {
			t.Fatal(diff)
		}
	})
}
