package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"portolan/jsonata"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata")

// basePaths are the paths of the providers' base URLs.
var basePaths = map[string]string{"hive": "/api/v1/", "pivotal_tracker": "/services/v5", "planhat": "", "teamwork": ""}

func clock() time.Time { return time.Date(2026, 3, 2, 9, 15, 44, 310e6, time.UTC) }

func testLanguage() *jsonata.Language {
	return jsonata.NewLanguage(clock, zeros{}, jsonata.Limits{EvalTimeout: 10 * time.Second}) // for a busy machine
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// loadShipped loads a provider's sandbox.yaml, or an invented one from testdata, with texts
// replaced in pairs.
func loadShipped(tb testing.TB, name string, replace ...string) *Provider {
	tb.Helper()
	file := filepath.Join("testdata", name, "sandbox.yaml")
	src, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		file = filepath.Join("..", "mappings", name, "sandbox.yaml")
		src, err = os.ReadFile(file)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(src), replace[i]) {
			tb.Fatalf("%s does not contain %q", file, replace[i])
		}
		src = []byte(strings.Replace(string(src), replace[i], replace[i+1], 1))
	}
	p, diags := Load(name, name+"/sandbox.yaml", src, testLanguage())
	for _, d := range diags {
		tb.Error(d)
	}
	if p == nil {
		tb.FailNow()
	}
	return p
}

// serve starts a server of s and returns its URL.
func serve(t *testing.T, s *Sandbox) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

func newSandbox(t *testing.T, providers ...*Provider) *Sandbox {
	t.Helper()
	mounts := make([]Mount, 0, len(providers))
	for _, p := range providers {
		mounts = append(mounts, Mount{Provider: p, BasePath: basePaths[p.Name()]})
	}
	return New(mounts, clock, WithSlow(50*time.Millisecond))
}

// TestExchanges runs testdata/<provider>/*.txtar: pairs of sections "request" and
// "response", sent in order to a new sandbox. A section "headers" holds the headers of every
// request; "Name:" in a request removes one. A section "replace" holds lines "old => new" for
// the provider's sandbox.yaml.
func TestExchanges(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no exchanges: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runFile(t, name, file)
		})
	}
}

func runFile(t *testing.T, name, file string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var common http.Header
	var replace []string
	for _, f := range archive.Files {
		switch f.Name {
		case "headers":
			_, common, _ = message("x\n" + string(f.Data))
		case "replace":
			for line := range strings.Lines(string(f.Data)) {
				old, replacement, _ := strings.Cut(strings.TrimSpace(line), " => ")
				replace = append(replace, old, replacement)
			}
		}
	}
	url := serve(t, newSandbox(t, loadShipped(t, name, replace...)))
	sent := ""
	for i := range archive.Files {
		f := &archive.Files[i]
		switch f.Name {
		case "request":
			sent = string(f.Data)
		case "response":
			first, _, _ := strings.Cut(sent, "\n")
			got := send(t, url+"/"+name+strings.TrimSuffix(basePaths[name], "/"), sent, common, string(f.Data))
			if strings.HasPrefix(got, "500\n") && strings.Contains(got, "sandbox.yaml:") {
				t.Errorf("%s: an expression failed: %s", first, got)
			}
			if *update {
				f.Data = []byte(got)
			} else if diff := cmp.Diff(string(f.Data), got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", first, diff)
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// send sends one request and returns the response as text, with the headers that want
// names.
func send(t *testing.T, base, sent string, common http.Header, want string) string {
	t.Helper()
	line, header, body := message(sent)
	method, target, _ := strings.Cut(line, " ")
	req, err := http.NewRequest(method, base+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, from := range []http.Header{common, header} {
		for k, v := range from {
			if req.Header[k] = v; v[0] == "" {
				delete(req.Header, k)
			}
		}
	}
	req.Host = req.Header.Get("Host")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString(res.Status[:3] + "\n")
	_, wanted, _ := message(want)
	for _, k := range slices.Sorted(maps.Keys(wanted)) {
		out.WriteString(k + ": " + res.Header.Get(k) + "\n")
	}
	answer = formatJSON(answer)
	if len(answer) > 0 {
		out.WriteString(strings.TrimSuffix(string(answer), "\n") + "\n")
	}
	return out.String()
}

// formatJSON returns JSON on one line if it is short, else indented.
func formatJSON(src []byte) []byte {
	var line, lines bytes.Buffer
	if json.Compact(&line, src) != nil || json.Indent(&lines, src, "", "  ") != nil {
		return src
	}
	if line.Len() <= 160 {
		return line.Bytes()
	}
	return lines.Bytes()
}

var headerLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):(?: (.*))?$`)

// message splits a section into its first line, its headers and its body.
func message(section string) (first string, header http.Header, body string) {
	scanner := bufio.NewScanner(strings.NewReader(section))
	scanner.Buffer(nil, 1<<20)
	header = http.Header{}
	scanner.Scan()
	first = scanner.Text()
	var rest []string
	inBody := false
	for scanner.Scan() {
		m := headerLine.FindStringSubmatch(scanner.Text())
		switch {
		case inBody || m == nil:
			if inBody || scanner.Text() != "" {
				rest = append(rest, scanner.Text())
			}
			inBody = true
		default:
			header.Set(m[1], m[2])
		}
	}
	return first, header, strings.Join(rest, "\n")
}
