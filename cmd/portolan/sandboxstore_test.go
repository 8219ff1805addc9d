package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
)

// demo returns the demo accounts.
func demo(t *testing.T) []demoAccountJSON {
	t.Helper()
	var out demoJSON
	if err := json.Unmarshal([]byte(command(t, "sandbox", "--json")), &out); err != nil {
		t.Fatal(err)
	}
	return out.Accounts
}

// With --sandbox, accounts can be created and called, and are gone after the process.
func TestSandboxHasATemporaryStore(t *testing.T) {
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

// hive returns the demo account of that integration, and the target of a call to its sample.
func hive(t *testing.T) (account demoAccountJSON, target string) {
	t.Helper()
	for _, d := range demo(t) {
		if d.Integration == "hive" {
			return d, "/unified/ticketing/users/" + d.SampleID + "?integrated_account_id="
		}
	}
	t.Fatal("hive is not played")
	return demoAccountJSON{}, ""
}

// The tokens of the sandbox are public: they are not valid for a persistent store.
func TestSandboxTokensAreRefusedByPersistentStore(t *testing.T) {
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
	r.must(t, http.StatusForbidden, http.MethodGet, accountsPath, demoToken, nil)

	d, target := hive(t)
	kept := map[string]any{"integration": d.Integration, "context": d.Credentials}
	made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, kept)["id"].(string)
	r.must(t, http.StatusOK, http.MethodPatch, target+made, admin, ada)
	r.must(t, http.StatusNotFound, http.MethodPatch, target+made, demoToken, ada)
	r.must(t, http.StatusUnauthorized, http.MethodPatch, target+made, demoAdminToken, ada)

	r.must(t, http.StatusOK, http.MethodPatch, target+d.IntegratedAccountID, demoToken, ada)
	r.must(t, http.StatusNotFound, http.MethodPatch, target+d.IntegratedAccountID, admin, ada)
	if list := r.must(t, http.StatusOK, http.MethodGet, accountsPath, admin, nil); list["result_count"] != 1.0 {
		t.Errorf("%v", list)
	}
	kept["id"] = d.IntegratedAccountID // the database may have an account with this id
	r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, kept)
	r.must(t, http.StatusOK, http.MethodPatch, target+d.IntegratedAccountID, admin, ada)

	r.must(t, http.StatusBadRequest, http.MethodPost, environmentsPath, admin, map[string]any{"name": demoEnvironment})
	r.must(t, http.StatusBadRequest, http.MethodPost, "/api-token", admin, map[string]any{"name": "x", "role": "call", "environment": demoEnvironment})
	r.stop()
	if out := <-printed; strings.Contains(string(out), demoAdminToken) {
		t.Errorf("%s", out)
	}
}

// They are not valid for the accounts of a file either.
func TestSandboxTokensAreRefusedForFile(t *testing.T) {
	origin, _, _ := pretend(t)
	file := writeAccounts(t, origin)
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	r := start(t, "--sandbox", "--accounts", file, "--allow-insecure-upstreams")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	d, target := hive(t)
	r.must(t, http.StatusOK, http.MethodPatch, target+d.IntegratedAccountID, demoToken, ada)
	r.must(t, http.StatusNotFound, http.MethodPatch, fileTarget, demoToken, ada)
	r.must(t, http.StatusUnauthorized, http.MethodPatch, fileTarget, demoAdminToken, ada)
	r.must(t, http.StatusNotFound, http.MethodPatch, target+d.IntegratedAccountID, fileToken, ada)
	r.must(t, http.StatusNotFound, http.MethodGet, accountsPath, fileToken, nil)
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("a database was made: %v, %v", left, err)
	}
}

