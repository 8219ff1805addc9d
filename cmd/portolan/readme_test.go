package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

const root = "../.."

func readme(t *testing.T) string {
	t.Helper()
	return document(t, "README.md")
}

// marked returns the code block or paragraph after the comment <!-- mark --> in the README. argument
// is the part of the mark after a colon.
func marked(t *testing.T, mark string) (argument, text string) {
	t.Helper()
	m := regexp.MustCompile(`(?s)<!-- ` + mark + `(?:: ([^ ]+))? -->\n(?:` + "```[a-z]*\n(.*?\n)```" + `|(.*?\n)\n)`).FindStringSubmatch(readme(t))
	if m == nil {
		t.Fatalf("nothing is marked %q", mark)
	}
	return m[1], m[2] + m[3]
}

func TestReadmeShowsTheMapping(t *testing.T) {
	file, shown := marked(t, "mapping")
	source, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains("\n"+string(source), "\n"+shown) {
		t.Errorf("no part of %s:\n%s", file, shown)
	}
	if !strings.Contains(readme(t), "[`"+file+"`]("+file+")") {
		t.Errorf("there is no link to %s", file)
	}
}

// shellCall is an HTTP request as a curl command.
type shellCall struct {
	method, host, target, body string
	header                     http.Header
}

// parseCurl parses a curl command, and the lines before it that set variables.
func parseCurl(t *testing.T, command string) shellCall {
	t.Helper()
	call := shellCall{method: http.MethodGet, header: http.Header{}}
	words := regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"\\]+`).FindAllString(command, -1)
	variables := map[string]string{}
	for len(words) > 0 && words[0] != "curl" {
		name, value, found := strings.Cut(words[0], "=")
		if !found {
			break
		}
		variables[name], words = value, words[1:]
	}
	for i, word := range words {
		if words[i] = strings.Trim(word, "'"); strings.HasPrefix(word, `"`) {
			words[i] = os.Expand(strings.Trim(word, `"`), func(name string) string { return variables[name] })
		}
	}
	if len(words) == 0 || words[0] != "curl" {
		t.Fatalf("no curl: %s", command)
	}
	for i := 1; i < len(words); i++ {
		word, next := words[i], ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case word == "-sS":
			continue
		case word == "-X":
			call.method = next
		case word == "-d":
			call.body = next
		case word == "-H":
			name, value, _ := strings.Cut(next, ": ")
			call.header.Add(name, value)
		case strings.HasPrefix(word, "http://"):
			host, target, _ := strings.Cut(strings.TrimPrefix(word, "http://"), "/")
			call.host, call.target = host, "/"+target
			continue
		default:
			t.Fatalf("%q of the curl is not understood", word)
		}
		i++ // the flag's value
	}
	return call
}

// send sends the call to origin and returns the answer and its body.
func (c shellCall) send(t *testing.T, origin string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.method, origin+c.target, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = c.header.Clone()
	return exchange(t, http.DefaultClient, req)
}

func TestReadmeCall(t *testing.T) {
	_, command := marked(t, "call")
	_, want := marked(t, "answer")
	call := parseCurl(t, command)
	if !strings.Contains(readme(t), "`"+call.host+"` with") {
		t.Errorf("the call goes to %s, where the API does not start", call.host)
	}
	r := start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()

	strict := call // sent first, because it must not change anything
	strict.header = call.header.Clone()
	strict.header.Set("Prefer", "handling=strict")
	if res, body := strict.send(t, r.origin); res.StatusCode != http.StatusBadRequest {
		t.Errorf("handling=strict: status %d, want 400\n%s", res.StatusCode, body)
	}
	res, got := call.send(t, r.origin)
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", res.StatusCode)
	}
	if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
		t.Errorf("the answer differs (-readme +got):\n%s", diff)
	}
	header := regexp.MustCompile("has the header `([A-Za-z-]+): ([^`]+)`").FindStringSubmatch(readme(t))
	if header == nil {
		t.Fatal("no header is named")
	}
	if got := res.Header.Get(header[1]); got != header[2] || header[1] != "Portolan-Unsupported" {
		t.Errorf("%s: %q, the README says %q", header[1], got, header[2])
	}
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

func codeSpans(text string) []string {
	var out []string
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// rows returns the cells of a table without its heading.
func rows(table string) [][]string {
	var out [][]string
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		out = append(out, cells)
	}
	return out
}

