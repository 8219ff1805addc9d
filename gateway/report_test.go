package gateway

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/engine"
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
		r := &Report{Result: &engine.Result{Steps: tt.steps}, secrets: func() []string { return []string{"canary-host"} }}
		if diff := cmp.Diff(tt.want, r.Failed()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
	if r := new(Report); r.Failed() != nil {
		t.Error("a call that was not begun has failed")
	}
}
