package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A verb that HTTP does not have is refused with 501 on every route, before the token is checked. A
// path that is not a route is still 404.
func TestUnknownVerbs(t *testing.T) {
	o := newAdminFixture(t)
	account := "/integrated-account/" + o.ids["default"]
	for _, verb := range []string{"BREW", "MKCOL", "PROPFIND", "REPORT", "get"} {
		for target, want := range map[string]int{
			"/unified/ticketing/users/1": 501, "/integrated-account": 501, account: 501, account + "/token": 501, "/environment/": 501,
			"/healthz": 501, "//readyz": 501, "/link/x": 501, "/link/callback": 501,
			"/unified/ticketing/users": 404, "/unified/ticketing/usrs/1": 404, "/unified": 404, "/nowhere": 404, "/metrics": 404, account + "/a/b": 404,
		} {
			w := ask(o, verb, target, "", "Authorization", "")
			if envelopeOf(t, w, want); w.Header().Values("Allow") != nil {
				t.Errorf("%s %s: Allow %q", verb, target, w.Header().Values("Allow"))
			}
		}
	}
	s := newServer(t, answers(200, hiveUser)) // without a store
	envelopeOf(t, ask(s, "BREW", "/integrated-account", ""), 404)
}

// OPTIONS lists the verbs of a route. It needs no token.
func TestOptions(t *testing.T) {
	o := newAdminFixture(t)
	account := "/integrated-account/" + o.ids["default"]
	for target, want := range map[string]string{
		"/unified/ticketing/users/1": "PATCH, OPTIONS", "/integrated-account": "GET, HEAD, POST, OPTIONS",
		account: "GET, HEAD, PATCH, DELETE, OPTIONS", account + "/token": "POST, OPTIONS", "/audit": "GET, HEAD, OPTIONS",
		"/healthz": "GET, HEAD, OPTIONS", "/readyz/": "GET, HEAD, OPTIONS",
		"/link/x": "GET, HEAD, POST, OPTIONS", "/link/callback": "GET, HEAD, OPTIONS",
	} {
		w := ask(o, "OPTIONS", target, "", "Authorization", "")
		if w.Code != 204 || w.Header().Get("Allow") != want || w.Body.Len() > 0 || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %d, Allow %q, %s", target, w.Code, w.Header().Get("Allow"), w.Body)
		}
	}
	for _, target := range []string{"/unified/ticketing/users", "/unified/ticketing/usrs/1", "/nowhere", account + "/a/b"} {
		envelopeOf(t, ask(o, "OPTIONS", target, "", "Authorization", ""), 404)
	}
}

// HEAD has the status and headers of GET, and no body.
func TestHead(t *testing.T) {
	o := newAdminFixture(t)
	served := httptest.NewServer(o)
	defer served.Close()
	for _, target := range []string{
		"/healthz", "/readyz", "/integrated-account", "/integrated-account/" + o.ids["default"], "/environment/default", "/nowhere",
	} {
		want := ask(o, "GET", target, "", "Authorization", "Bearer "+o.secrets["root"])
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, served.URL+target, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+o.secrets["root"])
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != want.Code || got.Header.Get("Content-Type") != want.Header().Get("Content-Type") {
			t.Errorf("%s: %d %s, but GET %d %s", target, got.StatusCode, got.Header.Get("Content-Type"), want.Code, want.Header().Get("Content-Type"))
		}
	}
}
