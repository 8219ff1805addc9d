package server_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"portolan/engine"
	"portolan/server"
)

// Clients whose base URL ends in a slash send two at the start of a path; others send one at its end.
func TestSlashesAreTolerated(t *testing.T) {
	var sent string
	s := newServer(t, doer(func(c *engine.Call) (*engine.Reply, error) {
		sent = c.URL
		return answers(200, hiveUser)(c)
	}))
	for path, want := range map[string]string{
		"/unified/ticketing/users/u1": "u1", "//unified/ticketing/users/u1": "u1", "/unified/ticketing/users/u1/": "u1",
		"//unified/ticketing/users/u1/": "u1", "//unified/ticketing/users/a%2F": "a%2F", "/unified/ticketing/users/a%2F/": "a%2F",
	} {
		sent = ""
		if w := ask(s, "PATCH", path+"?integrated_account_id="+hiveID, name); w.Code != 200 || sent != "https://app.hive.com/api/v1/users/"+want {
			t.Errorf("%s: %d, called %q", path, w.Code, sent)
		}
	}
	for _, path := range []string{"/healthz/", "//healthz", "//healthz/", "/readyz/"} {
		if w := ask(s, "GET", path, "", "Authorization", ""); w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/", "//", "///healthz", "/healthz//", "/%2Fhealthz", "/healthz%2F"} {
		if w := ask(s, "GET", path, ""); w.Code != 404 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	// A missing id is reported as empty.
	for _, path := range []string{"/unified/ticketing/users/", "//unified/ticketing/users/", "/unified/ticketing/users//"} {
		if got := failureList(t, ask(s, "PATCH", path+"?integrated_account_id="+hiveID, name)); len(got) != 1 || got[0] != "{id} format" {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestAdminSlashesAreTolerated(t *testing.T) {
	o := newAdminFixture(t)
	for path, verb := range map[string]string{
		"/integrated-account/": "GET", "//integrated-account": "GET", "/integrated-account/" + o.ids["default"] + "/": "GET",
		"//environment/live/": "GET", "//audit/": "GET", "/api-token/": "GET",
	} {
		o.must(200, "root", verb, path, "")
	}
	if w := o.do("root", "DELETE", "/integrated-account/", ""); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE of an account without an id: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

// The log does not show the secret of a link, even after additional slashes.
func TestDoubledSlashHidesTheLink(t *testing.T) {
	var logs bytes.Buffer
	s := newServer(t, answers(200, hiveUser), server.WithLogger(slog.New(slog.NewJSONHandler(&logs, nil))))
	ask(s, "GET", "//link/secret-of-a-link", "", "Authorization", "")
	if logs.Len() == 0 || strings.Contains(logs.String(), "secret-of-a-link") {
		t.Errorf("logged: %s", &logs)
	}
}

// The unknown part of a path is named first, even if the path is too short or too long.
func TestUnknownPart(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	const model, resource = `the unified model "tickting" does not exist (did you mean "ticketing"?)`, `there is no resource "user" in the unified model "ticketing" (did you mean "users"?)`
	for path, want := range map[string]string{
		"/unified/tickting":           model + "; the path has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/tickting/":          model + "; the path has too few segments for /unified/{model}/{resource}/{id}",
		"//unified/tickting/users":    model + "; the path has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/ticketing/user":     resource + "; the path has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/ticketing/user/":    resource,
		"/unified/ticketing/user/1/2": resource + "; the path has too many segments for /unified/{model}/{resource}/{id}",
		"/unified/ticketing/us%65r":   resource + "; the path has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/ticketing/users":    "there is no route /unified/ticketing/users: it has too few segments for /unified/{model}/{resource}/{id}",
		"/unified//users":             "there is no route /unified//users: it has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/ticketing":          "there is no route /unified/ticketing: it has too few segments for /unified/{model}/{resource}/{id}",
		"/unified/":                   "there is no route /unified/: it has too few segments for /unified/{model}/{resource}/{id}",
	} {
		if e := envelopeOf(t, ask(s, "GET", path, ""), 404); e["message"] != want {
			t.Errorf("%s: %s", path, e["message"])
		}
		e := envelopeOf(t, ask(s, "GET", path, "", "Authorization", ""), 404)
		if message, _ := e["message"].(string); strings.Contains(message, "did you mean") {
			t.Errorf("%s without a token: %s", path, message)
		}
	}
}

// Only callers with a token see which models and resources exist, and guessing a token this way
// counts as a failed authentication.
func TestUnknownResourceWithoutToken(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	for _, path := range []string{"/unified/tickting/users/u1", "/unified/ticketing/usrs/u1"} {
		for _, authorization := range []string{"", "Bearer wrong", "Basic " + token} {
			e := envelopeOf(t, ask(s, "PATCH", path, name, "Authorization", authorization), 404)
			if e["message"] != "there is no route "+path {
				t.Errorf("%s as %q: %s", path, authorization, e["message"])
			}
		}
	}
	for range 25 {
		ask(s, "PATCH", "/unified/tickting/users/u1", name, "Authorization", "Bearer wrong")
	}
	if w := ask(s, "PATCH", hiveUser1, name, "Authorization", "Bearer wrong"); w.Code != 429 {
		t.Errorf("guesses were not counted: %d", w.Code)
	}
}

func TestMethodNotAllowedNamesTheVerbs(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	for target, want := range map[string]string{
		"/unified/ticketing/users/u1": "POST is not allowed for this route, which supports PATCH", "/healthz": "POST is not allowed for this route, which supports GET, HEAD",
	} {
		if e := envelopeOf(t, ask(s, "POST", target, name), 405); e["message"] != want {
			t.Errorf("%s: %s", target, e["message"])
		}
	}
	if w := ask(s, "POST", hiveUser1, name, "Authorization", ""); w.Code != 401 || strings.Contains(w.Body.String(), "PATCH") {
		t.Errorf("without a token: %d %s", w.Code, w.Body)
	}
}

// ReadCall reads a call as the server does.
func TestReadCall(t *testing.T) {
	const query = "?integrated_account_id=" + hiveID
	snapshot := newSnapshot(t)
	for target, want := range map[string]string{
		"/unified/ticketing/users/u1" + query: "ticketing.users.update u1", "//unified/ticketing/users/a%2Fb/" + query: "ticketing.users.update a/b",
	} {
		got, _, p := server.ReadCall(snapshot, "PATCH", target, []byte(name))
		if p != nil || got.Operation.String()+" "+got.ID != want || got.AccountID != hiveID {
			t.Errorf("%s: %+v %v", target, got, p)
		}
	}
	type refusal struct{ verb, target string }
	for refused, want := range map[refusal]string{
		{"PATCH", "/unified/ticketing/users/a/b"}: "there is no route /unified/ticketing/users/a/b: it has too many segments for /unified/{model}/{resource}/{id}",
		{"PATCH", "/unified/ticketing/"}:          "there is no route /unified/ticketing/: it has too few segments for /unified/{model}/{resource}/{id}",
		{"PATCH", "/unified/tickting/users/u1"}:   `the unified model "tickting" does not exist (did you mean "ticketing"?)`, // before the missing account
		{"GET", "/unified/ticketing/user/u1"}:     `there is no resource "user" in the unified model "ticketing" (did you mean "users"?)`,
		{"PATCH", "//unified/tickting"}:           `the unified model "tickting" does not exist (did you mean "ticketing"?); the path has too few segments for /unified/{model}/{resource}/{id}`,
		{"PATCH", "nowhere"}:                      "there is no route nowhere",
		{"GET", "/unified/ticketing/users/u1"}:    "GET is not allowed for this route, which supports PATCH",
	} {
		_, _, p := server.ReadCall(snapshot, refused.verb, refused.target, []byte(name))
		status := 404
		if strings.Contains(want, "is not allowed") {
			status = 405
		}
		if p == nil || p.Message != want || p.Status != status {
			t.Errorf("%v: %v", refused, p)
		}
	}
}
