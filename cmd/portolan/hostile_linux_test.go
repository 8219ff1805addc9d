//go:build !race

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What hostile answers and overrides may cost.
const (
	maxAnswerTime   = 2 * time.Second // processor time of one call
	maxOverrideTime = 6 * time.Second // processor time of one call with an override, in all processes
	maxServerMemory = 900 << 20       // bytes of the server, at most, ever
	maxWorkerMemory = 900 << 20       // bytes of each worker: what it may map, and what it starts with
	ticksPerSecond  = 100             // of the times in /proc
)

// hostileAnswers are a provider's answers by the name that they are asked for.
func hostileAnswers() map[string]string {
	objects := func(n int, object string) string {
		return `{"id":"u1","list":[` + strings.Repeat(object+",", n-1) + object + `]}`
	}
	return map[string]string{
		"Ada":               `{"id":"u1","name":"Ada"}`,
		"many objects":      objects(1_300_000, `{"b":1}`),
		"objects":           objects(333_000, `{"b":{"c":1}}`),
		"values":            objects(999_000, `1`),
		"nulls":             objects(999_000, `null`),
		"nested":            strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"deep":              strings.Repeat("[", 10<<20),
		"a large text":      `{"id":"u1","name":"` + strings.Repeat("\\u00e4", 1_700_000) + `"}`,
		"deep inside lists": objects(9_000, strings.Repeat("[", 100)+strings.Repeat("]", 100)),
	}
}

// measured is a server in a process of its own, whose costs are measured.
type measured struct{ *running }

// processes returns the ids of the server and of its workers.
func (m measured) processes(t *testing.T) []int {
	t.Helper()
	out := []int{m.pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if fields := statOf(pid); len(fields) > 1 && fields[1] == strconv.Itoa(m.pid) {
			out = append(out, pid)
		}
	}
	return out
}

// statOf returns the fields of a process that follow its name, from its state on; nil if it has ended.
func statOf(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.Fields(rest)
}

// time returns the processor time of the server, of its workers, and of those that have ended.
func (m measured) time(t *testing.T) time.Duration {
	t.Helper()
	ticks := 0
	for _, pid := range m.processes(t) {
		fields := statOf(pid)
		for i := 11; i < 15 && i < len(fields); i++ { // user, system, and those of children that have ended
			n, _ := strconv.Atoi(fields[i])
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// memory returns the largest memory that the server had, and that one of its present workers had.
func (m measured) memory(t *testing.T) (server, worker int) {
	t.Helper()
	for i, pid := range m.processes(t) {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		_, rest, _ := strings.Cut(string(status), "VmHWM:")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, _ := strconv.Atoi(number)
		if i == 0 {
			server = kib << 10
		} else {
			worker = max(worker, kib<<10)
		}
	}
	return server, worker
}

// Whatever a provider answers and whatever an override computes, a call takes limited processor time
// and memory, and the next call is served.
func TestHostileCosts(t *testing.T) {
	t.Setenv(masterKeysVariable, testKeys)
	answers := hostileAnswers()
	store := []string{"--data", t.TempDir(), "--mappings", exampleFolder(t, answering(t, answers))}
	admin := command(t, append([]string{"tokens", "create", "--name", "ops", "--role", "admin"}, store...)...)
	m := measured{launch(t, append(store, "--allow-insecure-upstreams")...)}
	account := func(override map[string]any) any {
		t.Helper()
		body := map[string]any{"integration": "example", "context": map[string]any{"api_key": "key-example"}}
		if override != nil {
			body["overrides"] = map[string]any{"ticketing.users.update": override}
		}
		return m.must(t, http.StatusCreated, http.MethodPost, accountsPath, admin, body)["id"]
	}
	plain := account(nil)
	call := func(id any, name string) (int, map[string]any) {
		res, answer := m.ask(t, http.MethodPatch, userTarget(id), admin, map[string]any{"first_name": name})
		return res.StatusCode, answer
	}
	costs := func(most time.Duration, what string, do func()) {
		t.Helper()
		before, began := m.time(t), time.Now()
		do()
		server, worker := m.memory(t)
		took := m.time(t) - before
		t.Logf("%-60s %v of processor time, %v, server %d MiB, worker %d MiB", what, took, time.Since(began), server>>20, worker>>20)
		if took > most {
			t.Errorf("%s takes %v of processor time", what, took)
		}
		if server > maxServerMemory || worker > maxWorkerMemory {
			t.Errorf("%s: the server takes %d MiB, a worker %d MiB", what, server>>20, worker>>20)
		}
	}

	unusable := map[string]string{"many objects": "too many values", "nested": "nested too deep", "deep": "nested too deep"}
	names := make([]string, 0, len(answers))
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		costs(maxAnswerTime, "the answer "+name, func() {
			want := map[bool]int{true: 502, false: 200}[unusable[name] != ""]
			if status, answer := call(plain, name); status != want || !strings.Contains(fmt.Sprint(answer["message"]), unusable[name]) {
				t.Errorf("%s: %d %.300v", name, status, answer["message"])
			}
		})
	}
	for name, override := range map[string]map[string]any{
		"counting":         {"response_mapping": `{ "custom": { "n": $count(response.list) } }`},
		"copying":          {"response_mapping": `{ "custom": { "all": response.list } }`},
		"sharing":          {"response_mapping": `{ "custom": { "all": $string($reduce([1..$count(response.list) > 9 ? 40 : 1], function($a, $i) { { "x": $a, "y": $a } }, 1)) } }`},
		"searching":        {"response_mapping": `{ "custom": { "found": $count($match(response.name & $string(response.list), /(a{1,100}){1,10}|[^é]{1,1000}\p{L}/)) } }`},
		"asking for loops": {"request_body_mapping": `body.first_name = "objects" ? ( $f := function($x) { $f($x + 1) }; $f(1) ) : {}`},
	} {
		id := account(override)
		for _, answer := range []string{"objects", "a large text"} {
			costs(maxOverrideTime, name+" the answer "+answer, func() {
				if status, answer := call(id, answer); status != 200 && status != 500 && status != 503 {
					t.Errorf("%s: %d %.300v", name, status, answer)
				}
			})
		}
	}
	for i := range 4 {
		costs(maxOverrideTime, "saving and calling large regular expressions", func() {
			id := account(map[string]any{"response_mapping": fmt.Sprintf(`{ "custom": { "found": $contains(response.name, /%d(a{1,100}){1,10}/) } }`, i)})
			if status, answer := call(id, "Ada"); status != 200 {
				t.Errorf("%d %.300v", status, answer)
			}
		})
	}
	const together = 12
	before := m.time(t)
	var wait sync.WaitGroup
	for i := range together {
		wait.Go(func() {
			name := []string{"objects", "many objects"}[i%2]
			if status, answer := call(plain, name); status != []int{200, 502}[i%2] {
				t.Errorf("together with others, %s: %d %.300v", name, status, answer["message"])
			}
		})
	}
	wait.Wait()
	took := m.time(t) - before
	server, _ := m.memory(t)
	t.Logf("%d together: %v of processor time, server %d MiB", together, took, server>>20)
	if took > together*maxAnswerTime || server > maxServerMemory {
		t.Errorf("%d large answers together take %v of processor time and %d MiB", together, took, server>>20)
	}
	if status, answer := call(plain, "Ada"); status != http.StatusOK || answer["name"] != "Ada" {
		t.Errorf("after all: %d %v", status, answer)
	}
}
