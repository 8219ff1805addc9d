package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"

	"portolan/jsonata"
)

const (
	// evaluationMemory is what an evaluating process may map beyond what it has at its
	// start, in bytes: an expression may allocate 256 MiB, and one step of it may double that.
	evaluationMemory = 768 << 20
	// evaluationHeap is from where on its garbage collector works harder.
	evaluationHeap = 384 << 20
)

// evaluateCommand evaluates overrides for another process of this program, which ends it
// where one overruns.
type evaluateCommand struct {
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one expression."`
}

// Run answers on stdout what comes on stdin, until that ends. A signal is the other
// process's business: calls that it still serves need their overrides.
func (c *evaluateCommand) Run(ctx context.Context, p *process) error {
	runtime.GOMAXPROCS(2) // one to evaluate, one to collect garbage and look at the time
	debug.SetMemoryLimit(evaluationHeap)
	if err := limitMemory(evaluationMemory); err != nil {
		return err
	}
	language := jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: c.EvalTimeout}) //nolint:contextcheck // it outlives every question
	return jsonata.ServeApart(context.WithoutCancel(ctx), language, p.stdin, p.stdout)
}
