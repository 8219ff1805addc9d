package engine

import (
	"context"
	"slices"
	"time"

	"portolan/jsonata"
)

// Engine carries out plans and endpoints: build, call, read, map, with the steps around them. It is immutable and safe for concurrent use.
type Engine struct {
	settings
	doer Doer
	now  func() time.Time
}

type settings struct {
	timeout time.Duration
}

// Option changes a default of New.
type Option func(*settings)

// WithTimeout bounds one provider call, over all its attempts. Default 30 s.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// New builds an engine that calls providers through doer. now is the clock for how long a
// call took, and for how far off an epoch-valued rate limit reset is.
func New(doer Doer, now func() time.Time, opts ...Option) *Engine {
	e := &Engine{settings: settings{timeout: 30 * time.Second}, doer: doer, now: now}
	for _, o := range opts {
		o(&e.settings)
	}
	return e
}

// Mode says how much of a method is carried out.
type Mode int

// The modes of Engine.Do.
const (
	Full     Mode = iota // every step, and the record
	MainOnly             // no after step and no record: the main call's answer is the result
)

// Result is what a method did, as far as it came.
type Result struct {
	Main    *StepResult  // the main call; nil if it was not reached
	Output  *Output      // nil in the mode without one, and on error
	Steps   []StepResult // every provider call, in order
	Partial []string     // names of after steps that failed: the write is done, the record less complete
	Rate    RateLimit    // as the last answer that has it
}

// Waited is the time spent waiting for the provider, over all calls.
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

// Failed is the last provider call that failed for good; nil if none did. A call that was
// made again with renewed credentials is followed by its successor.
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
	Call    *Call    // nil if it could not be built, or was planned and depends on an answer
	Depends []string // names of before steps whose answers a planned call needs
	// Attempts counts how often the call was sent: again after its connection broke.
	Attempts int
	Reply    *Reply        // nil if there was no answer
	Waited   time.Duration // over all attempts
	Err      error
}

// Status is the answer's status, 0 if there is none.
func (s *StepResult) Status() int {
	if s.Reply == nil {
		return 0
	}
	return s.Reply.Status
}

// Do carries out plan for req. The Result is never nil. The error is an *Error, or that of
// the request's Renewer; after the main call succeeded, only a mapping that cannot read its
// answer makes one.
func (e *Engine) Do(ctx context.Context, plan *Plan, req *Request, mode Mode) (*Result, error) {
	result := &Result{}
	sc, err := plan.scope(req)
	if err != nil {
		return result, err
	}
	answers := Answers{Before: map[string]*Answer{}, After: map[string]*Answer{}}
	for _, s := range plan.before {
		done := e.attempt(ctx, plan.errand(ctx, s, req), sc)
		e.note(ctx, result, plan.integration, done)
		if done.err != nil {
			return result, done.err
		}
		if sc = done.scope; done.answer == nil {
			continue
		}
		answers.Before[s.name] = done.answer
		if sc, err = sc.with(map[string]any{"before": answerBodies(answers.Before)}); err != nil {
			return result, err
		}
	}
	done := e.attempt(ctx, plan.mainErrand(ctx, req, mode), sc)
	e.note(ctx, result, plan.integration, done)
	result.Main = done.last()
	if done.err != nil || mode == MainOnly {
		return result, done.err
	}
	answers.Main = done.answer
	if sc, err = done.scope.with(answeredBindings(answers)); err != nil {
		return result, err
	}
	for _, s := range plan.after {
		done := e.attempt(ctx, plan.errand(ctx, s, req), sc)
		e.note(ctx, result, plan.integration, done)
		if done.err != nil {
			result.Partial = append(result.Partial, s.name)
			continue
		}
		if sc = done.scope; done.answer == nil {
			continue
		}
		answers.After[s.name] = done.answer
		if sc, err = sc.with(map[string]any{"after": answerBodies(answers.After)}); err != nil {
			return result, err
		}
	}
	result.Output, err = plan.output(ctx, req, answers, sc.bindings)
	return result, err
}

// Call makes the endpoint's call for req, without any mapping. Result.Main has its answer.
// Errors are those of Do.
func (e *Engine) Call(ctx context.Context, endpoint *Endpoint, req *Request) (*Result, error) {
	result := &Result{}
	account, err := endpoint.Integration.account(endpoint.title(), req.Context)
	if err != nil {
		return result, err
	}
	done := e.attempt(ctx, errand{
		title: endpoint.title(), step: &step{Endpoint: endpoint, name: mainCall}, renewer: req.Renewer,
		build: func(sc scope) (*Call, error) { return endpoint.build(ctx, req, sc.account) },
	}, scope{account: account})
	e.note(ctx, result, endpoint.Integration, done)
	result.Main = done.last()
	return result, done.err
}

// note adds what came of an errand to result.
func (e *Engine) note(ctx context.Context, result *Result, in *Integration, done outcome) {
	result.Steps = append(result.Steps, done.steps...)
	for _, s := range done.steps {
		if s.Reply != nil {
			result.Rate = e.rateLimit(ctx, in, s.Reply, result.Rate)
		}
	}
}

// Plan computes what Do would send, without any call. samples are made-up answers of before
// steps by name, plain JSON; a call that needs the answer of a step without one is listed
// with its Depends, as far as it can be built. The error is an *Error.
func (e *Engine) Plan(ctx context.Context, plan *Plan, req *Request, samples map[string]any) (*Result, error) {
	result := &Result{}
	sc, err := plan.scope(req)
	if err == nil {
		sc, err = sc.with(map[string]any{"before": samplesOf(plan, samples)})
	}
	if err != nil {
		return result, err
	}
	for _, s := range plan.before {
		planned, err := plan.planned(plan.errand(ctx, s, req), sc, samples)
		if err != nil {
			return result, err
		}
		result.Steps = append(result.Steps, planned)
	}
	main, err := plan.planned(plan.mainErrand(ctx, req, Full), sc, samples)
	if err != nil {
		return result, err
	}
	result.Main, result.Steps = &main, append(result.Steps, main)
	for _, s := range plan.after {
		result.Steps = append(result.Steps, StepResult{Name: s.name, Depends: []string{mainCall}})
	}
	return result, nil
}

// samplesOf are those of the samples that answer a before step.
func samplesOf(plan *Plan, samples map[string]any) map[string]any {
	out := map[string]any{}
	for _, s := range plan.before {
		if v, ok := samples[s.name]; ok {
			out[s.name] = v
		}
	}
	return out
}

// planned builds an errand's call. It may fail for want of an answer that is not there yet:
// that is no error.
func (p *Plan) planned(x errand, sc scope, samples map[string]any) (StepResult, error) {
	out := StepResult{Name: x.step.name}
	for _, s := range p.before {
		if _, known := samples[s.name]; !known && p.reads(x.step, s.name) {
			out.Depends = append(out.Depends, s.name)
		}
	}
	call, err := x.build(sc)
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
	exprs := []*jsonata.Expr{s.runIf, s.bodyMap, s.queryMap}
	for _, v := range s.variables {
		exprs = append(exprs, v.expr)
	}
	if s == p.main {
		for _, over := range p.over {
			exprs = append(exprs, over[bodyKey], over[queryKey])
		}
	}
	return slices.ContainsFunc(exprs, func(x *jsonata.Expr) bool {
		if x == nil {
			return false
		}
		members, whole := x.Uses("before")
		return whole || slices.ContainsFunc(members, func(u jsonata.Use) bool { return u.Name == name })
	})
}
