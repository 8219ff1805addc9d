package engine

import (
	"cmp"
	"context"
	"errors"

	"portolan/jsonata"
)

// maxRepetitions is how often a call is sent again if its connection broke.
const maxRepetitions = 1

// scope is the account and the bindings of a call.
type scope struct {
	account  map[string]any // the account's context, defaults included
	bindings jsonata.Bindings
}

// scope returns the scope of the first call of a method.
func (p *Plan) scope(req *Request) (scope, error) {
	account, err := p.integration.account(p.title, req.Context)
	if err != nil {
		return scope{}, err
	}
	return scope{account, req.bindings(account)}, nil
}

// with returns a copy of sc with bindings added or replaced.
func (sc scope) with(more map[string]any) scope {
	return scope{sc.account, sc.bindings.With(more)}
}

// pendingCall is one provider call to make.
type pendingCall struct {
	title    string // of the plan or endpoint, for errors
	step     *step
	needJSON bool // the answer must be JSON
	req      *Request
	build    func(scope) (*Call, error) // returns nil if there is no call to make
}

func (p *Plan) pendingStep(ctx context.Context, s *step, req *Request) pendingCall {
	return pendingCall{p.title, s, true, req, func(sc scope) (*Call, error) { return p.buildStep(ctx, s, req, sc) }}
}

func (p *Plan) pendingMain(ctx context.Context, req *Request, mode Mode) pendingCall {
	needJSON := mode == Full && p.needsAnswer
	return pendingCall{p.title, p.main, needJSON, req, func(sc scope) (*Call, error) { return p.buildMain(ctx, req, sc) }}
}

// callResult is the result of a pendingCall.
type callResult struct {
	steps  []StepResult // the calls made; the last one counts
	answer *Answer      // nil if no call was to be made, or with err
	scope  scope        // for the next call, with credentials that were renewed
	err    error
}

// last returns the call that counts; nil if none was made.
func (r callResult) last() *StepResult {
	if len(r.steps) == 0 {
		return nil
	}
	return &r.steps[len(r.steps)-1]
}

// attempt makes a call. Only it makes a call again:
//
//   - once with renewed credentials, if the provider refuses the present ones;
//   - once unchanged, if the connection broke before any byte of an answer and the call is
//     declared repeatable.
func (e *Engine) attempt(ctx context.Context, pending pendingCall, sc scope) callResult {
	out, renewer := callResult{scope: sc}, pending.req.Renewer
	for {
		call, err := pending.build(out.scope)
		if err != nil {
			if out.err = err; pending.step.name != mainStep { // the main call's error is the method's
				out.steps = append(out.steps, StepResult{Name: pending.step.name, Err: err})
			}
			return out
		}
		if call == nil {
			return out
		}
		done := e.send(ctx, call, pending.req.Admit)
		out.answer, out.err = nil, done.Err
		if done.Err == nil || isFailure(done.Reply, done.Err) {
			out.answer, out.err = pending.step.read(ctx, pending.title, done.Reply, pending.needJSON)
			done.Err = out.err
		}
		out.steps = append(out.steps, done)
		if renewer == nil || !refusesCredentials(out.err) {
			return out
		}
		renewed, err := renewer.Renew(ctx)
		if renewer = nil; err == nil && renewed != nil {
			out.scope.account, err = pending.step.Integration.account(pending.title, renewed)
		}
		if out.err = cmp.Or(err, out.err); err != nil || renewed == nil {
			return out
		}
		out.scope = out.scope.with(map[string]any{"context": out.scope.account})
	}
}

// send sends call, and again if its connection broke and that is safe. Then it waits until the answer
// is admitted. All share a deadline.
func (e *Engine) send(ctx context.Context, call *Call, admit func(context.Context, int) error) StepResult {
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
		out := StepResult{Name: call.Name, Call: call, Attempts: sent, Reply: reply, Waited: e.now().Sub(began), Err: err}
		if reply != nil && admit != nil {
			if busy := admit(ctx, len(reply.Body)); busy != nil {
				out.Err = &Error{Kind: KindBusy, Op: call.Name, Cause: CauseBusy, Err: busy}
			}
		}
		return out
	}
}

// isFailure reports whether a reply that is cut off or too large is a failure by its status.
func isFailure(reply *Reply, err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Reply != nil && reply.Status >= statusBadRequest
}

// refusesCredentials reports whether err is the provider's refusal of the account's credentials.
func refusesCredentials(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Kind == KindProvider && failed.Provider != nil && failed.Provider.Status == statusUnauthorized
}
