package server

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portolan/engine"
	"portolan/gateway"
)

// queryCase is a query with the result of npm qs and, if it differs, our own.
type queryCase struct {
	Query    string            `json:"query"`
	QS       map[string]any    `json:"qs"`
	Values   map[string]any    `json:"values"`
	Failures []gateway.Failure `json:"failures"`
}

func queryCases(tb testing.TB, name string) []queryCase {
	tb.Helper()
	data, err := os.ReadFile("testdata/qs/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	var cases []queryCase
	if err := json.Unmarshal(data, &cases); err != nil {
		tb.Fatal(err)
	}
	return cases
}

func TestQueryIsWhatQSReads(t *testing.T) {
	cases := queryCases(t, "corpus.json")
	if len(cases) < 150 {
		t.Fatalf("the corpus holds %d queries only", len(cases))
	}
	for _, c := range cases {
		q, failures := decodeQuery(c.Query)
		if len(failures) > 0 {
			t.Errorf("%q: %v", c.Query, failures)
			continue
		}
		if diff := cmp.Diff(c.QS, q.values); diff != "" {
			t.Errorf("%q: (-qs +ours)\n%s", c.Query, diff)
		}
	}
}

func TestQueryExceptions(t *testing.T) {
	for _, c := range queryCases(t, "exceptions.json") {
		q, failures := decodeQuery(c.Query)
		if diff := cmp.Diff(c.Failures, withoutMessages(t, failures)); diff != "" {
			t.Errorf("%q: failures (-want +got)\n%s", c.Query, diff)
		}
		if len(c.Failures) > 0 {
			continue
		}
		if cmp.Equal(c.QS, q.values) {
			t.Errorf("%q is not an exception: the result of qs is the same", c.Query)
		}
		if diff := cmp.Diff(c.Values, q.values); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", c.Query, diff)
		}
	}
}

func withoutMessages(t *testing.T, failures []gateway.Failure) []gateway.Failure {
	t.Helper()
	out := slices.Clone(failures)
	for i := range out {
		if name := strings.TrimPrefix(out[i].Pointer, "?"); name != "" && !strings.HasPrefix(out[i].Message, name+" ") {
			t.Errorf("%s: the message does not name it: %q", name, out[i].Message)
		}
		out[i].Message = ""
	}
	return out
}

func TestQueryLimits(t *testing.T) {
	numbered := func(n int) string {
		var parts []string
		for i := range n {
			parts = append(parts, "a"+strconv.Itoa(i)+"=1")
		}
		return strings.Join(parts, "&")
	}
	tooMany := []gateway.Failure{{Pointer: "?", Code: gateway.CodeLimit, Message: "the query has more than 1000 parameters"}}
	tests := []struct {
		name, query string
		entries     int // of a
		want        []gateway.Failure
	}{
		{"pairs at the limit", numbered(1000), 0, nil},
		{"one pair too many", numbered(1001), 0, tooMany},
		{"gaps are not pairs", numbered(1000) + "&&&", 0, nil},
		{"a list up to the pair limit", strings.TrimSuffix(strings.Repeat("a[]=x&", 1000), "&"), 1000, nil},
		{"a list of one more", strings.Repeat("a[]=x&", 1001), 0, tooMany},
		{"repetition up to the pair limit", strings.Repeat("a=x&", 1000), 1000, nil},
		{"pairs without a name count", strings.Repeat("=x&", 1001), 0, tooMany},
		{"raw bytes that are not UTF-8", "a=\xff", 0, []gateway.Failure{{Pointer: "?a", Code: gateway.CodeSyntax, Message: "a does not have a valid value: invalid UTF-8"}}},
		{"a name that is not UTF-8", "a\xff=1", 0, []gateway.Failure{{Pointer: "?a\uFFFD", Code: gateway.CodeSyntax, Message: "a\uFFFD is not a valid name: invalid UTF-8"}}},
		{"an invalid escape", "a=5%", 0, []gateway.Failure{{Pointer: "?a", Code: gateway.CodeSyntax, Message: `a does not have a valid value: invalid URL escape "%"`}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, failures := decodeQuery(tt.query)
			if diff := cmp.Diff(tt.want, failures); diff != "" {
				t.Errorf("failures (-want +got)\n%s", diff)
			}
			if entries, _ := q.values["a"].([]any); tt.entries > 0 && len(entries) != tt.entries {
				t.Errorf("got %d entries, want %d", len(entries), tt.entries)
			}
		})
	}
}

