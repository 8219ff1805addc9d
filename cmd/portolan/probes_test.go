package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/golden"
)

// probesIn returns the file of what probing found in a folder, as a server uses it.
func probesIn(t *testing.T, folder string) probeFile {
	t.Helper()
	keys, err := accounts.ParseKeyring(testKeys)
	if err != nil {
		t.Fatal(err)
	}
	f := storeFlags{Data: folder}.probeFile(keys, 100*time.Millisecond)
	if f.keys == nil {
		t.Fatal("no file is used")
	}
	return f
}

func loadBuiltin(t *testing.T, known engine.Probed) *bundle {
	t.Helper()
	p := &process{stderr: io.Discard, now: golden.Clock, random: rand.Reader}
	b, err := p.load(loading{evalTimeout: 100 * time.Millisecond, known: known}, builtin(""))
	if err != nil || len(b.findings) > 0 {
		t.Fatalf("%v %v", err, b.findings)
	}
	return b
}

// With mappings that are not probed, every golden case has the same result, and so has the coverage.
func TestCasesWithKnownMappings(t *testing.T) {
	cases := func(b *bundle) string {
		var out bytes.Buffer
		var sum tally
		c := &testCommand{Cases: "../../testdata/cases"}
		if err := c.runCases(t.Context(), &process{stdout: &out, stderr: io.Discard}, builtinMappingDir(), b, regexp.MustCompile(""), &sum); err != nil {
			t.Fatal(err)
		}
		if sum.passed == 0 || sum.failed > 0 {
			t.Errorf("%+v", sum)
		}
		return out.String()
	}
	f := probesIn(t, t.TempDir())
	cold := loadBuiltin(t, f.read())
	if err := f.update(nil, cold.catalog); err != nil {
		t.Fatal(err)
	}
	known := f.read()
	if len(known) != len(cold.catalog.Plans()) {
		t.Fatalf("%d of %d mappings are known", len(known), len(cold.catalog.Plans()))
	}
	warm := loadBuiltin(t, known)
	for i, plan := range cold.catalog.Plans() {
		if diff := cmp.Diff(plan.Support(), warm.catalog.Plans()[i].Support()); diff != "" {
			t.Errorf("%s: %s", plan.Version(), diff)
		}
	}
	if diff := cmp.Diff(cases(cold), cases(warm)); diff != "" {
		t.Error(diff)
	}
}

// A file that is not exactly what this program wrote for these keys and settings is like none, and
// is replaced.
func TestDamagedProbesAreReplaced(t *testing.T) {
	folder := t.TempDir()
	f := probesIn(t, folder)
	b := loadBuiltin(t, nil)
	write := func(f probeFile) string {
		t.Helper()
		if err := f.update(nil, b.catalog); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	good := write(f)
	if info, err := os.Stat(f.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	otherKeys, otherProgram := f, f
	otherKeys.keys, _ = accounts.ParseKeyring(strings.Replace(testKeys, "MDE", "MTE", 1))
	otherProgram.made += "0"
	id, _, _ := strings.Cut(good, ".")
	for name, text := range map[string]string{
		"empty": "", "cut": good[:len(good)/2], "longer": good + "A", "changed": strings.Replace(good, good[50:51], "_", 1), "no JSON": f.keys.Seal(f.made, probesFile, []byte("[1]")),
		"plain": `{"x":{}}`, "only a key": id + ".", "other keys": write(otherKeys), "other program": write(otherProgram),
		"moved": f.keys.Seal(f.made, "credential", []byte("{}")), "large": f.keys.Seal(f.made, probesFile, []byte(strings.Repeat(" ", maxProbesFile)+"{}")),
	} {
		if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if known := f.read(); known != nil && text != good {
			t.Errorf("%s: %d known", name, len(known))
		}
		if write(f); len(f.read()) != len(b.catalog.Plans()) {
			t.Errorf("%s: not replaced", name)
		}
	}

	// a mapping's numbers stay as they are written
	number := engine.Probed{"x": {Leaves: []engine.Leaf{{Path: "/a", Fields: map[int][]string{7: {"b"}}, Values: []any{json.Number("1.50"), true, nil}}}}}
	sealed, err := json.Marshal(number)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path, []byte(f.keys.Seal(f.made, probesFile, sealed)), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(number, f.read()); diff != "" {
		t.Error(diff)
	}

	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(f.path)
	if err := os.Symlink(elsewhere, f.path); err != nil || f.read() != nil {
		t.Errorf("a link is read: %v", err)
	}
	write(f)
	if text, _ := os.ReadFile(elsewhere); string(text) != good {
		t.Error("a link is followed")
	}
	before := write(f)
	if err := f.update(f.read(), b.catalog); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(f.path); string(after) != before {
		t.Error("a file with the same mappings is replaced")
	}
	_ = os.Remove(f.path)
	if err := os.Mkdir(f.path, 0o700); err != nil || f.read() != nil || f.update(nil, b.catalog) == nil {
		t.Errorf("a directory is replaced: %v", err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("%v are left", entries)
	}
}

// A server and the commands beside it use the file of the data directory. Overrides are probed
// anyway.
func TestServerKeepsProbes(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	_, mappings := newProvider(t)
	folder := t.TempDir()
	admin := command(t, "tokens", "create", "--name", "ops", "--role", "admin", "--data", folder)
	f := probesIn(t, folder)
	if f.read() != nil {
		t.Error("a command has written the file")
	}
	serve := func(want string) {
		t.Helper()
		r := start(t, "--data", folder, "--mappings", mappings, "--allow-insecure-upstreams")
		go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
		made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin,
			map[string]any{"integration": "example", "context": map[string]any{"api_key": "key-example"}})
		res, answer := r.ask(t, http.MethodPatch, userTarget(made["id"]), admin, ada, "Prefer", "handling=strict")
		if got := res.Status; !strings.HasPrefix(got, want) {
			t.Errorf("%s, want %s: %v", got, want, answer)
		}
		r.must(t, http.StatusOK, http.MethodPatch, accountsPath+"/"+made["id"].(string), admin, map[string]any{
			"overrides": map[string]any{"ticketing.users.update": map[string]any{"request_body_mapping": `{ "nick": body.first_name }`}},
		})
		if res, answer := r.ask(t, http.MethodPatch, userTarget(made["id"]), admin, ada, "Prefer", "handling=strict"); res.StatusCode != http.StatusOK {
			t.Errorf("with an override: %s %v", res.Status, answer)
		}
		r.stop()
		if code := <-r.exit; code != exitOK {
			t.Errorf("exit %d\n%s", code, r.stderr)
		}
	}
	serve("200")
	known := f.read()
	if len(known) != len(loadBuiltin(t, nil).catalog.Plans())+1 {
		t.Fatalf("%d known", len(known))
	}
	serve("200")
	for key := range maps.Clone(known) { // as no mapping is
		known[key] = engine.Support{}
	}
	sealedText, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	sealed := f.keys.Seal(f.made, probesFile, sealedText)
	if err := os.WriteFile(f.path, []byte(sealed), 0o600); err != nil {
		t.Fatal(err)
	}
	serve("400")
}
