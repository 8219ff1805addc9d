package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
)

// flaky answers the calls of a method in order: a nil reply is a lost connection.
type flaky struct {
	replies []*engine.Reply
	calls   []string // method and X-Key
}

func (f *flaky) Do(_ context.Context, c *engine.Call) (*engine.Reply, error) {
	i := slices.IndexFunc(c.Header, func(p engine.Param) bool { return p.Name == "X-Key" })
	f.calls = append(f.calls, c.Method+" "+c.Header[i].Value)
	r := f.replies[0]
	f.replies = f.replies[1:]
	if r == nil {
		return nil, &engine.Error{Kind: engine.KindUpstream, Op: c.Name, Lost: true, Err: errors.New("reset")}
	}
	return r, nil
}

// renewals is a Renewer that returns one key after the other.
type renewals []string

func (r *renewals) Renew(context.Context) (engine.Context, error) {
	if len(*r) == 0 {
		return nil, nil
	}
	key := (*r)[0]
	*r = (*r)[1:]
	if key == "" {
		return nil, errRenewal
	}
	return engine.Context{"site": "site", "key": key}, nil
}

var errRenewal = errors.New("the grant is gone")

// A call is made again in two cases only, and then that call alone, not the method.
func TestAttempt(t *testing.T) {
	found, updated, refused := reply(200, `{"number":42}`), reply(200, `{}`), reply(401, `{"message":"bad key"}`)
	record := reply(200, `{"id":1}`)
	for _, c := range []struct {
		name    string
		replies []*engine.Reply
		renewed renewals
		calls   []string
		failed  string // the step that failed for good
	}{
		{"no fault", []*engine.Reply{found, updated, record}, nil, []string{"GET k1", "PUT k1", "GET k1"}, ""},
		{"a lost connection of a repeatable call", []*engine.Reply{found, nil, updated, record}, nil, []string{"GET k1", "PUT k1", "PUT k1", "GET k1"}, ""},
		{"lost twice", []*engine.Reply{found, nil, nil}, nil, []string{"GET k1", "PUT k1", "PUT k1"}, "main"},
		{"a lost connection of a call that is not repeatable", []*engine.Reply{nil}, nil, []string{"GET k1"}, "find"},
		{"refused credentials that cannot be renewed", []*engine.Reply{found, refused}, nil, []string{"GET k1", "PUT k1"}, "main"},
		{
			"refused credentials are renewed, for that call and those after it",
			[]*engine.Reply{found, refused, updated, record},
			renewals{"k2"},
			[]string{"GET k1", "PUT k1", "PUT k2", "GET k2"},
			"",
		},
		{"refused in the first step", []*engine.Reply{refused, found, updated, record}, renewals{"k2"}, []string{"GET k1", "GET k2", "PUT k2", "GET k2"}, ""},
		{"refused again", []*engine.Reply{found, refused, refused}, renewals{"k2", "k3"}, []string{"GET k1", "PUT k1", "PUT k2"}, "main"},
		{"a renewal that fails", []*engine.Reply{found, refused}, renewals{""}, []string{"GET k1", "PUT k1"}, "main"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doer := &flaky{replies: c.replies}
			req := &engine.Request{
				ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "k1"}, Renewer: &c.renewed,
			}
			result, err := engine.New(doer, time.Now).Do(t.Context(), stepsPlan(t), req, engine.Full)
			failed := ""
			if s := result.Failed(); s != nil {
				failed = s.Name
			}
			if (err != nil) != (c.failed != "") || failed != c.failed {
				t.Errorf("failed is %q, want %q: %v", failed, c.failed, err)
			}
			if diff := cmp.Diff(c.calls, doer.calls); diff != "" {
				t.Errorf("calls differ (-want +got):\n%s", diff)
			}
			sent := 0
			for _, s := range result.Steps {
				sent += s.Attempts
			}
			if err == nil && sent != len(doer.calls) {
				t.Errorf("%d attempts reported, %d calls made", sent, len(doer.calls))
			}
		})
	}
}

func TestRenewalsErrorIsTheCalls(t *testing.T) {
	doer := &flaky{replies: []*engine.Reply{reply(401, `{}`)}}
	req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "k1"}, Renewer: &renewals{""}}
	if _, err := engine.New(doer, time.Now).Do(t.Context(), stepsPlan(t), req, engine.Full); !errors.Is(err, errRenewal) {
		t.Errorf("got %v, want the renewal's error", err)
	}
}

// hurried notes the deadline of every call.
type hurried struct {
	flaky
	deadlines []time.Time
}

func (h *hurried) Do(ctx context.Context, c *engine.Call) (*engine.Reply, error) {
	deadline, _ := ctx.Deadline()
	h.deadlines = append(h.deadlines, deadline)
	return h.flaky.Do(ctx, c)
}

// A call's deadline spans its attempts. Each call of a method has one of its own.
func TestDeadline(t *testing.T) {
	doer := &hurried{flaky: flaky{replies: []*engine.Reply{reply(200, `{"number":42}`), nil, reply(200, `{}`), reply(200, `{"id":1}`)}}}
	req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "k1"}}
	began := time.Now()
	if _, err := engine.New(doer, time.Now, engine.WithTimeout(time.Hour)).Do(t.Context(), stepsPlan(t), req, engine.Full); err != nil {
		t.Fatal(err)
	}
	if d := doer.deadlines; len(d) != 4 || d[0].Before(began.Add(time.Hour)) || !d[1].After(d[0]) || !d[2].Equal(d[1]) || !d[3].After(d[2]) {
		t.Errorf("deadlines %v of calls that began after %v", d, began)
	}
}

// leaving is a caller who goes away during a PUT.
type leaving struct {
	flaky
	leave context.CancelFunc
}

func (l *leaving) Do(ctx context.Context, c *engine.Call) (*engine.Reply, error) {
	if c.Method == "PUT" {
		l.leave()
	}
	return l.flaky.Do(ctx, c)
}

func TestNothingIsRepeatedForACallerWhoLeft(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	doer := &leaving{flaky{replies: []*engine.Reply{reply(200, `{"number":42}`), nil, reply(200, `{}`), reply(200, `{"id":1}`)}}, cancel}
	req := &engine.Request{ID: "u1", Body: map[string]any{"first_name": "Ada"}, Context: engine.Context{"site": "site", "key": "k1"}}
	_, err := engine.New(doer, time.Now).Do(ctx, stepsPlan(t), req, engine.Full)
	if diff := cmp.Diff([]string{"GET k1", "PUT k1"}, doer.calls); diff != "" || err == nil {
		t.Errorf("got %v, calls differ (-want +got):\n%s", err, diff)
	}
}
