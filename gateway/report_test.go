package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/accounts"
	"portolan/engine"
	"portolan/jsonata"
)

// The log of a failed call contains neither a secret nor any text of the provider's.
func TestFailedCall(t *testing.T) {
	lost := &engine.Error{Kind: engine.KindUpstream, Cause: engine.CauseReset, Err: errors.New("connection reset")}
	refused := &engine.Error{Kind: engine.KindProvider, Provider: &engine.Provider{Status: 404, Message: "none"}}
	call := func(shown string) *engine.Call { return &engine.Call{URL: "https://canary-host/x", ShownURL: shown} }
	for _, tt := range []struct {
		name  string
		steps []engine.StepResult
		want  *FailedCall
	}{
		{"no calls", nil, nil},
		{"no failure", []engine.StepResult{{Name: "main", Call: call("https://a.example.com")}}, nil},
		{"no answer", []engine.StepResult{{Name: "find"}, {Name: "main", Call: call("https://a.example.com:8443/x?a=/"), Err: lost}}, &FailedCall{"main", "a.example.com:8443", 0, engine.CauseReset}},
		{"a refusal", []engine.StepResult{{Name: "main", Call: call("https://a.example.com?b@c"), Reply: &engine.Reply{Status: 400}, Err: refused}}, &FailedCall{"main", "a.example.com", 400, ""}},
		{"a call that could not be built", []engine.StepResult{{Name: "find", Err: refused}}, &FailedCall{Step: "find"}},
		{"a masked host", []engine.StepResult{{Name: "main", Call: call("https://***.example.com/x"), Err: lost}}, &FailedCall{"main", "***.example.com", 0, engine.CauseReset}},
		{"a secret host", []engine.StepResult{{Name: "main", Call: call("https://canary-host/x"), Err: lost}}, &FailedCall{"main", "***", 0, engine.CauseReset}},
		{"a user's name", []engine.StepResult{{Name: "main", Call: call("https://me:canary@a.example.com/x@y"), Err: lost}}, &FailedCall{"main", "a.example.com", 0, engine.CauseReset}},
	} {
		r := &Report{Result: &engine.Result{Steps: tt.steps}, secrets: func() *masker { return newMasker(accounts.Account{}, nil, []accounts.Secret{"canary-host"}, nil) }}
		if diff := cmp.Diff(tt.want, r.Failed()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
	if r := new(Report); r.Failed() != nil {
		t.Error("a call that was not begun has failed")
	}
}

// A call whose expressions took too long may be repeated only if nothing has been written.
func TestOverrunBeforeSending(t *testing.T) {
	overrun := &engine.Error{Kind: engine.KindMapping, Op: "op", Err: jsonata.ErrOverrun}
	step := func(method string) *engine.Result {
		return &engine.Result{Steps: []engine.StepResult{{Name: "find", Call: &engine.Call{Method: method}}}}
	}
	for name, tt := range map[string]struct {
		report *Report
		err    error
		want   int
	}{
		"first":             {&Report{unsent: true}, overrun, 503},
		"after a read":      {&Report{unsent: true, Result: step("GET")}, overrun, 503},
		"after a write":     {&Report{unsent: true, Result: step("POST")}, overrun, 500},
		"after the main":    {&Report{Result: step("PATCH")}, overrun, 500},
		"without a call":    {nil, overrun, 500},
		"another failure":   {&Report{unsent: true}, &engine.Error{Kind: engine.KindMapping, Op: "op", Err: jsonata.ErrTooDeep}, 500},
		"the provider late": {&Report{unsent: true}, &engine.Error{Kind: engine.KindTimeout, Op: "op", Err: context.DeadlineExceeded}, 504},
	} {
		p := problemOf(tt.err, tt.report)
		if p.Status != tt.want || (p.RetryAfter == "1") != (tt.want == 503) {
			t.Errorf("%s: %d, Retry-After %q", name, p.Status, p.RetryAfter)
		}
	}
}

// What an authorization is computed from is masked too, and a cut request body is reported.
func TestDebugMasks(t *testing.T) {
	basic := engine.Param{Name: "Authorization", Value: "Basic a2V5LTE6cGFzcy93b3Jk", Secret: true} // key-1:pass/word
	main := engine.StepResult{
		Name:  "main",
		Call:  &engine.Call{URL: "https://x", ShownURL: "https://x", Header: []engine.Param{basic}, Body: []byte("a=" + strings.Repeat("b", maxRawText))},
		Reply: &engine.Reply{Status: 200, Body: []byte(`{"sent":"a2V5LTE6cGFzcy93b3Jk","as":"key-1:pass\/word","form":"key-1%3apass%2fword"}`)},
	}
	r := &Report{Result: &engine.Result{Steps: []engine.StepResult{main}, Main: &main}}
	r.secrets = func() *masker { return newMasker(accounts.Account{}, nil, nil, r.Result.Steps) }
	main.Reply.Header = map[string][]string{"X-Echo": {"Key key-1:pass/word"}, "Set-Cookie": {"a"}, "Set-Cookie2": {"a"}, "Www-Authenticate": {"Basic"}, "Proxy-Authenticate": {"a"}, "Authentication-Info": {"a"}, "Authorization": {"a"}}
	main.Reply.Header["X-Author"] = []string{"Ada"}
	debug := r.Debug()
	if diff := cmp.Diff(map[string]string{"x-echo": "Key ***", "x-author": "Ada"}, debug.ResponseHeaders); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(`{"sent":"***","as":"***","form":"***"}`, fmt.Sprintf("%s", debug.Data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if debug.DataTruncated || !debug.RequestOptions.BodyTruncated {
		t.Errorf("dataTruncated %v, bodyTruncated %v", debug.DataTruncated, debug.RequestOptions.BodyTruncated)
	}
}

// Headers that an integration computes from the provider's show no secret.
func TestHeaderMasks(t *testing.T) {
	r := &Report{Result: &engine.Result{Rate: engine.RateLimit{Limit: "100", Remaining: "secret-key", Reset: "30;w=secret-key"}}}
	r.secrets = func() *masker { return newMasker(accounts.Account{}, nil, []accounts.Secret{"secret-key", "100"}, nil) }
	want := []Header{{"ratelimit-limit", "100"}, {"ratelimit-remaining", "***"}, {"ratelimit-reset", "30;w=***"}}
	if diff := cmp.Diff(want, r.Header()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A long message is cut after its secrets are masked.
func TestMessageMasks(t *testing.T) {
	r := &Report{secrets: func() *masker { return newMasker(accounts.Account{}, nil, []accounts.Secret{"secret-key"}, nil) }}
	failure := &engine.Error{Kind: engine.KindProvider, Provider: &engine.Provider{Status: 400, Message: strings.Repeat("é", 997) + " secret-key"}}
	if got, want := problemOf(failure, r).Message, strings.Repeat("é", 997)+" ***"; got != want {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	failure.Provider.Message = "é" + strings.Repeat("a", 1997) + "é"
	if got, want := problemOf(failure, r).Message, "é"+strings.Repeat("a", 1997)+"…"; got != want {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

// JSON stays JSON, whatever is masked in it.
func TestShownJSON(t *testing.T) {
	m := newMasker(accounts.Account{}, nil, []accounts.Secret{"12345678", "42", `a"b\c/d:,`, "null"}, nil)
	for _, tt := range []struct{ body, want string }{
		{`{"a":12345678,"b":-12345678.5e1,"c":123456789,"d":42,"e":420,"f":null}`, `{"a":"***","b":"-***.5e1","c":"***9","d":"***","e":420,"f":null}`},
		{`{"a\"b\\c\/d:,":[1,2],"x":"42 \u0034\u0032"}`, `{"***":[1,2],"x":"*** ***"}`},
		{` [ "\u0061\u0022b\\c/d:," , true , "" ] `, ` [ "***" , true , "" ] `},
		{`"12345678`, `"***`}, // is not JSON
	} {
		if got, _ := m.shownBody([]byte(tt.body)); fmt.Sprintf("%s", got) != tt.want {
			t.Errorf("%s: %s, want %s", tt.body, got, tt.want)
		}
	}
}

func TestShownReceipts(t *testing.T) {
	all := []engine.Receipt{{Pointer: "/a", Outcome: engine.Applied}, {Pointer: "/remote_data", Outcome: engine.PassedThrough}}
	for range 2000 {
		all = append(all, engine.Receipt{Pointer: "/b", Outcome: engine.Unsupported})
	}
	for _, tt := range []struct {
		report      Report
		shown, more int
		first       engine.Outcome
	}{
		{Report{Receipts: all}, 1000, 1002, engine.Applied},
		{Report{Receipts: all, unsent: true}, 1000, 1000, engine.Unsupported},
		{Report{Receipts: all[:1000]}, 1000, 0, engine.Applied},
	} {
		debug := tt.report.Debug()
		if len(debug.Fields) != tt.shown || debug.FieldsTruncated != tt.more || debug.Fields[0].Outcome != tt.first {
			t.Errorf("%d receipts and %d more, the first %v", len(debug.Fields), debug.FieldsTruncated, debug.Fields[0])
		}
	}
	if debug := (&Report{Receipts: all[:1], unsent: true}).Debug(); debug.Fields == nil || len(debug.Fields) > 0 {
		t.Errorf("%v, want an empty list", debug.Fields)
	}
}
