package upstream

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

func TestRedirects(t *testing.T) {
	const elsewhere = "http://127.0.0.2:1/stolen?key=" + canary
	for name, tt := range map[string]struct {
		method, location string
		status           int
		text             string // empty: followed
	}{
		"GET 301":           {"GET", "/end", 301, ""},
		"GET 302 relative":  {"GET", "end", 302, ""},
		"HEAD 303":          {"HEAD", "/end", 303, ""},
		"PUT 307":           {"PUT", "/end", 307, ""},
		"PATCH 308":         {"PATCH", "/end", 308, ""},
		"PUT 301":           {"PUT", "/end", 301, "redirect that would turn PUT into GET refused"},
		"POST 303":          {"POST", "/end", 303, "redirect that would turn POST into GET refused"},
		"other host":        {"GET", elsewhere, 302, "redirect to another host refused"},
		"other host, 308":   {"PUT", elsewhere, 308, "redirect to another host refused"},
		"other scheme":      {"GET", "ftp:///end", 302, "redirect to another host refused"},
		"protocol-relative": {"GET", "//127.0.0.2:1/end", 302, "redirect to another host refused"},
		"no address":        {"GET", "http://%zz" + canary, 302, "redirect to an unreadable address refused"},
		"loop":              {"GET", "/start", 302, "too many redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			client, url := provider(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				seen = append(seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("api_key"), body))
				if r.URL.Path == "/start" {
					w.Header().Set("Location", tt.location)
					w.WriteHeader(tt.status)
				}
			})
			c := withSecrets(call(tt.method, url+"/start"))
			if tt.method != "GET" && tt.method != "HEAD" {
				c.Body = []byte("{}")
			}
			reply, err := client.Do(t.Context(), c)
			if tt.text != "" {
				wantError(t, err, engine.KindUpstream, tt.text)
				wantCause(t, err, engine.CauseRedirect)
				if want := map[bool]int{false: 1, true: 4}[name == "loop"]; len(seen) != want {
					t.Errorf("want %d requests, got %v", want, seen)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				fmt.Sprintf("%s /start %s %s", tt.method, canary, c.Body),
				fmt.Sprintf("%s /end %s %s", tt.method, canary, c.Body),
			}
			if diff := cmp.Diff(want, seen); diff != "" || reply.Status != 200 {
				t.Errorf("reply %+v, %s", reply, diff)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"https://a.example.com/x", "https://A.example.com:443/y", true},
		{"http://a.example.com", "http://a.example.com:80", true},
		{"https://a.example.com", "http://a.example.com", false},
		{"https://a.example.com", "https://a.example.com:8443", false},
		{"https://a.example.com", "https://b.example.com", false},
	} {
		a, b := &message{method: "GET"}, &http.Response{StatusCode: 302, Header: http.Header{"Location": {tt.b}}}
		var err error
		if a.url, err = exactURL(tt.a); err != nil {
			t.Fatal(err)
		}
		if _, err := redirect(a, b); (err == nil) != tt.same {
			t.Errorf("%s to %s: %v", tt.a, tt.b, err)
		}
	}
}