func TestRemoteQueryKeepsBracketsAndOrder(t *testing.T) {
	tests := []struct {
		query string
		want  []engine.Param
	}{
		{"remote_query[filter][a]=1", []engine.Param{{Name: "filter[a]", Value: "1"}}},
		{"remote_query%5Bfilter%5D%5Ba%5D=1", []engine.Param{{Name: "filter[a]", Value: "1"}}},
		{"[remote_query][filter][a]=1", []engine.Param{{Name: "filter[a]", Value: "1"}}},
		{
			"remote_query[b]=2&a=0&remote_query[a]=1&remote_query[b]=3",
			[]engine.Param{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}, {Name: "b", Value: "3"}},
		},
		{
			"remote_query[ids][]=1&remote_query[ids][]=2&remote_query[on][0][x]=3",
			[]engine.Param{{Name: "ids[]", Value: "1"}, {Name: "ids[]", Value: "2"}, {Name: "on[0][x]", Value: "3"}},
		},
		{"remote_query[q]=a%2520b+c%26d%3D[e]", []engine.Param{{Name: "q", Value: "a%20b c&d=[e]"}}},
		{"remote_query[a%2520b]=1", []engine.Param{{Name: "a%20b", Value: "1"}}},
		{"remote_query[a]", []engine.Param{{Name: "a"}}},
		{"remote_query[$top]=&remote_query[é]=日", []engine.Param{{Name: "$top"}, {Name: "é", Value: "日"}}},
		{"remote[a]=1", nil},
	}
	for _, tt := range tests {
		q, failures := decodeQuery(tt.query)
		if len(failures) > 0 {
			t.Errorf("%q: %v", tt.query, failures)
		}
		if diff := cmp.Diff(tt.want, q.remote); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.query, diff)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, name := range []string{"corpus.json", "exceptions.json"} {
		for _, c := range queryCases(f, name) {
			f.Add(c.Query)
		}
	}
	for _, raw := range []string{"", "&", "a", "=", "=x", "a=&b=c=d", "a=1&a=2", "prototype=1", "remote_query=1", "a=%41", "a=+", "ä=1"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q, failures := decodeQuery(raw)
		if whole, nested := nestedQuery(raw); cmp.Diff(whole.values, q.values) != "" || len(nested) != len(failures) || len(whole.remote) != len(q.remote) {
			t.Errorf("%q is %v with %d failures, nested %v with %d", raw, q, len(failures), whole, len(nested))
		}
		if len(failures) > 0 {
			return
		}
		pairs := 1 + strings.Count(raw, "&")
		values, depth := survey(t, q.values)
		if values > min(pairs, maxQueryPairs) {
			t.Errorf("%d values of %d pairs", values, pairs)
		}
		if limit := maxQueryDepth + 3; depth > limit { // the map, a name, the brackets, a list of repeated values
			t.Errorf("nested %d deep", depth)
		}
		if len(q.remote) > pairs {
			t.Errorf("%d remote parameters of %d pairs", len(q.remote), pairs)
		}
		if _, failures := readParams(q); slices.ContainsFunc(failures, func(f gateway.Failure) bool { return !strings.HasPrefix(f.Pointer, "?") }) {
			t.Errorf("a pointer leads out of the query: %v", failures)
		}
	})
}

// survey returns the number of values in v and their depth. It reports values that a query cannot have.
func survey(t *testing.T, v any) (values, depth int) {
	t.Helper()
	inner := func(v any) {
		n, d := survey(t, v)
		values, depth = values+n, max(depth, d+1)
	}
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			t.Errorf("%q is not UTF-8", v)
		}
		return 1, 0
	case []any:
		for _, entry := range v {
			inner(entry)
		}
	case map[string]any:
		for name, value := range v {
			if name == "__proto__" || name == "constructor" || name == "prototype" || !utf8.ValidString(name) {
				t.Errorf("name %q", name)
			}
			inner(value)
		}
	default:
		t.Errorf("%T is not a value of a query", v)
	}
	return values, depth
}

func TestQueryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawObject(t, maxQueryDepth)
		raw := strings.Join(encodeQuery("", want), "&")
		q, failures := decodeQuery(raw)
		if len(failures) > 0 {
			t.Fatalf("%s: %v", raw, failures)
		}
		if diff := cmp.Diff(want, q.values); diff != "" {
			t.Fatalf("%s: (-want +got)\n%s", raw, diff)
		}
	})
}

// encodeQuery encodes v as a caller would: names in brackets, lists with indices, or with [] if they
// have strings only.
func encodeQuery(name string, v any) []string {
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if name != "" {
				key = name + "[" + url.QueryEscape(key) + "]"
			} else {
				key = url.QueryEscape(key)
			}
			parts = append(parts, encodeQuery(key, value)...)
		}
	case []any:
		for i, value := range v {
			at := fmt.Sprintf("%s[%d]", name, i)
			if allStrings(v) && len(v)%2 == 0 {
				at = name + url.QueryEscape("[]")
			}
			parts = append(parts, encodeQuery(at, value)...)
		}
	default:
		parts = append(parts, name+"="+url.QueryEscape(v.(string)))
	}
	return parts
}

func drawObject(t *rapid.T, depth int) map[string]any {
	name := rapid.String().Filter(func(s string) bool {
		reserved := s == "" || s == "__proto__" || s == "constructor" || s == "prototype" || strings.HasPrefix(s, remoteQuery)
		return !reserved && !strings.ContainsAny(s, "[]") && !wholeNumber.MatchString(s)
	})
	out := map[string]any{}
	for _, key := range rapid.SliceOfNDistinct(name, 1, 4, rapid.ID).Draw(t, "names") {
		out[key] = drawValue(t, depth)
	}
	return out
}

func drawValue(t *rapid.T, depth int) any {
	if depth == 0 {
		return rapid.String().Draw(t, "value")
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return drawObject(t, depth-1)
	case 1:
		var out []any
		for range rapid.IntRange(1, maxQueryIndex+1).Draw(t, "entries") {
			out = append(out, rapid.String().Draw(t, "entry"))
		}
		return out
	case 2:
		var out []any
		for range rapid.IntRange(1, 3).Draw(t, "entries") {
			out = append(out, drawValue(t, depth-1))
		}
		return out
	default:
		return rapid.String().Draw(t, "value")
	}
}
