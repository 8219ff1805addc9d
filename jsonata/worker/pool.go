// Package worker compiles and evaluates untrusted expressions in processes of their own, which
// the system limits and the Pool kills. A single step of an expression can take any time and
// memory, and a goroutine cannot be stopped.
package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"portolan/jsonata"
)

const (
	// startLimit is how long a worker may take to start and to accept a request. It allows for a
	// busy machine.
	startLimit = 15 * time.Second
	// killGrace is how long after its deadline a request's worker is killed. Usually the worker
	// responds and ends earlier.
	killGrace = 2 * time.Second
	// maxAttempts is how many workers get a request that none accepts or responds to in time: an
	// idle worker may have died, or all processes may have been paused.
	maxAttempts = 2
)

// Pool is a jsonata.Worker that runs at most one worker per processor, each started when it is
// first needed. Workers have no environment, and no files but their pipes. A Pool is safe for
// concurrent use.
type Pool struct {
	command []string
	timeout time.Duration
	values  int             // in a result, at most
	open    context.Context // done if the pool is closed
	cancel  context.CancelFunc
	turns   queue         // as many at a time as there are processes
	idle    chan *process // nil: not started yet
}

// defaultQueue is how many evaluations of one tenant may wait. Each may keep a worker for about a second.
const defaultQueue = 64

// Option changes a default of New.
type Option func(*Pool)

// WithValues limits the values of a result; jsonata.DefaultValues by default. The workers must have
// the same limit.
func WithValues(n int) Option { return func(p *Pool) { p.values = n } }

// WithQueue limits the evaluations of one tenant that wait for a worker; 64 by default. Further ones
// fail with jsonata.ErrBusy.
func WithQueue(n int) Option { return func(p *Pool) { p.turns.limit = n } }

// New builds a pool of workers. command is the command line, with the program's name, for which
// this program runs Serve. timeout is the evaluation timeout of the workers.
func New(command []string, timeout time.Duration, opts ...Option) *Pool {
	p := &Pool{command: command, timeout: timeout, values: jsonata.DefaultValues, idle: make(chan *process, runtime.NumCPU())}
	p.turns = queue{limit: defaultQueue, free: cap(p.idle), waiting: map[string][]chan struct{}{}}
	for _, o := range opts {
		o(p)
	}
	p.open, p.cancel = context.WithCancel(context.Background())
	for range cap(p.idle) {
		p.idle <- nil
	}
	return p
}

// Close kills all workers and waits until they have ended. Later requests get ErrNoWorker. It
// must be called once.
func (p *Pool) Close() {
	p.cancel()
	for range cap(p.idle) {
		if w := <-p.idle; w != nil {
			w.kill()
		}
	}
}

// Compile compiles source in a worker.
func (p *Pool) Compile(ctx context.Context, source string) error {
	_, _, err := p.do(ctx, &request{source: source, compile: true})
	return err
}

// Evaluate evaluates source over bindings, plain JSON, in a worker.
func (p *Pool) Evaluate(ctx context.Context, source string, bindings map[string]any) (value any, present bool, err error) {
	return p.do(ctx, &request{source: source, bindings: bindings})
}

// do waits for the turn of the context's tenant and sends an idle worker the request.
func (p *Pool) do(ctx context.Context, req *request) (value any, present bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.open, func() { cancel(jsonata.ErrNoWorker) })() //nolint:contextcheck // the pool outlives the call
	if err := p.turns.enter(ctx, jsonata.TenantOf(ctx)); err != nil {
		return nil, false, err
	}
	defer p.turns.leave()
	frame, err := req.encode() // the memory of a frame is used by those that have a turn
	if err != nil {
		return nil, false, fmt.Errorf("bindings: %w", err)
	}
	var w *process
	select {
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	case w = <-p.idle:
	}
	defer func() { p.idle <- w }() // which Close waits for
	for range maxAttempts {
		if w == nil {
			if w, err = start(p.command); err != nil {
				continue
			}
		}
		var res *response
		var started bool
		res, started, err = p.try(ctx, w, frame)
		if w.killed = w.killed || err != nil; w.killed {
			w.kill()
			w = nil
		}
		if err == nil {
			return res.result()
		}
		if started && !errors.Is(err, jsonata.ErrOverrun) || ctx.Err() != nil {
			return nil, false, err
		}
	}
	return nil, false, fmt.Errorf("%w: %w", jsonata.ErrNoWorker, err)
}

// try sends w a request; started reports that w accepted it. After an error w cannot be used.
func (p *Pool) try(ctx context.Context, w *process, frame []byte) (_ *response, started bool, err error) {
	kill := func() { _ = w.command.Process.Kill() } // it may have ended already
	var late atomic.Bool
	timer := time.AfterFunc(startLimit, func() { late.Store(true); kill() })
	stops := []func() bool{timer.Stop, context.AfterFunc(ctx, kill)}
	defer func() {
		for _, stop := range stops {
			w.killed = !stop() || w.killed // a late kill must not hit the next request
		}
	}()
	res, err := w.exchange(frame, p.values, func() {
		started = true
		timer.Reset(p.timeout + killGrace)
	})
	switch {
	case err == nil:
		return res, started, nil
	case ctx.Err() != nil:
		return nil, started, context.Cause(ctx)
	case started && late.Load():
		return nil, started, jsonata.ErrOverrun
	case started: // the request was too much for it
		return nil, started, jsonata.ErrMemory
	default:
		return nil, started, err
	}
}