func TestReadmeSupport(t *testing.T) {
	_, table := marked(t, "support")
	p := &process{now: time.Now, random: rand.Reader}
	b, err := p.load(loading{evalTimeout: time.Second}, builtin(""))
	if err != nil {
		t.Fatal(err)
	}
	var integrations []string
	for _, row := range rows(table) {
		integrations = append(integrations, row[0])
		plan := b.catalog.Plan(row[0], engine.Operation{Model: "ticketing", Resource: "users", Method: "update"})
		if plan == nil {
			t.Errorf("%s updates no users", row[0])
			continue
		}
		if diff := cmp.Diff(supported(plan), row[1]); diff != "" {
			t.Errorf("%s (-probed +readme):\n%s", row[0], diff)
		}
		var required []string
		schema, _ := plan.QuerySchema()
		if object, ok := schema.(map[string]any); ok {
			names, _ := object["required"].([]any)
			for _, name := range names {
				required = append(required, name.(string))
			}
		}
		needed := slices.DeleteFunc(codeSpans(row[2]), func(name string) bool { return !slices.Contains(plan.Support().Query, name) })
		if diff := cmp.Diff(required, needed); diff != "" {
			t.Errorf("%s also needs (-mapping +readme):\n%s", row[0], diff)
		}
	}
	if diff := cmp.Diff(b.integrations(), integrations); diff != "" {
		t.Errorf("integrations (-catalog +readme):\n%s", diff)
	}
}

// supported returns the cell of the README for the fields that reach a provider.
func supported(plan *engine.Plan) string {
	var cells []string
	for _, leaf := range plan.Support().Leaves {
		cell := "`" + strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(leaf.Path, "/"), "/*", "[]"), "/", ".") + "`"
		sep := ": "
		for _, value := range leaf.Values {
			cell += sep + fmt.Sprint(value)
			sep = ", "
		}
		cells = append(cells, cell)
	}
	return strings.Join(cells, " ")
}

func TestReadmeTryIt(t *testing.T) {
	_, section, _ := strings.Cut(readme(t), "\n## Try it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		commands = append(commands, block[1])
	}
	if diff := cmp.Diff([]string{"go run ./cmd/portolan serve --sandbox\n", "./test\n"}, commands); diff != "" {
		t.Errorf("commands (-want +readme):\n%s", diff)
	}
	run, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(run), "\n./test\n") {
		t.Error(".ci/run does not run ./test")
	}
	help, err := exec.CommandContext(t.Context(), filepath.Join(root, "test"), "--help").CombinedOutput()
	if err != nil || !strings.Contains(string(help), "PORTOLAN_TEST_POSTGRES") {
		t.Errorf("./test --help: %v\n%s", err, help)
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`Needs Go (\d+\.\d+)\.`).FindStringSubmatch(section)
	if version == nil || !regexp.MustCompile(`(?m)^go `+regexp.QuoteMeta(version[1])+`(\.|$)`).Match(module) {
		t.Errorf("needs Go %v, go.mod says otherwise", version)
	}
	counts := map[string]int{"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
	pretend := regexp.MustCompile(`with (\w+) pretend providers`).FindStringSubmatch(section)
	if pretend == nil {
		t.Fatal("no pretend providers are promised")
	}
	r := start(t, "--sandbox")
	r.stop()
	printed, err := io.ReadAll(r.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(printed), "curl -X "); got != counts[pretend[1]] || got == 0 {
		t.Errorf("%d curls are printed, %s pretend providers promised", got, pretend[1])
	}
}

// TestExampleProvider writes the files of the example Acme. They are free of problems, the case
// passes, and the sandbox answers as the pages say.
func TestExampleProvider(t *testing.T) {
	dir := t.TempDir()
	file := regexp.MustCompile("(?s)<!-- file: ([^ ]+) -->\n```[a-z]*\n(.*?)```")
	written := 0
	for _, page := range documents(t) {
		for _, m := range file.FindAllStringSubmatch(document(t, page), -1) {
			path := filepath.Join(dir, filepath.FromSlash(m[1]))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(m[2]), 0o600); err != nil {
				t.Fatal(err)
			}
			written++
		}
	}
	if written != 4 {
		t.Fatalf("%d files are shown, want 3 of the mapping and a case", written)
	}
	mappings := filepath.Join(dir, "my-mappings")
	for want, args := range map[string][]string{
		"1 integration, no problems": {"lint", mappings},
		"1 passed, 0 failed":         {"test", mappings, "--cases", filepath.Join(dir, "my-cases")},
	} {
		if out := command(t, args...); !strings.Contains(out, want) {
			t.Errorf("%v: want %s\n%s", args, want, out)
		}
	}
	r := start(t, "--sandbox", "--mappings", mappings)
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	call := shellCall{
		method: http.MethodPatch, target: "/unified/ticketing/users/7?integrated_account_id=00000000-0000-4000-8000-0000000000ac",
		header: http.Header{"Authorization": {"Bearer " + demoToken}, "Content-Type": {"application/json"}},
	}
	for _, tt := range []struct {
		body, fault string
		status      int
	}{
		{`{"first_name":"Ada"}`, "", http.StatusOK},
		{`{"first_name":"Ada","remote_data":{"surname":"x"}}`, "", http.StatusUnprocessableEntity},
		{`{"first_name":"Ada"}`, "maintenance", http.StatusServiceUnavailable},
	} {
		call.body = tt.body
		call.header.Set("Portolan-Sandbox-Fault", tt.fault)
		if res, body := call.send(t, r.origin); res.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d\n%s", tt.body, tt.fault, res.StatusCode, tt.status, body)
		}
	}
}

