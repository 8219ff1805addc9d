package server_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// hostile returns bodies of about size bytes with as many mistakes as possible.
func hostile() map[string]func(size int) string {
	many := func(before, item, after string) func(int) string {
		return func(size int) string {
			return before + strings.TrimSuffix(strings.Repeat(item+",", max(size/(len(item)+1), 1)), ",") + after
		}
	}
	return map[string]func(size int) string{
		"entries of a wrong type": many(`{"emails":[`, `1`, `]}`),
		"null entries":            many(`{"emails":[`, `null`, `]}`),
		"null members":            many(`{"emails":[`, `{"email":null}`, `]}`),
		"missing members":         many(`{"emails":[`, `{}`, `]}`),
		"unknown members inside":  many(`{"emails":[`, `{"email":"a","e_mail":"b","emial":"c"}`, `]}`),
		"unsupported members":     many(`{"roles":[`, `{"id":"a","name":"b"}`, `]}`),
		"unknown fields": func(size int) string {
			var b strings.Builder
			for i := 0; b.Len() < size; i++ {
				fmt.Fprintf(&b, `,"first_nam%d":0`, i)
			}
			return "{" + b.String()[1:] + "}"
		},
		"one long name": func(size int) string { return `{"` + strings.Repeat("n", size) + `":1}` },
		"one long name twice": func(size int) string {
			n := `"` + strings.Repeat("n", size/2) + `":1`
			return "{" + n + "," + n + "}"
		},
		"entries under a long name": func(size int) string {
			return many(`{"emails":{"`+strings.Repeat("n", size/2)+`":[`, `1`, `]}}`)(size / 2)
		},
		"entries under deep nesting": many(`{"emails":`+strings.Repeat("[", 60), `1`, strings.Repeat("]", 60)+`}`),
		"a long text":                func(size int) string { return `{"is_active":"` + strings.Repeat("n", size) + `"}` },
	}
}

// allocated returns the bytes that f allocates on the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A body of twice the size costs about twice as much, at most 250 times its size in total, and the
// answer stays short.
func TestHostileBodiesCostLinearly(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	for name, body := range hostile() {
		for _, target := range []string{users + planhat, "/unified/ticketing/users/u1"} {
			t.Run(name+" "+target, func(t *testing.T) {
				const size = 150 << 10
				var cost [2]uint64
				for i := range cost {
					text := body(size << i)
					cost[i] = allocated(func() {
						w := ask(s, http.MethodPatch, target, text, "Prefer", "handling=strict")
						if most := 3*len(text) + 64<<10; w.Code != 400 || w.Body.Len() > most {
							t.Errorf("%d, answer of %d bytes to %d", w.Code, w.Body.Len(), len(text))
						}
					})
				}
				if most := uint64(250 * 2 * size); cost[1] > most {
					t.Errorf("%d bytes for a body of %d, want at most %d", cost[1], 2*size, most)
				}
				if cost[1] > 3*cost[0] {
					t.Errorf("%d bytes for a body, %d for twice as much", cost[0], cost[1])
				}
			})
		}
	}
}

// Up to 100 failures are listed, and up to 1,000 are counted.
func TestFailuresStopBeingBuilt(t *testing.T) {
	s := newServer(t, answers(200, hiveUser))
	for name, body := range hostile() {
		size := 60 << 10
		if name == "entries of a wrong type" {
			size = 700 << 10 // the size of a body that took 24 s before
		}
		w := ask(s, http.MethodPatch, users+planhat, body(size), "Prefer", "handling=strict")
		e := envelopeOf(t, w, 400)
		details, _ := e["details"].(map[string]any)
		failures := len(failureList(t, w))
		truncated, _ := details["truncated"].(float64)
		single := strings.HasPrefix(name, "one ") || strings.HasPrefix(name, "a ") || strings.HasSuffix(name, "long name") || strings.HasSuffix(name, "deep nesting")
		if !single && (failures != 100 || truncated != 900) || single && (failures > 4 || truncated != 0) {
			t.Errorf("%s: %d failures, truncated %v", name, failures, truncated)
		}
		if message, _ := e["message"].(string); len(message) > 1000 {
			t.Errorf("%s: message of %d bytes", name, len(message))
		}
		insights, _ := e["truto_error_insight"].(map[string]any)
		missing, _ := insights["missing_required_body_fields"].(map[string]any)
		names, _ := missing["value"].([]any)
		if want := map[bool]int{true: 100}[name == "missing members"]; want != len(names) {
			t.Errorf("%s: %d names in the insight, want %d", name, len(names), want)
		}
	}
}
