package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// demo are the demo accounts.
func demo(t *testing.T) []demoAccountJSON {
	t.Helper()
	var out demoJSON
	if err := json.Unmarshal([]byte(command(t, "sandbox", "--json")), &out); err != nil {
		t.Fatal(err)
	}
	return out.Accounts
}

// Under --sandbox accounts can be made and called, and nothing is left of them.
func TestSandboxKeepsAStoreWhileItRuns(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	r := start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	for _, d := range demo(t) {
		made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath+"?verify=true", demoAdminToken,
			map[string]any{"integration": d.Integration, "context": d.Credentials})
		target := "/unified/ticketing/users/" + d.SampleID + "?integrated_account_id=" + made["id"].(string)
		if d.Query != "" {
			target += "&" + d.Query
		}
		body := ada
		if d.Query != "" {
			body = map[string]any{"roles": []any{map[string]any{"id": "member"}}}
		}
		if answer := r.must(t, http.StatusOK, http.MethodPatch, target, demoToken, body); answer["id"] != d.SampleID {
			t.Errorf("%s: %v", d.Integration, answer)
		}
	}
	r.must(t, http.StatusForbidden, http.MethodGet, accountsPath, demoToken, nil)
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}

// The sandbox's token for administrators is known to everyone: it opens nothing that lasts.
func TestSandboxTokenOpensNoLastingStore(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	folder := t.TempDir()
	admin := command(t, "tokens", "create", "--name", "ops", "--role", "admin", "--data", folder)
	r := start(t, "--sandbox", "--data", folder)
	printed := make(chan []byte)
	go func() {
		out, _ := io.ReadAll(r.stdout)
		printed <- out
	}()
	r.must(t, http.StatusUnauthorized, http.MethodGet, accountsPath, demoAdminToken, nil)
	r.must(t, http.StatusOK, http.MethodGet, accountsPath, admin, nil)
	r.stop()
	if out := <-printed; strings.Contains(string(out), demoAdminToken) {
		t.Errorf("%s", out)
	}
}

// A file beside a database: the accounts of both are served. A file alone has nothing to
// administer.
func TestFileBesideStore(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	_, mappings := newProvider(t)
	origin, arrived, release := pretend(t)
	go func() {
		for range arrived {
		}
	}()
	close(release)
	file, folder := writeAccounts(t, origin), t.TempDir()
	admin := command(t, "tokens", "create", "--name", "ops", "--role", "admin", "--data", folder)
	r := start(t, "--accounts", file, "--data", folder, "--mappings", mappings, "--allow-insecure-upstreams")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin,
		map[string]any{"integration": "example", "context": map[string]any{"api_key": "key-example"}})
	for _, token := range []string{admin, "tok-example"} { // of one environment
		r.must(t, http.StatusOK, http.MethodPatch, fileTarget, token, ada)
		r.must(t, http.StatusOK, http.MethodPatch, userTarget(made["id"]), token, ada)
	}
	r.must(t, http.StatusForbidden, http.MethodGet, accountsPath, "tok-example", nil)
	r.must(t, http.StatusUnauthorized, http.MethodPatch, fileTarget, "other", ada)

	alone := start(t, "--accounts", file, "--allow-insecure-upstreams")
	go func() { _, _ = io.Copy(io.Discard, alone.stdout) }()
	alone.must(t, http.StatusOK, http.MethodPatch, fileTarget, "tok-example", ada)
	alone.must(t, http.StatusUnauthorized, http.MethodPatch, fileTarget, admin, ada)
	alone.must(t, http.StatusNotFound, http.MethodGet, accountsPath, "tok-example", nil)
}
