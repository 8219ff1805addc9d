package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestMain also plays the roles: the benchmark starts its own program for them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestBench runs everything, with numbers so small that they say nothing about speed.
func TestBench(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var progress, out bytes.Buffer
	s := settings{
		repository: "..", rounds: 1, warm: 10 * time.Millisecond,
		one: 300 * time.Millisecond, many: 300 * time.Millisecond, first: 300 * time.Millisecond,
	}
	r, err := runBench(t.Context(), s, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &out)
	for _, row := range []string{
		`(?m)^\| ratio to hand-written \| p50, 1 client \| requests/s, 16 clients \| CPU a call, 16 clients \| p99, 16 clients \| RSS, 16 clients \|$`,
		`(?m)^\| hand-written \|( 1 \|){5}$`,
		`(?m)^\| ReverseProxy \|( \d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\) \|){5}$`,
		`(?m)^\| Portolan \|( \d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\) \|){5}$`,
		`(?m)^\| hand-written \| [1-9]\d* µs \| [1-9]\d* \| [1-9]\d* µs \| [1-9]\d* µs \| [1-9]\d*\.\d MiB \|$`,
		`(?m)^\| ReverseProxy \| [1-9]\d* µs \| [1-9]\d* \| [1-9]\d* µs \| [1-9]\d* µs \| [1-9]\d*\.\d MiB \|$`,
		`(?m)^\| Portolan \| [1-9]\d* µs \| [1-9]\d* \| [1-9]\d* µs \| [1-9]\d* µs \| [1-9]\d*\.\d MiB \|$`,
		`(?m)^\d{4}-\d\d-\d\d, .*\d+ cores, go1\.`,
		`(?m)^[1-9]\d* calls, every answer right`,
		`(?m)Other processes used|does not tell whether something else ran`,
	} {
		if !regexp.MustCompile(row).Match(out.Bytes()) {
			t.Errorf("the output lacks %s", row)
		}
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestRefusesWrongUse(t *testing.T) {
	for _, args := range [][]string{{"server"}, {"-rounds", "0"}, {"-turn", "1ms"}, {"-fast"}} {
		if err := run(t.Context(), args, strings.NewReader(""), io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// TestProviderIsStrict changes the right request in one place at a time.
func TestProviderIsStrict(t *testing.T) {
	j := testJob(t)
	const path, body = "/api/v1/users/u1?user_id=oWn3rKq8LmT2vXc5B", `{"profile":{"firstName":"Zoë","lastName":"Q"}}`
	for _, test := range []struct {
		name, method, path, body, header, value string
		status                                  int
	}{
		{"right", "PUT", path, body, "", "", 200},
		{"method", "PATCH", path, body, "", "", 400},
		{"path", "PUT", strings.Replace(path, "users", "user", 1), body, "", "", 400},
		{"id", "PUT", strings.Replace(path, "u1", "", 1), body, "", "", 400},
		{"query", "PUT", path + "&a=b", body, "", "", 400},
		{"caller", "PUT", strings.Replace(path, "oWn", "own", 1), body, "", "", 400},
		{"unified names", "PUT", path, `{"first_name":"Zoë","last_name":"Q"}`, "", "", 400},
		{"one name", "PUT", path, `{"profile":{"firstName":"Zoë"}}`, "", "", 400},
		{"more", "PUT", path, body + " ", "", "", 400},
		{"key", "PUT", path, body, "api_key", "k", 400},
		{"content type", "PUT", path, body, "Content-Type", "text/plain", 400},
	} {
		request := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		for name, value := range j.Provider.Headers {
			request.Header.Set(name, value)
		}
		if test.header != "" {
			request.Header.Set(test.header, test.value)
		}
		answer := httptest.NewRecorder()
		newProvider(j.Provider).ServeHTTP(answer, request)
		if answer.Code != test.status {
			t.Errorf("%s: %d %s", test.name, answer.Code, answer.Body)
		}
		if test.status == 200 && (answer.Body.Len() < 900 || answer.Body.Len() > 1200) {
			t.Errorf("the record has %d bytes", answer.Body.Len())
		}
	}
}

// TestByHand checks that the hand-written gateway does the whole job, as Portolan does.
func TestByHand(t *testing.T) {
	j := testJob(t)
	upstream := httptest.NewServer(newProvider(j.Provider))
	defer upstream.Close()
	var log bytes.Buffer
	s := setup{Provider: upstream.URL, BasePath: j.Provider.BasePath, Token: "t", Account: j.Account.ID, Context: j.Account.Context}
	gateway := newByHand(s, &log).handler()
	account := "?integrated_account_id=" + j.Account.ID
	const names = `{"first_name":"Zoë","last_name":"Q"}`
	for _, test := range []struct {
		name, query, token, body, contentType string
		status                                int
		want                                  string
	}{
		{"right", account, "t", names, "application/json", 200, `"remote_data":{"id":"u1"`},
		{"without the record", account + "&truto_ignore_remote_data=true", "t", names, "application/json", 200, `"emails":[{"email":"u1@example.com"}]}`},
		{"token", account, "x", names, "application/json", 401, `"error":"Unauthorized"`},
		{"account", "?integrated_account_id=x", "t", names, "application/json", 404, "the account does not exist"},
		{"parameter", account + "&truto_x=1", "t", names, "application/json", 400, "truto_x is not a known parameter"},
		{"twice", account + "&a=1&a=2", "t", names, "application/json", 400, "a is given 2 times"},
		{"content type", account, "t", names, "text/plain", 415, "must be JSON"},
		{"unknown field", account, "t", `{"first":"Zoë"}`, "application/json", 400, "unknown field"},
		{"wrong type", account, "t", `{"first_name":7}`, "application/json", 400, "not a user update"},
		{"trailing data", account, "t", names + "{}", "application/json", 400, "data after the body"},
		{"nothing to send", account, "t", `{"roles":[{"id":"owner"}]}`, "application/json", 400, "nothing in the body"},
		{"too large", account, "t", `{"first_name":"` + strings.Repeat("a", requestLimit) + `"}`, "application/json", 413, "over 1048576 bytes"},
		{"refused", account, "t", `{"first_name":"Zoë"}`, "application/json", 400, `"truto_is_remote_error":true,"raw_response":{"error":400`},
	} {
		log.Reset()
		request := httptest.NewRequest(http.MethodPatch, "/unified/ticketing/users/u1"+test.query, strings.NewReader(test.body))
		request.Header.Set("Authorization", "Bearer "+test.token)
		request.Header.Set("Content-Type", test.contentType)
		request.Header.Set("X-Request-Id", "mine-1")
		answer := httptest.NewRecorder()
		gateway.ServeHTTP(answer, request)
		if answer.Code != test.status || !strings.Contains(answer.Body.String(), test.want) {
			t.Errorf("%s: %d %s, want %d and %s", test.name, answer.Code, answer.Body, test.status, test.want)
		}
		if answer.Header().Get("X-Request-Id") != "mine-1" || answer.Header().Get("Server-Timing") == "" {
			t.Errorf("%s: headers %v", test.name, answer.Header())
		}
		if !strings.Contains(log.String(), fmt.Sprintf(`"status":%d`, test.status)) || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("%s: logged %s", test.name, &log)
		}
	}
}

// TestLoaderFindsWrongAnswers puts a server between that spoils some answers.
func TestLoaderFindsWrongAnswers(t *testing.T) {
	j := testJob(t)
	right := newProvider(j.Provider)
	for _, test := range []struct {
		name  string
		spoil func(http.ResponseWriter, []byte) []byte
		want  string
	}{
		{"right", func(_ http.ResponseWriter, b []byte) []byte { return b }, ""},
		{"another user's", func(_ http.ResponseWriter, b []byte) []byte {
			return regexp.MustCompile(`Quintbarrow-\w+`).ReplaceAll(b, []byte("Quintbarrow-0"))
		}, "and should be"},
		{"a number changed", func(_ http.ResponseWriter, b []byte) []byte {
			return bytes.Replace(b, []byte("9007199254740991"), []byte("9007199254740992"), 1)
		}, "and should be"},
		{"status", func(w http.ResponseWriter, b []byte) []byte {
			w.WriteHeader(http.StatusCreated)
			return b
		}, "201 Created"},
		{"content type", func(w http.ResponseWriter, b []byte) []byte {
			w.Header().Set("Content-Type", "text/html")
			return b
		}, "content type"},
		{"header", func(w http.ResponseWriter, b []byte) []byte {
			w.Header().Del("X-Request-Id")
			return b
		}, "0 of the headers"},
		{"cut", func(w http.ResponseWriter, b []byte) []byte {
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			return b[:100]
		}, "unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				right.ServeHTTP(answer, r)
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Request-Id", "1")
				_, _ = w.Write(test.spoil(w, answer.Body.Bytes()))
			}))
			defer server.Close()
			l := load{
				Address: strings.TrimPrefix(server.URL, "http://"), Exchange: j.Provider,
				Clients: 3, First: 40, Measured: 50 * time.Millisecond,
			}
			l.Exchange.AnswerHeaders = []string{"X-Request-Id"}
			got, err := l.run(t.Context())
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %q", err, test.want)
				}
				return
			}
			if err != nil || got.Calls < 3 || got.AllCalls < got.Calls || got.P50 <= 0 || got.P99 < got.P50 {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestPsTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0:01.25":    1250 * time.Millisecond,
		"12:03.00":   12*time.Minute + 3*time.Second,
		"01:02:03":   time.Hour + 2*time.Minute + 3*time.Second,
		"2-01:00:00": 49 * time.Hour,
	} {
		if got, err := psTime(text); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
	if _, err := psTime("soon"); err == nil {
		t.Error("no error")
	}
}

func TestTableWarns(t *testing.T) {
	quiet, loud := sample{known: true, others: 0.02}, sample{known: true, others: 0.5}
	for _, test := range []struct {
		rounds []round
		want   string
	}{
		{[]round{{quiet, quiet}, {quiet, quiet}}, "Other processes used 2 % of the machine (median of the turns, at most 2 %)."},
		{[]round{{quiet, loud}, {quiet, quiet}}, "Warning: something else ran. In 1 of 4 turns it used more than 10 % of the machine.\n" +
			"Other processes used 2 % of the machine (median of the turns, at most 50 %)."},
		{[]round{{quiet, sample{}}}, "This system does not tell whether something else ran."},
	} {
		if got := (&result{rounds: [][]round{test.rounds}}).disturbance(); got != test.want {
			t.Errorf("%s\nwant\n%s", got, test.want)
		}
	}
}

func testJob(t *testing.T) *job {
	t.Helper()
	j, err := readJob()
	if err != nil {
		t.Fatal(err)
	}
	return j
}
