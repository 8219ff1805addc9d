package engine

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"portolan/jsonata"
)

// Engine carries out plans: Build ▸ Do ▸ Transform with the steps around them. It is
// immutable and safe for concurrent use.
type Engine struct {
	doer Doer
	now  func() time.Time
}

// New builds an engine that calls providers through doer. now tells how long a call that
// got no answer took, and how far off an
// epoch-valued rate limit reset is.
func New(doer Doer, now func() time.Time) *Engine { return &Engine{doer: doer, now: now} }

// Mode says how much of a method is carried out.
type Mode int

// The modes of Engine.Do.
const (
	Full     Mode = iota // every step, and the record
	MainOnly             // no after step and no record: the main call's answer is the result
	PlanOnly             // no call at all: Result.Steps says what would be called
)

// Result is what a method did, as far as it came.
type Result struct {
	Call    *Call         // the main call; nil where it could not be built
	Reply   *Reply        // its answer; nil where there was none
	Record  *Record       // the unified record; nil in the modes without one, and on error
	Steps   []StepResult  // every provider call, in order
	Partial []string      // names of after steps that failed: the write is done, the record less complete
	Rate    RateLimit     // as the last answer that tells it
	Waited  time.Duration // for the provider, over all calls
}

// StepResult is one provider call.
type StepResult struct {
	Name  string
	Call  *Call  // nil where it was only planned and depends on an answer
	Reply *Reply // nil where there was no answer
	Err   error
}

// RateLimit is what a provider tells of its limits; "" for what it does not tell. Reset
// is in seconds from now.
type RateLimit struct{ Limit, Remaining, Reset string }

// Do carries out plan for req. The Result is never nil. The error is an *Error; after the
// main call succeeded, only a mapping that cannot read its answer makes one.
func (e *Engine) Do(ctx context.Context, plan *Plan, req *Request, mode Mode) (*Result, error) {
	run := &run{
		engine: e, plan: plan, req: req, mode: mode, result: &Result{},
		answers: Answers{Before: map[string]*Answer{}, After: map[string]*Answer{}},
	}
	return run.result, run.do(ctx)
}

type run struct {
	engine  *Engine
	plan    *Plan
	req     *Request
	mode    Mode
	result  *Result
	answers Answers
}

func (r *run) do(ctx context.Context) error {
	for _, s := range r.plan.before {
		if err := r.step(ctx, s, r.answers.Before); err != nil {
			return err
		}
	}
	call, err := r.plan.Build(ctx, r.req, answerBodies(r.answers.Before))
	if err != nil {
		return err
	}
	r.result.Call = call
	if r.mode == PlanOnly {
		r.result.Steps = append(r.result.Steps, StepResult{Name: mainCall, Call: call})
		for _, s := range r.plan.after {
			r.result.Steps = append(r.result.Steps, StepResult{Name: s.name})
		}
		return nil
	}
	r.answers.Main, err = r.send(ctx, r.plan.main, call, r.mode == Full && r.plan.needsAnswer)
	if err != nil || r.mode == MainOnly {
		return err
	}
	for _, s := range r.plan.after {
		if err := r.step(ctx, s, r.answers.After); err != nil {
			r.result.Partial = append(r.result.Partial, s.name)
		}
	}
	r.result.Record, err = r.plan.Transform(ctx, r.req, r.answers)
	return err
}

// step carries out one before or after step and keeps its answer.
func (r *run) step(ctx context.Context, s *step, answers map[string]*Answer) error {
	if r.mode == PlanOnly {
		r.result.Steps = append(r.result.Steps, StepResult{Name: s.name})
		return nil
	}
	call, err := r.buildStep(ctx, s)
	if err != nil || call == nil {
		if err != nil {
			r.result.Steps = append(r.result.Steps, StepResult{Name: s.name, Err: err})
		}
		return err
	}
	answer, err := r.send(ctx, s, call, true)
	if err != nil {
		return err
	}
	answers[s.name] = answer
	return nil
}

// buildStep builds a step's call; nil where its run_if says no.
func (r *run) buildStep(ctx context.Context, s *step) (*Call, error) {
	ctx, cancel := r.plan.withDeadline(ctx)
	defer cancel()
	account, err := r.plan.accountContext(r.req)
	if err != nil {
		return nil, err
	}
	bindings := r.req.bindings(account, answerBodies(r.answers.Before))
	bindAnswer(bindings, r.answers)
	if s.runIf != nil {
		v, _, err := r.plan.eval(ctx, s.runIf, s.name, "run_if", bindings)
		if err != nil || !truthy(v) {
			return nil, err
		}
	}
	return r.plan.buildStep(ctx, s, r.req, account, bindings)
}

// send makes one call and tells its success from its failure; usable asks for an answer
// in JSON.
func (r *run) send(ctx context.Context, s *step, call *Call, usable bool) (*Answer, error) {
	began := r.engine.now()
	reply, err := r.engine.doer.Do(ctx, call)
	if failed, ok := errors.AsType[*Error](err); ok && failed.Reply != nil {
		reply = failed.Reply
		if reply.Status >= 400 { // cut off or too large, but its status says enough
			err = nil
		}
	}
	if s == r.plan.main {
		r.result.Reply = reply
	}
	if reply == nil {
		r.result.Waited += r.engine.now().Sub(began)
	} else {
		r.result.Waited += reply.Duration
		r.result.Rate = r.engine.rateLimit(ctx, r.plan, reply, r.result.Rate)
	}
	var answer *Answer
	if err == nil {
		answer, err = r.plan.read(ctx, s, reply, usable)
	}
	r.result.Steps = append(r.result.Steps, StepResult{Name: s.name, Call: call, Reply: reply, Err: err})
	return answer, err
}

// epochFrom is the number from which a reset is an epoch in seconds, not a wait.
const epochFrom = 1_000_000_000

// rateLimit reads an answer's limits; what it does not tell stays as it was before. A
// mapping mistake here is not worth a failed call: it gives nothing.
func (e *Engine) rateLimit(ctx context.Context, p *Plan, reply *Reply, was RateLimit) RateLimit {
	rules := p.integration.rateLimit
	if rules == (rateLimitDoc{}) {
		return was
	}
	ctx, cancel := p.language.WithDeadline(ctx)
	defer cancel()
	bindings := map[string]any{"headers": headerBinding(reply), "status": json.Number(strconv.Itoa(reply.Status))}
	read := func(x *jsonata.Expr, was string) string {
		if x == nil {
			return was
		}
		v, present, err := x.Eval(ctx, bindings)
		if err != nil || !present || v == nil {
			return was
		}
		return scalarText(v)
	}
	rate := RateLimit{Limit: read(rules.limit, was.Limit), Remaining: read(rules.remaining, was.Remaining), Reset: read(rules.reset, "")}
	if rate.Reset == "" {
		rate.Reset = was.Reset
		return rate
	}
	if epoch, err := strconv.ParseInt(rate.Reset, 10, 64); err == nil && epoch >= epochFrom {
		rate.Reset = strconv.FormatInt(max(epoch-e.now().Unix(), 0), 10)
	}
	return rate
}

// Status is the answer's status, 0 where there is none.
func (s StepResult) Status() int {
	if s.Reply == nil {
		return 0
	}
	return s.Reply.Status
}
