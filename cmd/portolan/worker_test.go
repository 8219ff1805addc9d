package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// killers are small expressions that use so much time or memory in one step that the process cannot
// stop them.
func killers() map[string]string {
	const grown = `( $s := $reduce([1..16], function($t, $i) { $t & $t }, "0123456789");
		$a := $reduce([1..40], function($v, $i) { { "x": $v, "y": $v } }, 1); { "name": `
	return map[string]string{
		"replace": grown + `$replace($s, "0", $s) } )`,
		"equal":   grown + `$a = $a } )`,
		"loop":    `( $f := function($x) { $f($x + 1) }; $f(1) )`,
	}
}

// fromSystem returns the memory that this process has from the system, in bytes.
func fromSystem() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}

// saveAccount creates an account of planhat with an override of users.update, and returns the
// answer.
func (r *running) saveAccount(t *testing.T, override map[string]any) (int, map[string]any) {
	t.Helper()
	body := map[string]any{"integration": "planhat", "context": map[string]any{}}
	for _, d := range demo(t) {
		if d.Integration == "planhat" {
			body["context"] = d.Credentials
		}
	}
	if override != nil {
		body["overrides"] = map[string]any{"ticketing.users.update": override}
	}
	res, answer := r.ask(t, http.MethodPost, accountsPath, demoAdminToken, body)
	return res.StatusCode, answer
}

// The settings of limits are those of the server and of its workers.
func TestServeLimits(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	far := answering(t, map[string]string{
		"many": `{"id":"u1","list":[` + strings.Repeat("1,", 100) + `1]}`, "few": `{"id":"u1","n":10}`, "more": `{"id":"u1","n":100}`,
	})
	store := []string{"--data", t.TempDir(), "--mappings", exampleFolder(t, far)}
	admin := command(t, append([]string{"tokens", "create", "--name", "ops", "--role", "admin"}, store...)...)
	r := launch(t, append(store, "--allow-insecure-upstreams", "--eval-timeout", "1s", "--max-values", "100", "--override-queue", "0")...)
	made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, map[string]any{
		"integration": "example", "context": map[string]any{"api_key": "key-example"},
		"overrides": map[string]any{"ticketing.users.update": map[string]any{
			"request_body_mapping": `body.first_name = "loop" ? ( $f := function($x) { $f($x + 1) }; $f(1) ) : {}`,
			"response_mapping":     `{ "custom": { "list": [1..response.n] } }`,
		}},
	})
	for name, want := range map[string]int{"few": 200, "more": 500, "many": 502} {
		if res, answer := r.ask(t, http.MethodPatch, userTarget(made["id"]), admin, map[string]any{"first_name": name}); res.StatusCode != want {
			t.Errorf("%s: %d %v", name, res.StatusCode, answer)
		}
	}
	var wait sync.WaitGroup
	var refused atomic.Int64
	for range runtime.NumCPU() + 3 {
		wait.Go(func() {
			res, _ := r.ask(t, http.MethodPatch, userTarget(made["id"]), admin, map[string]any{"first_name": "loop"})
			if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "1" {
				refused.Add(1)
			}
		})
	}
	if wait.Wait(); refused.Load() == 0 {
		t.Error("no call is refused although none may wait")
	}
}

