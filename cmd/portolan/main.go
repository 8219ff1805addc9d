// Command portolan serves the unified API, and checks, tries and explains mappings.
package main

import (
	"context"
	"crypto/rand"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	log.SetOutput(withheld{newLogger(os.Stderr, "warn")})
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. Its result is the exit code: 0 is good, 1 means findings, failed
// cases or a failure, 2 that it was called wrongly.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &process{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, random: rand.Reader, lookup: os.LookupEnv}
	return p.run(ctx, args)
}

// process is what the program has of its surroundings.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	random         io.Reader
	lookup         func(name string) (string, bool) // of the environment
}
