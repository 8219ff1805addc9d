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

// Run answers the requests on stdin on stdout, until stdin ends.
func (c *workerCommand) Run(ctx context.Context, p *process) error {
	language := jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: c.EvalTimeout}) //nolint:contextcheck // it is used by all requests
	return worker.Serve(ctx, language, p.stdin, p.stdout)
}

// newWorkers returns a pool of processes that run workerCommand.
func newWorkers(evalTimeout time.Duration) *worker.Pool {
	return worker.New([]string{"portolan", "worker", "--eval-timeout", evalTimeout.String()}, evalTimeout)
}