func TestReadmePathsExist(t *testing.T) {
	text := readme(t)
	var paths []string
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(strings.Join(strings.Fields(text), " "), -1) {
		if !strings.Contains(m[1], "://") {
			paths = append(paths, m[1])
		}
	}
	if len(paths) < 4 {
		t.Errorf("only the links %v", paths)
	}
	for _, m := range regexp.MustCompile("(?:^|[ `])(\\./[a-zA-Z/_]+|\\.[a-z][a-zA-Z./_]+)").FindAllStringSubmatch(text, -1) {
		paths = append(paths, m[1])
	}
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestDesignPathsExist checks the folders of the layout and the files that the page names.
func TestDesignPathsExist(t *testing.T) {
	page := document(t, "docs/design.md")
	_, layout, _ := strings.Cut(page, "\n## Layout\n")
	layout, _, _ = strings.Cut(layout, "\n## ")
	table := regexp.MustCompile(`(?m)(^\|.*\n)+`).FindString(layout)
	var paths []string
	for _, row := range rows(table) {
		paths = append(paths, codeSpans(row[0])...)
	}
	if len(paths) < 5 {
		t.Errorf("only the folders %v", paths)
	}
	files := regexp.MustCompile(`[a-z0-9_]+(?:/[a-z0-9_]+)*/[a-z0-9_]+\.go\b`).FindAllString(page, -1)
	if len(files) < 20 {
		t.Errorf("only the files %v", files)
	}
	for _, path := range append(paths, files...) {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func document(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents returns the paths of all pages, relative to the root.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := fs.Glob(os.DirFS(root), "docs/*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("only the pages %v: %v", pages, err)
	}
	return append(pages, "README.md", "CONTRIBUTING.md")
}

// anchors returns the fragments of a page's headings, as GitHub generates them.
func anchors(page string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	return out
}

func TestDocumentLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]+))?\)`)
	for _, from := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(document(t, from), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			to := from
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(from), m[1])
			}
			if page := document(t, to); m[2] != "" && !slices.Contains(anchors(page), m[2]) {
				t.Errorf("%s: %s has no heading for #%s", from, to, m[2])
			}
		}
	}
}

func TestReadmeListsDocuments(t *testing.T) {
	_, section, _ := strings.Cut(readme(t), "\n## Documents\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, page := range documents(t) {
		if page != "README.md" && !strings.Contains(section, "]("+page+")") {
			t.Errorf("%s is not in the table of documents", page)
		}
	}
}

func TestDocumentLinesAreShort(t *testing.T) {
	const limit = 140 // characters, not reached
	for _, page := range documents(t) {
		for i, line := range strings.Split(document(t, page), "\n") {
			if n := utf8.RuneCountInString(line); n >= limit {
				t.Errorf("%s:%d has %d characters", page, i+1, n)
			}
		}
	}
}

// No document teaches to write a key or token on a command line, where every user of the machine can read
// it. The tokens of the sandbox are public.
func TestDocumentsKeepSecretsOffTheCommandLine(t *testing.T) {
	written := regexp.MustCompile(`(?:-d|--data[a-z-]*|--field)[ =]['"]?[^@ ][^=-]*(?:key|token|secret|password)|-H ['"]Authorization: Bearer (?:pt|\$)|-u [^ ]+:`)
	for _, name := range documents(t) {
		for i, line := range strings.Split(document(t, name), "\n") {
			if written.MatchString(line) {
				t.Errorf("%s:%d: %s", name, i+1, line)
			}
		}
	}
}
