package server_test

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"portolan/engine"
	"portolan/server"
)

// benchmarked is the update of one provider with its requests and answers.
type benchmarked struct {
	integration, account, query, body string
	reply, after                      string
}

func benchmarkedUpdates() []benchmarked {
	return []benchmarked{
		{"hive", hiveID, "", `{"first_name":"Ada","last_name":"Quill"}`, hiveUser, ""},
		{
			"pivotal_tracker", pivotal, "&collections[0][id]=7", `{"roles":[{"id":"owner"}]}`,
			`{"id":1,"role":"owner","person":{"id":2,"name":"Ada Quill","email":"ada@example.com","username":"ada"},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z"}`, "",
		},
		{
			"planhat", planhat, "", `{"first_name":"Ada","last_name":"Quill","emails":[{"email":"ada@example.com"}],"roles":[{"id":"r1"}],"custom_fields":{"a":1}}`,
			`{"_id":"u1","firstName":"Ada","lastName":"Quill","email":"ada@example.com","inactive":false,"roles":["r1"],"createdAt":"2026-01-02T03:04:05Z","updatedAt":"2026-01-02T03:04:05Z"}`, "",
		},
		{
			"teamwork", team, "", `{"first_name":"Ada","last_name":"Quill","emails":[{"email":"ada@example.com"}],"roles":[{"id":"account"}]}`, `{"STATUS":"OK"}`,
			`{"person":{"id":1,"firstName":"Ada","lastName":"Quill","email":"ada@example.com","type":"account","isAdmin":false,"deleted":false,"avatarUrl":"https://img.example.com/1","createdAt":"2026-01-02T03:04:05Z","updatedAt":"2026-01-02T03:04:05Z"}}`,
		},
	}
}

func (u benchmarked) doer() doer {
	return func(c *engine.Call) (*engine.Reply, error) {
		if c.Method == http.MethodGet {
			return answers(200, u.after)(c)
		}
		return answers(200, u.reply)(c)
	}
}

func (u benchmarked) target() string { return users + u.account + u.query }

// plan returns the input of the engine.
func (u benchmarked) plan(b *testing.B) (*engine.Plan, *engine.Request, engine.Answers) {
	b.Helper()
	target, in, p := server.ReadCall(newSnapshot(b), http.MethodPatch, u.target(), []byte(u.body))
	if p != nil {
		b.Fatal(p)
	}
	req := &engine.Request{ID: target.ID, Body: in.Body, Query: in.Query, RawQuery: in.RawQuery}
	for _, a := range demoAccounts() {
		if a.ID == target.AccountID {
			req.Context = engine.Context(a.Context)
		}
	}
	plan := catalog(b).Plan(u.integration, target.Operation)
	read := func(body string) *engine.Answer {
		reply, _ := answers(200, body)(nil)
		answer, err := plan.Read(b.Context(), reply, true)
		if err != nil {
			b.Fatal(err)
		}
		return answer
	}
	given := engine.Answers{Main: read(u.reply), Before: map[string]*engine.Answer{}, After: map[string]*engine.Answer{}}
	if u.after != "" {
		given.After["read"] = read(u.after)
	}
	return plan, req, given
}

func BenchmarkBuild(b *testing.B) {
	for _, u := range benchmarkedUpdates() {
		b.Run(u.integration, func(b *testing.B) {
			plan, req, _ := u.plan(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := plan.Build(b.Context(), req, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTransform(b *testing.B) {
	for _, u := range benchmarkedUpdates() {
		b.Run(u.integration, func(b *testing.B) {
			plan, req, given := u.plan(b)
			b.ReportAllocs()
			for b.Loop() {
				out, err := plan.Transform(b.Context(), req, given)
				if err != nil || out.Records[0].Fields["first_name"] == nil && out.Records[0].Fields["username"] == nil {
					b.Fatal(out, err)
				}
			}
		})
	}
}

// sink is a ResponseWriter that stores only the status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// serve measures h only: request and writer are created once.
func serve(b *testing.B, h http.Handler, target, text string) {
	b.Helper()
	body := strings.NewReader(text)
	r := httptest.NewRequest(http.MethodPatch, target, body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(text)
		r.Body = io.NopCloser(body)
		clear(w.header)
		if h.ServeHTTP(w, r); w.status != http.StatusOK {
			b.Fatalf("status %d", w.status)
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	for _, u := range benchmarkedUpdates() {
		b.Run(u.integration, func(b *testing.B) { serve(b, newServer(b, u.doer()), u.target(), u.body) })
	}
}

// handWritten is a minimal implementation for one provider, without validation, reports and
// formats, as a reference for the cost of Portolan.
func handWritten(d engine.Doer) http.Handler {
	type update struct {
		FirstName *string `json:"first_name"`
		LastName  *string `json:"last_name"`
	}
	type profile struct {
		FirstName *string `json:"firstName,omitempty"`
		LastName  *string `json:"lastName,omitempty"`
	}
	type email struct {
		Email string `json:"email"`
	}
	type record struct {
		ID         string          `json:"id"`
		Name       string          `json:"name,omitempty"`
		FirstName  *string         `json:"first_name,omitempty"`
		LastName   *string         `json:"last_name,omitempty"`
		Emails     []email         `json:"emails,omitempty"`
		RemoteData json.RawMessage `json:"remote_data"`
	}
	want := sha256.Sum256([]byte(token))
	accounts := map[string][2]string{hiveID: {"hive-secret-key", "caller17"}}
	mux := http.NewServeMux()
	mux.HandleFunc("PATCH /unified/ticketing/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		given := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
		if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		account, ok := accounts[r.URL.Query().Get("integrated_account_id")]
		var in update
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !ok {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		body, err := json.Marshal(map[string]profile{"profile": {in.FirstName, in.LastName}})
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		reply, err := d.Do(r.Context(), &engine.Call{
			Method: http.MethodPut, URL: "https://app.hive.com/api/v1/users/" + url.PathEscape(r.PathValue("id")),
			Query:  []engine.Param{{Name: "user_id", Value: account[1]}},
			Header: []engine.Param{{Name: "api_key", Value: account[0]}, {Name: "Content-Type", Value: "application/json"}}, Body: body,
		})
		var out struct {
			ID       string  `json:"id"`
			FullName string  `json:"fullName"`
			Email    string  `json:"email"`
			Profile  profile `json:"profile"`
		}
		if err != nil || json.Unmarshal(reply.Body, &out) != nil {
			http.Error(w, "bad gateway", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		_ = json.NewEncoder(w).Encode(record{out.ID, out.FullName, out.Profile.FirstName, out.Profile.LastName, []email{{out.Email}}, reply.Body})
	})
	return mux
}

func BenchmarkHandWritten(b *testing.B) {
	u := benchmarkedUpdates()[0]
	serve(b, handWritten(u.doer()), u.target(), u.body)
}
