package engine

import (
	"context"
	"slices"
	"time"

	"portolan/jsonata"
)

// Engine carries out plans and endpoints. It is immutable and safe for concurrent use.
type Engine struct {
	doer    Doer
	now     func() time.Time
	timeout time.Duration
}

// Option changes a default of New.
type Option func(*Engine)

// WithTimeout bounds one provider call, over all its attempts. Default 25 s: many clients give up after 30 s.
func WithTimeout(d time.Duration) Option { return func(e *Engine) { e.timeout = d } }

// New builds an engine that calls providers through doer. now is the clock for durations and
// for rate limit resets that are given as epochs.
func New(doer Doer, now func() time.Time, opts ...Option) *Engine {
	e := &Engine{doer: doer, now: now, timeout: 25 * time.Second}
	for _, o := range opts {
		o(e)
	}
	return e
}

// Now returns the time by the clock of the engine.
func (e *Engine) Now() time.Time { return e.now() }

// Mode is how much of a method is carried out.
type Mode int

// The modes of Engine.Do.
const (
	Full     Mode = iota // every step, and the record
	MainOnly             // no after step and no record: the main call's answer is the result
)

// Result is what a method did until it ended or failed.
type Result struct {
	Main    *StepResult  // the main call; nil if it was not reached
	Output  *Output      // nil in the mode without one, and on error
	Steps   []StepResult // every provider call, in order
	Partial []string     // names of after steps that failed: the write is done, the record is less complete
	Rate    RateLimit    // of the last answer that has it
}

// Waited returns the time spent waiting for the provider, over all calls.
func (r *Result) Waited() time.Duration {
	var sum time.Duration
	for i := range r.Steps {
		sum += r.Steps[i].Waited
	}
	return sum
}

// Calls counts the provider calls that were made.
func (r *Result) Calls() int {
	n := 0
	for i := range r.Steps {
		if r.Steps[i].Reply != nil || r.Steps[i].Err != nil {
			n++
		}
	}
	return n
}

// Failed returns the last provider call that failed and was not made again; nil if none did.
// A repeated call follows the one that it repeats.
func (r *Result) Failed() *StepResult {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		again := i+1 < len(r.Steps) && r.Steps[i+1].Name == r.Steps[i].Name
		if r.Steps[i].Err != nil && !again {
			return &r.Steps[i]
		}
	}
	return nil
}

// StepResult is one provider call.
type StepResult struct {
	Name    string
	Call    *Call    // nil if it could not be built; if planned, also if it depends on an answer or is not made
	Depends []string // names of before steps whose answers a planned call needs
	// Attempts counts how often the call was sent. It is sent again if its connection broke.
	Attempts int
	Reply    *Reply        // nil if there is no answer
	Waited   time.Duration // over all attempts
	Err      error
}

// Status returns the answer's status; 0 if there is none.
func (s *StepResult) Status() int {
	if s.Reply == nil {
		return 0
	}
	return s.Reply.Status
}

// Do carries out plan for req. The Result is never nil. The error is an *Error, or that of
// the request's Renewer. After the main call succeeded, only a failing mapping causes one.
func (e *Engine) Do(ctx context.Context, plan *Plan, req *Request, mode Mode) (*Result, error) {
	ctx = jsonata.WithTenant(ctx, jsonata.Tenant{Name: req.Environment})
	result := &Result{}
	sc, err := plan.scope(req)
	if err != nil {
		return result, err
	}
	answers := Answers{Before: map[string]*Answer{}, After: map[string]*Answer{}}
	for _, s := range plan.before {
		done := e.attempt(ctx, plan.pendingStep(ctx, s, req), sc)
		e.addSteps(ctx, result, plan.integration, done)
		if done.err != nil {
			return result, done.err
		}
		if sc = done.scope; done.answer == nil {
			continue
		}
		answers.Before[s.name] = done.answer
		sc = sc.with(map[string]any{"before": answerBodies(answers.Before)})
	}
	done := e.attempt(ctx, plan.pendingMain(ctx, req, mode), sc)
	e.addSteps(ctx, result, plan.integration, done)
	result.Main = done.last()
	if done.err != nil || mode == MainOnly {
		return result, done.err
	}
	answers.Main = done.answer
	sc = done.scope.with(responseBindings(answers))
	for _, s := range plan.after {
		done := e.attempt(ctx, plan.pendingStep(ctx, s, req), sc)
		e.addSteps(ctx, result, plan.integration, done)
		if done.err != nil {
			result.Partial = append(result.Partial, s.name)
			continue
		}
		if sc = done.scope; done.answer == nil {
			continue
		}
		answers.After[s.name] = done.answer
		sc = sc.with(map[string]any{"after": answerBodies(answers.After)})
	}
	result.Output, err = plan.output(ctx, req, answers, sc.bindings)
	return result, err
}

