package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAdminQueries(t *testing.T) {
	o := newAdminFixture(t)
	for target, want := range map[string][]string{
		"/integrated-account?limit=0&status=gone&tenant=x&cursor=": {"?limit range", "?status enum", "?tenant additional"},
		"/integrated-account?limit=501":                            {"?limit range"},
		"/integrated-account?limit=1e1":                            {"?limit range"},
		"/integrated-account?limit=-1":                             {"?limit range"},
		"/integrated-account?limit=1&limit=2":                      {"?limit type"},
		"/integrated-account?limit=99999999999999999999":           {"?limit range"},
		"/integrated-account?cursor=nonsense":                      {"?cursor format"},
		"/integrated-account?cursor=MA":                            {"?cursor format"},
		"/api-token?cursor=%2e%2e":                                 {"?cursor format"},
		"/api-token?verify=maybe":                                  {"?verify additional"},
		"/environment?cursor=x":                                    {"?cursor format"},
		"/audit?cursor=MTcvYWJj":                                   {"?cursor format"},
		"/audit?subject[a]=1&limt=3":                               {"?limt additional", "?subject type"},
		"/integrated-account?tenant_id=%ff":                        {"?tenant_id=%ff syntax"},
		"/integrated-account/" + o.ids["default"] + "?verify=true": {"?verify additional"},
	} {
		got := failures(o.must(400, "root", "GET", target, ""))
		if strings.Contains(target, "%ff") && len(got) == 1 {
			continue // the position is tested with the query decoder
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	if w := o.do("root", "GET", "/audit?subjct=1", ""); !strings.Contains(w.Body.String(), `did you mean \"subject\"?`) {
		t.Errorf("no suggestion: %s", w.Body)
	}
	for _, target := range []string{"/integrated-account/" + o.ids["default"], "/environment/live"} {
		if got := failures(o.must(400, "root", "DELETE", target+"?version=x", "")); !slices.Equal(got, []string{"?version range"}) {
			t.Errorf("%s: %v", target, got)
		}
		if got := failures(o.must(400, "root", "DELETE", target+"?version=", "")); !slices.Equal(got, []string{"?version empty"}) {
			t.Errorf("%s without a version: %v", target, got)
		}
	}
	if got := failures(o.must(400, "ops", "GET", "/environment?cursor=MA", "")); !slices.Equal(got, []string{"?cursor format"}) {
		t.Error(got)
	}
}

// An empty parameter is ignored.
func TestAdminQueriesSentEmpty(t *testing.T) {
	o := newAdminFixture(t)
	for _, target := range []string{
		"/integrated-account?cursor=&limit=&integration=&tenant_id=&status=", "/api-token?cursor&limit",
		"/environment?cursor=", "/audit?cursor=&subject=&environment=",
	} {
		whole, _, _ := strings.Cut(target, "?")
		if diff := cmp.Diff(o.must(200, "root", "GET", whole, ""), o.must(200, "root", "GET", target, "")); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
}

// The pages of each list contain every entry once.
func TestAdminPages(t *testing.T) {
	o := newAdminFixture(t)
	for i := range 6 {
		o.clock.advance(time.Second)
		o.must(201, "root", "POST", "/integrated-account", fmt.Sprintf(`{"integration":"bare","tenant_id":"t%d"}`, i%2))
		o.must(201, "root", "POST", "/api-token", `{"name":"x","role":"call"}`)
		o.must(201, "root", "POST", "/environment", fmt.Sprintf(`{"name":"e%d"}`, i))
	}
	for target, want := range map[string]int{
		"/integrated-account?limit=2": 7, "/api-token?limit=3": 10, "/environment?limit=5": 8, "/audit?limit=4": 20,
		"/integrated-account?limit=1&tenant_id=t1": 3, "/integrated-account?limit=2&integration=bare": 6,
		"/integrated-account?status=disabled": 0, "/integrated-account?limit=500&status=active": 7,
	} {
		seen, pages := map[string]bool{}, 0
		for next := any(""); next != nil; pages++ {
			at := target
			if next != "" {
				at += "&cursor=" + next.(string)
			}
			page := o.must(200, "root", "GET", at, "")
			items := page["result"].([]any)
			if page["result_count"] != float64(len(items)) || page["prev_cursor"] != nil || pages > want+1 {
				t.Fatalf("%s: %v", at, page)
			}
			for _, item := range items {
				text, _ := json.Marshal(item)
				if seen[string(text)] {
					t.Errorf("%s: %s is listed twice", at, text)
				}
				seen[string(text)] = true
			}
			next = page["next_cursor"]
		}
		if len(seen) != want {
			t.Errorf("%s: %d entries, want %d", target, len(seen), want)
		}
	}
}

// Invalid and missing bodies are refused as in unified calls.
func TestAdminBodies(t *testing.T) {
	o := newAdminFixture(t)
	const target = "/integrated-account"
	for body, want := range map[string]string{
		`[]`: " type", `{`: " syntax", `{"integration":"example","integration":"example"}`: "/integration syntax",
		strings.Repeat(`{"context":`, 65) + "1" + strings.Repeat("}", 65): " limit", "\xff": " syntax", ` `: " empty", "": " empty", `null`: " type",
	} {
		if got := failures(o.must(400, "root", "POST", target, body)); !slices.Equal(got, []string{want}) {
			t.Errorf("%.30q: %v", body, got)
		}
	}
	o.must(413, "root", "POST", target, `{"label":"`+strings.Repeat("x", 1<<20)+`"}`)
	o.must(415, "root", "POST", target, `{}`, "Content-Type", "text/plain")
	o.must(415, "root", "POST", target, `{}`, "Content-Type", "")
	o.must(415, "root", "POST", "/integrated-account/"+o.ids["default"]+"/token", `{}`, "Content-Type", "text/plain")
	if got := failures(o.must(400, "root", "POST", target+"?dry=1", `{"context":{}}`)); !slices.Equal(got, []string{"/integration required", "?dry additional"}) {
		t.Error(got)
	}
	if got := failures(o.must(400, "root", "POST", target+"?dry=1", `{"a":1,"a":2}`)); !slices.Equal(got, []string{"/a syntax", "?dry additional"}) {
		t.Error(got)
	}
	if page := o.must(200, "root", "GET", target, ""); page["result_count"] != 1.0 {
		t.Errorf("a refused body was stored: %v", page)
	}
}