// Another environment with the same name cannot be reached.
func TestSeparateEnvironment(t *testing.T) {
	own, rest := memory(t, "own", fileID), memory(t, "rest", storeID)
	d := separateEnvironment{accounts.DefaultEnvironment, own, rest}
	if got, err := d.Account(t.Context(), accounts.DefaultEnvironment, fileID); err != nil || got.ID != fileID {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := d.Account(t.Context(), accounts.DefaultEnvironment, storeID); !errors.Is(err, accounts.ErrNotFound) {
		t.Errorf("%v, %v", got, err)
	}
	d.environment = demoEnvironment
	if got, err := d.Account(t.Context(), accounts.DefaultEnvironment, storeID); err != nil || got.ID != storeID {
		t.Errorf("%v, %v", got, err)
	}
	for _, token := range []string{"own", "rest"} {
		if got, err := d.Authenticate(t.Context(), token); err != nil || got.Name != token {
			t.Errorf("%s: %v, %v", token, got, err)
		}
	}
}

// The demo accounts are listed before others. They can be called, but not changed.
func TestDemoAccountsAreReadOnly(t *testing.T) {
	r := start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	d, target := hive(t)
	var want []string
	for _, d := range demo(t) {
		want = append(want, d.IntegratedAccountID)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, r.listed(t, "?")); diff != "" {
		t.Errorf("(-want +listed)\n%s", diff)
	}
	for limit := 1; limit <= len(want)+1; limit++ { // up to a limit that all of them fit in
		if diff := cmp.Diff(want, r.listed(t, "?limit="+strconv.Itoa(limit))); diff != "" {
			t.Errorf("limit %d (-want +listed)\n%s", limit, diff)
		}
	}
	body := map[string]any{"integration": d.Integration, "context": d.Credentials, "tenant_id": "acme"}
	var made []string
	for range 2 {
		made = append(made, r.must(t, http.StatusCreated, http.MethodPost, accountsPath, demoAdminToken, body)["id"].(string))
	}
	for limit := 1; limit <= len(want)+3; limit++ {
		if diff := cmp.Diff(append(slices.Clone(want), made...), r.listed(t, "?limit="+strconv.Itoa(limit))); diff != "" {
			t.Errorf("limit %d (-want +listed)\n%s", limit, diff)
		}
	}
	for query, want := range map[string][]string{
		"?tenant_id=acme": made, "?status=disabled": nil, "?integration=hive": append([]string{d.IntegratedAccountID}, made...),
	} {
		if diff := cmp.Diff(want, r.listed(t, query)); diff != "" {
			t.Errorf("%s (-want +listed)\n%s", query, diff)
		}
	}
	for _, cursor := range []string{"demo.", "demo.x", "demo.-1", "demo.99", "other"} {
		r.must(t, http.StatusBadRequest, http.MethodGet, accountsPath+"?cursor="+cursor, demoAdminToken, nil)
	}

	one := accountsPath + "/" + d.IntegratedAccountID
	shown := r.must(t, http.StatusOK, http.MethodGet, one, demoAdminToken, nil)
	var fields []string
	for _, c := range shown["credentials"].([]any) {
		fields = append(fields, c.(map[string]any)["name"].(string))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(d.Credentials)), fields); diff != "" || shown["status"] != "active" || !strings.Contains(fmt.Sprint(shown["context"]), "api_key:***") || !accounts.IsUUID(fmt.Sprint(shown["environment_id"])) {
		t.Errorf("%v\n(-want +shown)\n%s", shown, diff)
	}
	body["id"] = d.IntegratedAccountID
	for _, change := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPatch, one, map[string]any{"label": "mine"}},
		{http.MethodPatch, one + "?verify=true", map[string]any{"context": map[string]any{"api_key": "refused by the provider"}}},
		{http.MethodDelete, one, nil},
		{http.MethodPost, one + "/token", map[string]any{}},
		{http.MethodPost, "/link-token", map[string]any{"integration": d.Integration, "integrated_account_id": d.IntegratedAccountID}},
	} {
		answer := r.must(t, http.StatusConflict, change.method, change.path, demoAdminToken, change.body)
		if message, _ := answer["message"].(string); !strings.Contains(message, "can be read and called, not changed") {
			t.Errorf("%s %s: %s", change.method, change.path, message)
		}
	}
	r.must(t, http.StatusConflict, http.MethodPost, accountsPath, demoAdminToken, body)
	r.must(t, http.StatusOK, http.MethodPatch, target+d.IntegratedAccountID, demoToken, ada)
}

// The overrides of an environment apply to its demo accounts, as to others.
func TestDemoAccountsInheritOverrides(t *testing.T) {
	r := start(t, "--sandbox")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	d, target := hive(t)
	own := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, demoAdminToken, map[string]any{"integration": d.Integration, "context": d.Credentials})
	for _, id := range []string{d.IntegratedAccountID, own["id"].(string)} {
		if answer := r.must(t, http.StatusOK, http.MethodPatch, target+id, demoToken, ada); answer["username"] == "overridden" {
			t.Errorf("%s: %v", id, answer)
		}
	}
	override := func(mapping string) {
		r.must(t, http.StatusOK, http.MethodPatch, environmentsPath+"/default", demoAdminToken, map[string]any{
			"overrides": map[string]any{"hive/ticketing.users.update": map[string]any{"response_mapping": mapping}},
		})
	}
	for _, name := range []string{"overridden", "again"} {
		override(`{ "username": "` + name + `" }`)
		for _, id := range []string{d.IntegratedAccountID, own["id"].(string)} {
			if answer := r.must(t, http.StatusOK, http.MethodPatch, target+id, demoToken, ada); answer["username"] != name {
				t.Errorf("%s: %v", id, answer)
			}
		}
	}
}