// The costly overrides of one environment do not make another one wait for all of them.
func TestServeIsFair(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	far := answering(t, map[string]string{"Ada": `{"id":"u1","name":"Ada"}`})
	store := []string{"--data", t.TempDir(), "--mappings", exampleFolder(t, far)}
	command(t, append([]string{"environments", "create", "calm"}, store...)...)
	tokens := map[string]string{}
	for _, environment := range []string{"default", "calm"} {
		tokens[environment] = command(t, append([]string{"tokens", "create", "--name", "ops", "--role", "admin", "--environment", environment}, store...)...)
	}
	r := launch(t, append(store, "--allow-insecure-upstreams", "--eval-timeout", "200ms", "--override-queue", "1000")...)
	account := func(environment, body string) string {
		made := r.must(t, http.StatusCreated, http.MethodPost, accountsPath, tokens[environment], map[string]any{
			"integration": "example", "context": map[string]any{"api_key": "key-example"},
			"overrides": map[string]any{"ticketing.users.update": map[string]any{"request_body_mapping": body}},
		})
		return userTarget(made["id"])
	}
	costly := account("default", `body.first_name = "loop" ? ( $f := function($x) { $f($x + 1) }; $f(1) ) : {}`)
	modest := account("calm", `{ "name": body.first_name }`)
	many := 8 * runtime.NumCPU()
	var wait sync.WaitGroup
	var sent, done atomic.Int64
	for range many {
		wait.Go(func() {
			sent.Add(1)
			r.ask(t, http.MethodPatch, costly, tokens["default"], map[string]any{"first_name": "loop"})
			done.Add(1)
		})
	}
	for int(sent.Load()) < many || done.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	before := done.Load()
	r.must(t, http.StatusOK, http.MethodPatch, modest, tokens["calm"], ada)
	if served := int(done.Load() - before); served > 3*runtime.NumCPU() {
		t.Errorf("a call of another environment waited for %d of %d costly ones", served, many)
	}
	wait.Wait()
}

// A killer is refused when it is saved. One that depends on the data of a call fails that call only.
func TestServeOutlivesKillers(t *testing.T) {
	before := fromSystem()
	r := start(t, "--sandbox", "--eval-timeout", "400ms")
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	sample := ""
	for _, d := range demo(t) {
		if d.Integration == "planhat" {
			sample = d.SampleID
		}
	}
	call := func(account any, body map[string]any) (int, map[string]any) {
		res, answer := r.ask(t, http.MethodPatch, fmt.Sprintf("/unified/ticketing/users/%s?integrated_account_id=%v", sample, account), demoToken, body)
		return res.StatusCode, answer
	}
	for name, expression := range killers() {
		for _, key := range []string{"response_mapping", "request_body_mapping"} {
			if key == "request_body_mapping" && name != "replace" {
				continue // it fails in the same way
			}
			status, answer := r.saveAccount(t, map[string]any{key: expression})
			if text := fmt.Sprint(answer); status != http.StatusBadRequest || !strings.Contains(text, "E047-costly-override") {
				t.Errorf("%s in %s is answered %d %.500s", name, key, status, text)
			}
		}
	}
	_, other := r.saveAccount(t, map[string]any{"response_mapping": `{ "nickname": "other" }`})
	for name, expression := range map[string]string{
		"replace": `{ "custom": { "x": $replace(body.custom_fields.x, "0", body.custom_fields.x) } }`,
		"equal": `( $a := $reduce([1..$length(body.custom_fields.x) > 1000 ? 40 : 1], function($v, $i) { { "x": $v, "y": $v } }, 1);
			{ "custom": { "x": $a = $a } } )`,
	} {
		status, made := r.saveAccount(t, map[string]any{"request_body_mapping": expression})
		if status != http.StatusCreated {
			t.Fatalf("%s is not saved: %d %v", name, status, made)
		}
		var wait sync.WaitGroup
		wait.Go(func() {
			status, answer := call(made["id"], map[string]any{"custom_fields": map[string]any{"x": strings.Repeat("0", 640<<10)}})
			text, _ := json.Marshal(answer)
			if want := map[string]int{"replace": 500, "equal": 503}[name]; status != want || !strings.Contains(string(text), `"col":1,"file":"account overrides/request_body_mapping","line":1}`) {
				t.Errorf("%s answers %d %.500s", name, status, text)
			}
		})
		for range 5 {
			wait.Go(func() {
				if status, answer := call(other["id"], ada); status != http.StatusOK || answer["nickname"] != "other" {
					t.Errorf("beside %s another's call is answered %d %v", name, status, answer)
				}
			})
		}
		wait.Wait()
	}
	if grown := int64(fromSystem()) - int64(before); grown > 400<<20 {
		t.Errorf("this process grew by %d MiB", grown>>20)
	}
	r.stop()
	if code := <-r.exit; code != exitOK {
		t.Errorf("exit %d\n%s", code, r.stderr)
	}
}
