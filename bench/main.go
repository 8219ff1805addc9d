// Command bench compares Portolan with a gateway that is written by hand for the same job.
//
//	go -C bench run .
//
// Provider, gateways and load run in processes of their own, on loopback. The gateways take
// turns, and every answer is compared byte by byte with the one that is expected.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// run runs the benchmark, or one of its roles if the first word of args is one.
func run(ctx context.Context, args []string, in io.Reader, out, log io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case providerRole, byHandRole, proxyRole, loaderRole:
			return play(ctx, args[0], in, out, log)
		}
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(log)
	short := flags.Bool("short", false, "a run of some seconds, which shows that everything works but measures badly")
	node := flags.Bool("node", false, "compare with Node, fastify and jsonata, too; they are installed with npm for the run")
	rounds := flags.Int("rounds", 5, "number of rounds")
	turn := flags.Duration("turn", 4*time.Second, "length of a turn with many clients; a turn with one client is half as long")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not a role", flags.Arg(0))
	}
	if *rounds < 1 || *turn < 10*time.Millisecond {
		return errors.New("at least one round, and turns of at least 10 ms")
	}
	s := settings{
		repository: "..", withNode: *node, rounds: *rounds,
		warm: 200 * time.Millisecond, one: *turn / 2, many: *turn, first: time.Second,
	}
	if *short {
		s.rounds, s.warm, s.one, s.many, s.first = 1, 100*time.Millisecond, 500*time.Millisecond, time.Second, 500*time.Millisecond
	}
	r, err := runBench(ctx, s, log)
	if err != nil {
		return err
	}
	r.command = strings.Join(append([]string{"go -C bench run ."}, args...), " ")
	return r.print(out)
}
