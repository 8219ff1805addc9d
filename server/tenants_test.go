package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"portolan/accounts"
	"portolan/engine"
	"portolan/mappings"
)

// tagged matches the tags of tenants in any text.
var tagged = regexp.MustCompile(`tenant\d\d`)

// tenant is a connected account whose values all have its tag.
type tenant struct{ id, tag, query, body string }

const (
	perProvider = 8
	workers     = 16
	rounds      = 120
)

func tenants() ([]tenant, []accounts.Account) {
	var list []tenant
	var connected []accounts.Account
	for i := range 4 * perProvider {
		tag := fmt.Sprintf("tenant%02d", i)
		a := accounts.Account{ID: fmt.Sprintf("10000000-0000-4000-8000-0000000000%02d", i), Environment: "default"}
		t := tenant{id: a.ID, tag: tag, body: fmt.Sprintf(`{"first_name":"first-%s","remote_data":{"extra":"extra-%s"}}`, tag, tag)}
		switch i % 4 {
		case 0:
			a.Integration, a.Context = "hive", accounts.Context{"api_key": "key-of-" + tag, "user_id": "caller-of-" + tag}
		case 1:
			a.Integration, a.Context = "pivotal_tracker", accounts.Context{"api_token": "key-of-" + tag}
			t.query = fmt.Sprintf("&collections[0][id]=%d", 1000+i)
			t.body = fmt.Sprintf(`{"roles":[{"id":"owner"}],"remote_data":{"extra":"extra-%s"}}`, tag)
		case 2:
			a.Integration, a.Context = "planhat", accounts.Context{"api_token": "key-of-" + tag}
		case 3:
			a.Integration, a.Context = "teamwork", accounts.Context{"site": tag, "api_key": "key-of-" + tag}
		}
		list, connected = append(list, t), append(connected, a)
	}
	return list, connected
}

// wholeText returns all parts of a call as text, with decoded Basic credentials.
func wholeText(c *engine.Call) string {
	text := c.Target() + " " + string(c.Body)
	for _, h := range c.Header {
		text += " " + h.Value
		if encoded, ok := strings.CutPrefix(h.Value, "Basic "); ok {
			decoded, _ := base64.StdEncoding.DecodeString(encoded)
			text += " " + string(decoded)
		}
	}
	return text
}

// foreign returns a tag in text other than own; "" if there is none.
func foreign(text, own string) string {
	for _, tag := range tagged.FindAllString(text, -1) {
		if tag != own {
			return tag
		}
	}
	return ""
}

// credentialTag returns the tag of the credentials of a call.
func credentialTag(c *engine.Call) string {
	bare := *c
	bare.URL, bare.Query, bare.Body = "", nil, nil
	return tagged.FindString(wholeText(&bare))
}

// echo simulates all four providers: the record has the tag of the credentials of the call.
func echo(t *testing.T) doer {
	t.Helper()
	return func(c *engine.Call) (*engine.Reply, error) {
		tag := credentialTag(c)
		if other := foreign(wholeText(c), tag); tag == "" || other != "" {
			t.Errorf("a call of %q holds a value of %q", tag, other)
		}
		status := http.StatusOK
		who := map[string]any{"firstName": "echo-" + tag, "lastName": "L", "email": tag + "@example.com", "id": 7}
		body := map[string]any{
			"id": "id-" + tag, "fullName": "echo-" + tag, "email": tag + "@example.com", "profile": who, // of one provider
			"person": map[string]any{"name": "echo-" + tag, "firstName": "echo-" + tag, "id": 7}, // of two providers
			"_id":    "id-" + tag, "firstName": "echo-" + tag,                                    // of another one
		}
		if strings.Contains(c.Target(), "refuse") {
			status, body = http.StatusBadRequest, map[string]any{"message": "refused " + tag, "general_problem": "refused " + tag, "MESSAGE": "refused " + tag}
		}
		data, err := json.Marshal(body)
		h := http.Header{"Content-Type": {"application/json"}, "Etag": {`"` + tag + `"`}, "X-Ratelimit-Limit": {tag}, "X-Tenant": {tag}}
		return &engine.Reply{Status: status, Header: h, Body: data}, err
	}
}

func TestTenantsNeverMix(t *testing.T) {
	list, connected := tenants()
	_, known := models(t)
	docs, found := engine.Load(newLanguage(), engine.Layer{FS: mappings.FS, Path: "mappings"})
	c, more := engine.Compile(docs, known, nil)
	if found = append(found, more...); len(found) > 0 {
		t.Fatal(found)
	}
	s := serverOver(t, c, echo(t), store(t, connected))
	formats := []string{"unified", "normalized", "raw", "debug"}
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := range rounds {
				own := list[(worker*7+i*5+i/9)%len(list)]
				id, status := "user-"+own.tag, http.StatusOK
				if i%6 == 5 {
					id, status = "refuse-"+own.tag, http.StatusBadRequest
				}
				target := fmt.Sprintf("/unified/ticketing/users/%s?integrated_account_id=%s%s&remote_query[more]=more-%s&odd_%s=1&truto_response_format=%s",
					id, own.id, own.query, own.tag, own.tag, formats[i%len(formats)])
				w := ask(s, "PATCH", target, own.body, "X-Request-Id", fmt.Sprintf("%s-%d", own.tag, i))
				text := fmt.Sprint(w.Header(), " ", w.Body)
				if w.Code != status || !strings.Contains(w.Body.String(), own.tag) {
					t.Errorf("%s: %d %s", own.tag, w.Code, w.Body)
				}
				if other := foreign(text, own.tag); other != "" {
					t.Errorf("the answer to %s holds a value of %s: %s", own.tag, other, text)
				}
			}
		})
	}
	group.Wait()
	if w := ask(s.Operations(), "GET", "/metrics", ""); w.Code != 200 || tagged.MatchString(w.Body.String()) {
		t.Errorf("/metrics: %d %s", w.Code, w.Body)
	}
}
