package server_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"portolan/engine"
)

// A provider's charset is obeyed in every format but raw, and the answer warns that it was.
func TestCharset(t *testing.T) {
	const body = "{\"id\":\"u1\",\"fullName\":\"Zo\xeb Quill\"}"
	reply := func(status int, contentType string) doer {
		return func(*engine.Call) (*engine.Reply, error) {
			return &engine.Reply{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}, nil
		}
	}
	for _, tt := range []struct{ contentType, shown string }{
		{"application/json; charset=ISO-8859-1", "Zoë Quill"}, {"application/json", "Zo\uFFFD Quill"},
	} {
		s := newServer(t, reply(200, tt.contentType))
		for _, format := range []string{"unified", "normalized", "debug"} {
			w := ask(s, "PATCH", hiveUser1+"&truto_response_format="+format, name)
			if w.Code != 200 || !utf8.Valid(w.Body.Bytes()) || strings.Count(w.Body.String(), tt.shown) < 2 || w.Header().Get("Portolan-Response-Warnings") != "1" {
				t.Errorf("%s %s: %d %v %q", tt.contentType, format, w.Code, w.Header(), w.Body)
			}
		}
		if w := ask(s, "PATCH", hiveUser1+"&truto_response_format=raw", name); w.Body.String() != body || w.Header().Get("Portolan-Response-Warnings") != "" {
			t.Errorf("raw: %v %q", w.Header(), w.Body)
		}
		w := ask(newServer(t, reply(422, tt.contentType)), "PATCH", hiveUser1, name)
		if !utf8.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), tt.shown) {
			t.Errorf("raw_response: %q", w.Body)
		}
	}
}

// A normalized record satisfies the response schema in which every member may be null.
func TestNormalizedSatisfiesItsSchema(t *testing.T) {
	w := ask(newServer(t, answers(200, `{"id":"u1"}`)), "PATCH", hiveUser1+"&truto_response_format=normalized", name)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"name":null`) || w.Header().Get("Portolan-Response-Warnings") != "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	w = ask(newServer(t, answers(200, `{"id":"u1","email":[1]}`)), "PATCH", hiveUser1+"&truto_response_format=normalized", name)
	if w.Header().Get("Portolan-Response-Warnings") == "" {
		t.Errorf("an invalid record is not reported: %s", w.Body)
	}
}