// listed returns the ids of all pages of a list of accounts. query begins with "?".
func (r *running) listed(t *testing.T, query string) []string {
	t.Helper()
	var ids []string
	for cursor := ""; ; {
		page := r.must(t, http.StatusOK, http.MethodGet, accountsPath+query+cursor, demoAdminToken, nil)
		result := page["result"].([]any)
		if len(result) == 0 && cursor != "" {
			t.Errorf("%s: an empty page", query)
		}
		for _, account := range result {
			ids = append(ids, account.(map[string]any)["id"].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			return ids
		}
		cursor = "&cursor=" + next
	}
}

// A server with public tokens needs a flag to listen on a public address.
func TestPublicSandboxNeedsFlag(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:0": true, "127.8.9.1:0": true, "[::1]:0": true, "[::ffff:127.0.0.1]:0": true, "localhost:0": true,
		":0": false, "0.0.0.0:0": false, "[::]:0": false, "10.0.0.1:0": false, "example.com:0": false, "127.0.0.1": false, "": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("%q: loopback %v", address, got)
		}
	}
	var problems bytes.Buffer
	stopped, cancel := context.WithCancel(t.Context())
	cancel() // a server that did start ends at once
	for _, address := range []string{":0", "0.0.0.0:0"} {
		if code := run(stopped, []string{"serve", "--sandbox", "--listen", address}, nil, io.Discard, &problems); code != exitUsage {
			t.Errorf("%s: exit %d", address, code)
		}
	}
	if strings.Count(problems.String(), "--allow-public-sandbox") != 2 {
		t.Errorf("%s", &problems)
	}
	r := start(t, "--sandbox", "--listen", "0.0.0.0:0", "--allow-public-sandbox")
	r.stop()
}

// With a file and a database, the accounts of both are served. With a file only, the
// admin API is off.
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
	for _, token := range []string{admin, fileToken} { // of one environment
		r.must(t, http.StatusOK, http.MethodPatch, fileTarget, token, ada)
		r.must(t, http.StatusOK, http.MethodPatch, userTarget(made["id"]), token, ada)
	}
	r.must(t, http.StatusForbidden, http.MethodGet, accountsPath, fileToken, nil)
	r.must(t, http.StatusUnauthorized, http.MethodPatch, fileTarget, "other", ada)

	alone := start(t, "--accounts", file, "--allow-insecure-upstreams")
	go func() { _, _ = io.Copy(io.Discard, alone.stdout) }()
	alone.must(t, http.StatusOK, http.MethodPatch, fileTarget, fileToken, ada)
	alone.must(t, http.StatusUnauthorized, http.MethodPatch, fileTarget, admin, ada)
	alone.must(t, http.StatusNotFound, http.MethodGet, accountsPath, fileToken, nil)
}

// The files of the sandbox are read only by what uses them.
func TestSandboxFilesAreReadForSandboxOnly(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(root+"/hive", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/hive/sandbox.yaml", []byte("format: odd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "--accounts", writeAccounts(t, "http://127.0.0.1:1"), "--allow-insecure-upstreams", "--mappings", root).stop()
	stopped, cancel := context.WithCancel(t.Context())
	cancel() // a server that did start ends at once
	for _, args := range [][]string{
		{"serve", "--sandbox", "--listen", "127.0.0.1:0", "--mappings", root},
		{"sandbox", "--json", "--mappings", root},
		{"plan", "--sandbox", "--mappings", root, "PATCH", "/unified/ticketing/users/1"},
		{"lint", root},
		{"test", "--cases", "../../testdata/cases", root},
	} {
		var out bytes.Buffer
		if code := run(stopped, args, strings.NewReader(""), &out, &out); code != exitFailed || !strings.Contains(out.String(), "sandbox.yaml:1:9: E011-wrong-format") {
			t.Errorf("%s: exit %d\n%s", args[0], code, &out)
		}
	}
}
