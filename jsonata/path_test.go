package jsonata

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/plain"
)

func TestPlainPath(t *testing.T) {
	for src, want := range map[string][]string{
		"context.api_key": {"context", "api_key"}, " a /* b */ . `c d` ": {"a", "c d"}, "a": {"a"},
		"": nil, "a.": nil, "a.b[0]": nil, "a.*": nil, "a.$b": nil, "$.a": nil, "a.'b'": nil, "a b": nil, "true": nil, "a and b": nil, "a.b.": nil, "a#$i": nil,
	} {
		if diff := cmp.Diff(want, plainPath(src)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", src, diff)
		}
	}
}

// A path that is read without gnata has the value that gnata returns.
func FuzzReadPath(f *testing.F) {
	for _, input := range []string{
		`{"a":{"b":"x"}}`, `{"a":{"b":1e400}}`, `{"a":{"b":null}}`, `{"a":null}`, `{"a":[{"b":1},{"b":2}]}`, `{"a":{"b":[1]}}`, `{"a":{"b":{"c":true}}}`,
		`{"a":{"b":false}}`, `{"a":"b"}`, `{}`, `{"a":{"b":""}}`, `{"a":{"b":9007199254740993}}`,
	} {
		f.Add(input)
	}
	l := testLanguage(Limits{})
	f.Fuzz(func(t *testing.T, input string) {
		object, err := plain.DecodeObject([]byte(input), plain.Options{})
		if err != nil {
			return
		}
		for _, src := range []string{"a", "a.b", "a.b.c"} {
			fast, err := l.Compile(src)
			if err != nil {
				t.Fatal(err)
			}
			slow := *fast
			slow.path = nil
			want, wantPresent, wantErr := slow.Eval(t.Context(), object)
			got, present, err := fast.Eval(t.Context(), object)
			if diff := cmp.Diff(want, got); diff != "" || present != wantPresent || (err != nil) != (wantErr != nil) {
				t.Errorf("%s over %s: %v %v, want %v %v\n%s", src, input, present, err, wantPresent, wantErr, diff)
			}
		}
	})
}

// An overrun is seen by the clock alone, without a timer.
func TestDeadlineByClock(t *testing.T) {
	clock := &ticking{}
	l := NewLanguage(clock.now, nil, Limits{EvalTimeout: 50, Clock: clock.now})
	x, err := l.Compile(`$sum([1..1000].($ * 2))`)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Eval(t.Context(), nil); err == nil || !Costly(err) || err.Error() != ErrOverrun.Error() {
		t.Errorf("got %v, want an overrun", err)
	}
}

// ticking is a clock on which each look takes a nanosecond.
type ticking struct{ at time.Time }

func (c *ticking) now() time.Time {
	c.at = c.at.Add(1)
	return c.at
}
