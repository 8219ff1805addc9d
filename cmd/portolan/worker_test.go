package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
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
