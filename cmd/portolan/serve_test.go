package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// running is a `portolan serve` in this process.
type running struct {
	origin string
	stdout *bufio.Reader
	stderr *lockedBuffer
	stop   context.CancelFunc // as a signal would
	exit   chan int
	pid    int // of launch
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, out := io.Pipe()
	r := &running{stdout: bufio.NewReader(stdout), stderr: &lockedBuffer{}, stop: cancel, exit: make(chan int, 1)}
	go func() {
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), strings.NewReader(""), out, r.stderr)
		_ = out.Close()
		r.exit <- code
	}()
	t.Cleanup(func() { cancel(); _ = stdout.Close() })
	r.origin = r.listensOn(t)
	return r
}

func (r *running) patch(t *testing.T, target, token, body string, header ...string) (int, map[string]any) {
	t.Helper()
	res, answer := r.ask(t, http.MethodPatch, target, token, json.RawMessage(body), header...)
	return res.StatusCode, answer
}

var printedCurl = regexp.MustCompile(`curl -X PATCH 'http://[^/]+(/[^']+)' \\\n  -H 'Authorization: Bearer ([^']+)' -H 'Content-Type: application/json' -d '([^']+)'`)

func TestPrintedCurlsWork(t *testing.T) {
	var accounts bytes.Buffer
	if code := run(t.Context(), []string{"sandbox", "--json"}, nil, &accounts, io.Discard); code != exitOK {
		t.Fatalf("exit %d", code)
	}
	var demo demoJSON
	if err := json.Unmarshal(accounts.Bytes(), &demo); err != nil {
		t.Fatal(err)
	}
	r := start(t, "--sandbox")
	r.stop() // all output is complete after it
	printed, err := io.ReadAll(r.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
	curls := printedCurl.FindAllStringSubmatch(string(printed), -1)
	if len(curls) != len(demo.Accounts) || len(curls) == 0 {
		t.Fatalf("%d curls for %d accounts:\n%s", len(curls), len(demo.Accounts), printed)
	}
	if !strings.Contains(string(printed), accountsPath+"' \\\n  -H 'Authorization: Bearer "+demoAdminToken+"'") {
		t.Errorf("nothing for administrators:\n%s", printed)
	}
	r = start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	for i, curl := range curls {
		if !strings.Contains(curl[1], demo.Accounts[i].IntegratedAccountID) || strings.ContainsAny(curl[1], "[]") {
			t.Errorf("target %s", curl[1])
		}
		status, answer := r.patch(t, curl[1], curl[2], curl[3])
		if status != http.StatusOK || answer["id"] != demo.Accounts[i].SampleID {
			t.Errorf("%s: %d %v", curl[1], status, answer)
		}
	}
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// pretend starts a provider that reports when a call arrived and answers after release.
func pretend(t *testing.T) (origin string, arrived, release chan struct{}) {
	t.Helper()
	arrived, release = make(chan struct{}), make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"u1","profile":{"firstName":"Ada","lastName":"Ashgrove"},"fullName":"Ada Ashgrove","email":"ada@example.com"}`)
	})}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return "http://" + listener.Addr().String(), arrived, release
}

// fileToken is the token of accountsFile.
const fileToken = "token-of-the-accounts-file"

const accountsFile = `format: portolan/accounts/v1
tokens:
  - {name: ci, token: ` + fileToken + `}
accounts:
  - {id: 62f44730-dd91-461e-bd6a-aedd9e0ad79d, integration: hive, context: {api_key: k1, user_id: u1}, base_url: "%s"}
`

func writeAccounts(t *testing.T, origin string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "accounts.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, accountsFile, origin), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const fileTarget = "/unified/ticketing/users/u1?integrated_account_id=62f44730-dd91-461e-bd6a-aedd9e0ad79d"

func TestStopWaitsForCallsInFlight(t *testing.T) {
	origin, arrived, release := pretend(t)
	r := start(t, "--accounts", writeAccounts(t, origin), "--allow-insecure-upstreams")
	type answer struct {
		status int
		body   map[string]any
	}
	got := make(chan answer, 1)
	go func() {
		status, body := r.patch(t, fileTarget, fileToken, `{"first_name":"Ada"}`)
		got <- answer{status, body}
	}()
	<-arrived
	r.stop()
	for { // the port is closed before the call is answered
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.origin, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case code := <-r.exit:
		t.Fatalf("exit %d with a call in flight", code)
	case a := <-got:
		t.Fatalf("answered before the provider did: %v", a)
	default:
	}
	close(release)
	if a := <-got; a.status != http.StatusOK || a.body["first_name"] != "Ada" {
		t.Errorf("got %v", a)
	}
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
}

func TestDrainEnds(t *testing.T) {
	origin, arrived, release := pretend(t)
	r := start(t, "--accounts", writeAccounts(t, origin), "--allow-insecure-upstreams", "--drain", "1ms")
	done := make(chan struct{})
	go func() {
		defer close(done)
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodPatch, r.origin+fileTarget, strings.NewReader(`{"first_name":"Ada"}`))
		req.Header.Set("Authorization", "Bearer "+fileToken)
		req.Header.Set("Content-Type", "application/json")
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
			t.Errorf("answered with %s", res.Status)
		}
	}()
	<-arrived
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
	<-done
	close(release)
	if !strings.Contains(r.stderr.String(), "calls in flight were cut off") {
		t.Errorf("log: %s", r.stderr)
	}
}

func TestFaultsReachTheSandboxOnly(t *testing.T) {
	r := start(t, "--sandbox", "--upstream-timeout", "2s")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	target := "/unified/ticketing/users/7hQm2ZtRk9BvXc4Ls?integrated_account_id=00000000-0000-4000-8000-000000000001"
	got := map[string]int{}
	want := map[string]int{"rate_limited": 429, "server_error": 500, "html": 502, "truncated": 502, "reset": 502, "slow": 504, "huge": 502, "redirect": 502}
	for name := range want {
		got[name], _ = r.patch(t, target, demoToken, `{"first_name":"Ada"}`, "Portolan-Sandbox-Fault", name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestServeFlagsFromTheEnvironment(t *testing.T) {
	p := &process{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &lockedBuffer{}, now: time.Now, random: rand.Reader, lookup: func(name string) (string, bool) {
		value, ok := map[string]string{"PORTOLAN_ACCOUNTS": "nowhere.yaml", "PORTOLAN_MAX_BODY": "64KiB"}[name]
		return value, ok
	}}
	if code := p.run(t.Context(), []string{"serve", "--max-body", "x"}); code != exitUsage || !strings.Contains(fmt.Sprint(p.stderr), `"x" is not a valid size`) {
		t.Errorf("the command line does not win: exit %d, %s", code, p.stderr)
	}
	p.stderr = &lockedBuffer{}
	if code := p.run(t.Context(), []string{"serve"}); code != exitUsage || !strings.Contains(fmt.Sprint(p.stderr), "nowhere.yaml") {
		t.Errorf("exit %d, %s", code, p.stderr)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]byteSize{"4096": 4096, "64KiB": 64 << 10, "1 MiB": 1 << 20, "2GiB": 2 << 30, "": 0, "0": 0, "-1": 0, "1MB": 0, "9999999999GiB": 0} {
		var got byteSize
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

// raw sends one request as it stands and returns the answer.
func (r *running) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.origin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.400q: %v", request, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// Requests that net/http refuses before a handler are answered in the envelope too, and those whose
// headers rule out the body without waiting for it.
func TestEveryAnswerIsTheEnvelope(t *testing.T) {
	r := start(t, "--accounts", writeAccounts(t, "http://127.0.0.1:1"), "--allow-insecure-upstreams")
	const good = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	patch := "PATCH " + fileTarget + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + fileToken + "\r\nExpect: 100-continue\r\n"
	for request, want := range map[string]int{
		"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n":                                                                       400,
		"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n":                                                                    400,
		"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n":                                                    400,
		"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n":                                                        400,
		"GET /healthz HTTP/1.1\r\n\r\n":                                                                              400,
		"nonsense\r\n\r\n":                                                                                           400,
		"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n":                                                                   505,
		"GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n":                                                    417,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":                                              501,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 300<<10):                                            431,
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                                                      404,
		"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n":                                                                  501,
		patch + "Content-Type: application/json\r\nContent-Length: 9999999\r\n\r\n":                                  413,
		patch + "Content-Type: text/plain\r\nContent-Length: 10\r\n\r\n":                                             415,
		patch + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n":                                     415,
		strings.Replace(patch, "62f44730", "00000000", 1) + "Content-Type: text/plain\r\nContent-Length: 10\r\n\r\n": 404,
	} {
		res, body := r.raw(t, request)
		var envelope struct{ StatusCode int }
		if err := json.Unmarshal([]byte(body), &envelope); err != nil || res.StatusCode != want || envelope.StatusCode != want ||
			res.Header.Get("X-Request-Id") == "" || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.60q: %s %v %.200q", request, res.Status, res.Header, body)
		}
	}
	// On a connection with requests before and after it, only the malformed one is replaced.
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.origin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, good+good+"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"+good); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(all); strings.Count(text, "HTTP/1.1 ") != 3 || strings.Count(text, `{"status":"ok"}`) != 2 || strings.Count(text, `"statusCode":400`) != 1 {
		t.Errorf("answered %s", text)
	}
}

// Metrics have a port of their own, which is off unless it is asked for.
func TestMetricsListen(t *testing.T) {
	file := writeAccounts(t, "http://127.0.0.1:1")
	for name, args := range map[string][]string{
		"off": {"--accounts", file, "--allow-insecure-upstreams"}, "sandbox": {"--sandbox"},
		"on": {"--accounts", file, "--allow-insecure-upstreams", "--metrics-listen", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, args...)
			if name == "off" {
				publicPortHasNone(t, r)
				r.stop()
				if rest, err := io.ReadAll(r.stdout); err != nil || strings.Contains(string(rest), "metrics") {
					t.Errorf("printed %q, %v", rest, err)
				}
				return
			}
			line, err := r.stdout.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			address, ok := strings.CutPrefix(strings.TrimSpace(line), "metrics are at ")
			if !ok || !strings.HasPrefix(address, "http://127.0.0.1:") {
				t.Fatalf("printed %q", line)
			}
			go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
			publicPortHasNone(t, r)
			for target, want := range map[string]string{"/metrics": "portolan_requests_total", "/readyz": `"integrations":["hive"`, "/debug/pprof/": "goroutine"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(address, "/metrics")+target, http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				if res, body := exchange(t, http.DefaultClient, req); res.StatusCode != http.StatusOK || !strings.Contains(body, want) {
					t.Errorf("%s: %s %.200s", target, res.Status, body)
				}
			}
		})
	}
}

func publicPortHasNone(t *testing.T, r *running) {
	t.Helper()
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		if res, body := r.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the public port: %s %.100s", path, res.Status, body)
		}
	}
}

// An accounts file with secrets that other users can read is refused; in a container it is warned of.
func TestReadableAccountsFile(t *testing.T) {
	const with, without = "context: {api_key: key-example, user_id: u1}", `context: {api_key: "${EXAMPLE_KEY}", user_id: u1}`
	const token, variable = "token: " + fileToken, `token: "${EXAMPLE_TOKEN}"`
	for _, tt := range []struct {
		name, token, context string
		mode                 os.FileMode
		variable             string // that shows a container
		file                 string // that shows a container
		refused, warned      bool
	}{
		{"token", token, without, 0o644, "", "", true, false},
		{"key", variable, with, 0o644, "", "", true, false},
		{"key for the group", variable, with, 0o640, "", "", true, false},
		{"only the owner", token, with, 0o600, "", "", false, false},
		{"no secrets", variable, without, 0o644, "", "", false, false},
		{"a hash", "sha256: " + strings.Repeat("0", 64), without, 0o644, "", "", false, false},
		{"kubernetes", token, with, 0o644, "KUBERNETES_SERVICE_HOST", "", false, true},
		{"podman", token, with, 0o644, "container", "", false, true},
		{"docker", variable, with, 0o644, "", "/.dockerenv", false, true},
		{"docker, only the owner", token, with, 0o600, "", "/.dockerenv", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "accounts.yaml")
			text := "format: portolan/accounts/v1\ntokens:\n  - {name: ci, " + tt.token + "}\n" +
				"accounts:\n  - {id: 62f44730-dd91-461e-bd6a-aedd9e0ad79d, integration: hive, " + tt.context + "}\n"
			if err := os.WriteFile(file, []byte(text), tt.mode); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			stderr, stdout := &lockedBuffer{}, &lockedBuffer{}
			p := &process{
				stdin: strings.NewReader(""), stdout: stdout, stderr: stderr, now: time.Now, random: rand.Reader,
				lookup: func(name string) (string, bool) {
					value, ok := map[string]string{"EXAMPLE_TOKEN": fileToken, "EXAMPLE_KEY": "key-example", tt.variable: "x"}[name]
					return value, ok && name != ""
				},
				exists: func(file string) bool { return file == tt.file },
			}
			exit := make(chan int, 1)
			go func() { exit <- p.run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--accounts", file}) }()
			for !strings.Contains(stdout.String(), "listens on") && len(exit) == 0 {
				time.Sleep(time.Millisecond)
			}
			stop()
			code, log := <-exit, stderr.String()
			if (code == exitUsage) != tt.refused || tt.refused && !strings.Contains(log, "chmod 600") {
				t.Errorf("exit %d, %s", code, log)
			}
			if strings.Contains(log, "the accounts file holds secrets and can be read by other users") != tt.warned {
				t.Errorf("logged %s", log)
			}
			if strings.Contains(log, fileToken) || strings.Contains(log, "key-example") {
				t.Errorf("a secret is shown: %s", log)
			}
		})
	}
}