// Call makes the endpoint's call for req, without a mapping. Result.Main has its answer.
// Errors are those of Do.
func (e *Engine) Call(ctx context.Context, endpoint *Endpoint, req *Request) (*Result, error) {
	result := &Result{}
	account, err := endpoint.Integration.account(endpoint.title(), req.Context)
	if err != nil {
		return result, err
	}
	done := e.attempt(ctx, pendingCall{
		title: endpoint.title(), step: &step{Endpoint: endpoint, name: mainStep}, req: req,
		build: func(sc scope) (*Call, error) { return endpoint.build(ctx, req, sc.account) },
	}, scope{account: account})
	e.addSteps(ctx, result, endpoint.Integration, done)
	result.Main = done.last()
	return result, done.err
}

// addSteps adds the calls of done, and their rate limits, to result.
func (e *Engine) addSteps(ctx context.Context, result *Result, in *Integration, done callResult) {
	result.Steps = append(result.Steps, done.steps...)
	for _, s := range done.steps {
		if s.Reply != nil {
			result.Rate = e.rateLimit(ctx, in, s.Reply, result.Rate)
		}
	}
}

// Plan computes what Do would send, without any call. samples are sample answers of before
// steps by name, plain JSON. A call that needs an answer without a sample has Depends, and may
// have no Call. The error is an *Error.
func (e *Engine) Plan(ctx context.Context, plan *Plan, req *Request, samples map[string]any) (*Result, error) {
	ctx = jsonata.WithTenant(ctx, jsonata.Tenant{Name: req.Environment})
	result := &Result{}
	known := map[string]any{}
	for _, s := range plan.before {
		if v, ok := samples[s.name]; ok {
			known[s.name] = v
		}
	}
	sc, err := plan.scope(req)
	if err != nil {
		return result, err
	}
	sc = sc.with(map[string]any{"before": known})
	for _, s := range plan.before {
		planned, err := plan.planCall(plan.pendingStep(ctx, s, req), sc, samples)
		if err != nil {
			return result, err
		}
		result.Steps = append(result.Steps, planned)
	}
	main, err := plan.planCall(plan.pendingMain(ctx, req, Full), sc, samples)
	if err != nil {
		return result, err
	}
	result.Main, result.Steps = &main, append(result.Steps, main)
	for _, s := range plan.after {
		result.Steps = append(result.Steps, StepResult{Name: s.name, Depends: []string{mainStep}})
	}
	return result, nil
}

// planCall builds a call. A call that depends on a missing answer may fail to build, which is
// not an error.
func (p *Plan) planCall(pending pendingCall, sc scope, samples map[string]any) (StepResult, error) {
	out := StepResult{Name: pending.step.name}
	for _, s := range p.before {
		if _, known := samples[s.name]; !known && p.reads(pending.step, s.name) {
			out.Depends = append(out.Depends, s.name)
		}
	}
	call, err := pending.build(sc)
	if err != nil && len(out.Depends) == 0 {
		return out, err
	}
	if err == nil {
		out.Call = call
	}
	return out, nil
}

// reads reports whether an expression of s may read the answer of the before step called name.
func (p *Plan) reads(s *step, name string) bool {
	return slices.ContainsFunc(p.exprs(s), func(x *jsonata.Expr) bool {
		members, whole := x.Uses("before")
		return whole || slices.ContainsFunc(members, func(u jsonata.Use) bool { return u.Name == name })
	})
}
