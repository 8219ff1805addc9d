package main

import (
	"context"
	"strconv"
	"time"

	"portolan/jsonata"
	"portolan/jsonata/worker"
)

// workerCommand compiles and evaluates overrides for another process of this program.
type workerCommand struct {
	EvalTimeout time.Duration `default:"100ms" help:"Deadline of one expression."`
	MaxValues   uint32        `default:"1000000" help:"Most values of a result."`
}

// Run answers the requests on stdin on stdout, until stdin ends.
func (c *workerCommand) Run(ctx context.Context, p *process) error {
	language := jsonata.NewLanguage(p.now, p.random, jsonata.Limits{EvalTimeout: c.EvalTimeout, Values: int(c.MaxValues)}) //nolint:contextcheck // it is used by all requests
	return worker.Serve(ctx, language, p.stdin, p.stdout)
}

// newWorkers returns a pool of processes that run workerCommand.
func newWorkers(flags mappingFlags, opts ...worker.Option) *worker.Pool {
	command := []string{"portolan", "worker", "--eval-timeout", flags.EvalTimeout.String(), "--max-values", strconv.Itoa(int(flags.MaxValues))}
	return worker.New(command, flags.EvalTimeout, append(opts, worker.WithValues(int(flags.MaxValues)))...)
}
