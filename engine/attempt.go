package engine

import (
	"context"
	"errors"

	"portolan/jsonata"
)

// maxRepetitions is how often a call is sent again after its connection broke.
const maxRepetitions = 1

// scope is what the expressions of a call see, and the account that it is made with.
type scope struct {
	account  map[string]any // the account's context, defaults included
	bindings jsonata.Bindings
}

// scope is that of the first call of a method.
func (p *Plan) scope(req *Request) (scope, error) {
	account, err := p.integration.account(p.title, req.Context)
	if err != nil {
		return scope{}, err
	}
	bindings, err := p.requestBindings(req, account, nil)
	return scope{account, bindings}, err
}

// with is the scope with more bindings, or others in the place of some.
func (sc scope) with(more map[string]any) (scope, error) {
	bindings, err := sc.bindings.With(more)
	if err != nil {
		return sc, &Error{Kind: KindMapping, Op: "bindings", Err: err}
	}
	return scope{sc.account, bindings}, nil
}

// errand is one provider call to make: how it is built, and what its answer must be.
type errand struct {
	title   string // of the plan or endpoint, for errors
	step    *step
	usable  bool // the answer must be JSON
	renewer Renewer
	build   func(scope) (*Call, error) // a nil Call: nothing is to be done
}

func (p *Plan) errand(ctx context.Context, s *step, req *Request) errand {
	return errand{p.title, s, true, req.Renewer, func(sc scope) (*Call, error) { return p.buildStep(ctx, s, req, sc) }}
}

func (p *Plan) mainErrand(ctx context.Context, req *Request, mode Mode) errand {
	usable := mode == Full && p.needsAnswer
	return errand{p.title, p.main, usable, req.Renewer, func(sc scope) (*Call, error) { return p.buildMain(ctx, req, sc) }}
}

// outcome is what came of an errand.
type outcome struct {
	steps  []StepResult // the calls that were made, the last one decides
	answer *Answer      // nil: nothing was to be done, or err
	scope  scope        // for what follows: with renewed credentials, if they were renewed
	err    error
}

// last is the call that decided; nil if none was made.
func (o outcome) last() *StepResult {
	if len(o.steps) == 0 {
		return nil
	}
	return &o.steps[len(o.steps)-1]
}

// attempt makes the errand's call. It is the one place that makes a call again:
//
//   - once with renewed credentials, if the answer means that the present ones are refused;
//   - once as it is, if its connection broke before any byte of an answer and the call is
//     declared repeatable.
func (e *Engine) attempt(ctx context.Context, x errand, sc scope) outcome {
	out := outcome{scope: sc}
	for {
		call, err := x.build(out.scope)
		if err != nil {
			if out.err = err; x.step.name != mainCall { // whose error is the method's
				out.steps = append(out.steps, StepResult{Name: x.step.name, Err: err})
			}
			return out
		}
		if call == nil {
			return out
		}
		done := e.send(ctx, call)
		out.answer, out.err = nil, done.Err
		if done.Err == nil || isFailure(done.Reply, done.Err) {
			out.answer, out.err = x.step.read(ctx, x.title, done.Reply, x.usable)
			done.Err = out.err
		}
		out.steps = append(out.steps, done)
		if x.renewer == nil || !refusesCredentials(out.err) {
			return out
		}
		renewed, err := x.renewer.Renew(ctx)
		if err != nil {
			out.err = err
			return out
		}
		if renewed == nil {
			return out
		}
		x.renewer = nil
		account, err := x.step.Integration.account(x.title, renewed)
		if err == nil {
			out.scope, err = scope{account, out.scope.bindings}.with(map[string]any{"context": account})
		}
		if err != nil {
			out.err = err
			return out
		}
	}
}

// send sends call, and sends it again if its connection broke and that is safe. One deadline
// spans both.
func (e *Engine) send(ctx context.Context, call *Call) StepResult {
	began := e.now()
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	for sent := 1; ; sent++ {
		reply, err := e.doer.Do(ctx, call)
		failed, _ := errors.AsType[*Error](err)
		if failed != nil && failed.Lost && call.Repeatable && sent <= maxRepetitions && ctx.Err() == nil {
			continue
		}
		if failed != nil && failed.Reply != nil {
			reply = failed.Reply
		}
		return StepResult{Name: call.Name, Call: call, Attempts: sent, Reply: reply, Waited: e.now().Sub(began), Err: err}
	}
}

// isFailure reports whether reply, cut off or too large though it is, is an answer whose
// status says enough.
func isFailure(reply *Reply, err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Reply != nil && reply.Status >= statusBadRequest
}

// refusesCredentials reports whether err is the provider's refusal of the account's credentials.
func refusesCredentials(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Kind == KindProvider && failed.Provider != nil && failed.Provider.Status == statusUnauthorized
}
