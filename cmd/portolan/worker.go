package main

import (
	"context"
	"time"

	"portolan/jsonata"
	"portolan/jsonata/worker"
)

// workerCommand compiles and evaluates overrides for another process of this program.
type workerCommand struct {
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one expression."`
}

// Run responds on stdout to the requests on stdin, until that ends.
func (c *workerCommand) Run(ctx context.Context, p *process) error {
	language := jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: c.EvalTimeout}) //nolint:contextcheck // it outlives every request
	return worker.Serve(ctx, language, p.stdin, p.stdout)
}

// newWorkers is a pool of processes that run workerCommand.
func newWorkers(evalTimeout time.Duration) *worker.Pool {
	return worker.New([]string{"portolan", "worker", "--eval-timeout", evalTimeout.String()}, evalTimeout)
}
