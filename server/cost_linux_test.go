package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// processorTime returns what f takes of this thread's processor time, the less of two runs.
func processorTime(t *testing.T, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var used unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
			t.Fatal(err)
		}
		return time.Duration(used.Nano())
	}
	least := time.Duration(1<<63 - 1)
	for range 2 {
		began := now()
		f()
		least = min(least, now()-began)
	}
	return least
}

// Eight times the input takes about eight times the processor time: 64 times would be quadratic.
func TestHostileInputTakesLinearTime(t *testing.T) {
	const grows, most, noise = 8, 40, 2 * time.Millisecond
	type input struct {
		size            int // of the smaller one
		request, answer func(size int) string
	}
	repeated := func(before, item, after string) func(int) string {
		return func(size int) string { return before + strings.Repeat(item, size/len(item)) + after }
	}
	plainBody := func(int) string { return `{"first_name":"Ada"}` }
	inputs := map[string]input{
		"long numbers":          {100 << 10, repeated(`{"custom_fields":{"a":`, `9`, `}}`), nil},
		"many numbers":          {100 << 10, repeated(`{"custom_fields":{"a":[`, `1234567890123456789012345,`, `1]}}`), nil},
		"escapes":               {100 << 10, repeated(`{"first_name":"`, `\u00e4\n`, `"}`), nil},
		"lone surrogates":       {100 << 10, repeated(`{"first_name":"`, `\ud800`, `"}`), nil},
		"deep nesting":          {100 << 10, repeated(`{"custom_fields":{"a":[`, strings.Repeat("[", 60)+strings.Repeat("]", 60)+",", `1]}}`), nil},
		"answer of objects":     {256 << 10, plainBody, repeated(`{"id":"u1","a":[`, `{"b":1},`, `1]}`)},
		"answer of text":        {1 << 20, plainBody, repeated(`{"id":"u1","fullName":"`, `a b `, `"}`)},
		"answer of escapes":     {1 << 20, plainBody, repeated(`{"id":"u1","fullName":"`, `\u00e4`, `"}`)},
		"answer with bad UTF-8": {256 << 10, plainBody, repeated(`{"id":"u1","fullName":"`, "\xff", `"}`)},
		"answer of spaces":      {1 << 20, plainBody, repeated(`{"id":"u1",`, " ", `"a":1}`)},
		"answer of one member":  {1 << 20, plainBody, repeated(`{"id":"u1","`, "n", `":1}`)},
	}
	for name, body := range maps.All(hostile()) {
		inputs[name] = input{100 << 10, body, nil}
	}
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) {
			var took [2]time.Duration
			for i, size := range []int{in.size, in.size * grows} {
				answer := hiveUser
				if in.answer != nil {
					answer = in.answer(size)
				}
				s, body := newServer(t, answers(200, answer)), in.request(size)
				took[i] = processorTime(t, func() {
					if w := ask(s, http.MethodPatch, users+hiveID, body); w.Code >= 500 && w.Code != 502 {
						t.Fatalf("status %d", w.Code)
					}
				})
			}
			if took[1] > most*max(took[0], noise) {
				t.Errorf("%v for an input, %v for %d times as much", took[0], took[1], grows)
			}
		})
	}
	t.Run("query", func(t *testing.T) {
		s := newServer(t, answers(200, hiveUser))
		var took [2]time.Duration
		for i, pairs := range []int{120, 120 * grows} {
			var b strings.Builder
			for n := range pairs {
				fmt.Fprintf(&b, "&a[%d][]=", n%20)
			}
			took[i] = processorTime(t, func() {
				if w := ask(s, http.MethodPatch, users+hiveID+b.String(), `{"first_name":"Ada"}`); w.Code != 200 {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		if took[1] > most*max(took[0], noise) {
			t.Errorf("%v for a query, %v for %d times as much", took[0], took[1], grows)
		}
	})
}
