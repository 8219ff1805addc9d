package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/server"
)

func TestLinkTokens(t *testing.T) {
	w := newFixture(t, true)
	account := w.account(nil)
	disabled := "00000000-0000-4000-8000-00000000dead"
	for name, tt := range map[string]struct {
		body   string
		status int
		want   []string
	}{
		"nothing":           {`{}`, 400, []string{"/integration required"}},
		"unknown provider":  {`{"integration":"exampel"}`, 400, []string{"/integration enum"}},
		"unknown account":   {`{"integration":"example","integrated_account_id":"` + disabled + `"}`, 400, []string{"/integrated_account_id enum"}},
		"no uuid":           {`{"integration":"example","integrated_account_id":"7"}`, 400, []string{"/integrated_account_id format"}},
		"other integration": {`{"integration":"bare","integrated_account_id":"` + account.ID + `"}`, 400, []string{"/integrated_account_id enum"}},
		"too long":          {`{"integration":"example","expires_in":604801}`, 400, []string{"/expires_in range"}},
		"no life":           {`{"integration":"example","expires_in":0}`, 400, []string{"/expires_in range"}},
		"all at once": {`{"label":7,"redirect_uri":"javascript:alert(1)","expires_in":1.5,"more":1}`, 400, []string{
			"/expires_in type", "/integration required", "/label type", "/more additional", "/redirect_uri format",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(w, "POST", "/link-token", tt.body, "Authorization", "Bearer "+adminToken)
			if answer.Code != tt.status {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
			if diff := cmp.Diff(tt.want, slices.Sorted(slices.Values(failureList(t, answer)))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	for uri, good := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com:8443/x?y=1": true, "http://localhost:3000/": true, "http://127.0.0.1/": true, "http://[::1]:80/": true,
		"http://app.example.com": false, "//app.example.com": false, "/done": false, "https://": false, "https://u@app.example.com": false,
		"https://app.example.com/#x": false, "https://app.example.com/\n": false, "data:text/html,x": false, "http://localhost.evil.example/": false, "": false,
	} {
		body, err := json.Marshal(map[string]string{"integration": "example", "redirect_uri": uri})
		if err != nil {
			t.Fatal(err)
		}
		if answer := ask(w, "POST", "/link-token", string(body), "Authorization", "Bearer "+adminToken); (answer.Code == 201) != good {
			t.Errorf("redirect_uri %q: %d %s", uri, answer.Code, answer.Body)
		}
	}
	answer := ask(w, "POST", "/link-token", `{"integration":"example"}`, "Authorization", "Bearer "+adminToken)
	if got, want := decode(t, answer)["expires_at"], "2026-03-01T13:00:00Z"; got != want {
		t.Errorf("expires_at %v, want %v", got, want)
	}
	if answer := ask(w, "POST", "/link-token", `{"integration":"example"}`, "Authorization", "Bearer "+callToken); answer.Code != 403 {
		t.Errorf("without the role: %d", answer.Code)
	}
	if answer := ask(w, "POST", "/link-token", `{"integration":"example"}`, "Authorization", ""); answer.Code != 401 {
		t.Errorf("without a token: %d", answer.Code)
	}
}

// The Host of a request is never used as the URL of the server.
func TestLinksNeedPublicURL(t *testing.T) {
	w := newFixture(t, true, server.WithPublicURL(""))
	answer := ask(w, "POST", "/link-token", `{"integration":"example"}`, "Authorization", "Bearer "+adminToken)
	if answer.Code != 503 || !strings.Contains(answer.Body.String(), "--public-url") {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	const token = "ptk_made_before"
	l := accounts.Link{ID: accounts.NewID(), Environment: "default", Integration: "example", ExpiresAt: w.clock.now().Add(time.Hour)}
	if err := w.db.CreateLink(t.Context(), accounts.Actor{Name: "test"}, accounts.HashToken(token), l); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"GET", "POST"} {
		if answer := newBrowser(w).send(method, "/link/"+token, nil, "Sec-Fetch-Site", "", "Origin", ""); answer.Code != 503 {
			t.Errorf("%s of a link from before: %d", method, answer.Code)
		}
	}
}
