// Command portolan serves the unified API, manages accounts, and checks and tests mappings.
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
	log.SetOutput(libraryLog{newLogger(os.Stderr, "warn")})
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program. It returns the exit code: 0 for success, 1 for findings, failed cases
// and other failures, 2 for wrong usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &process{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, random: rand.Reader, lookup: os.LookupEnv, exists: exists}
	return p.run(ctx, args)
}

// process holds the program's input, output, clock, random source and environment.
type process struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	random         io.Reader
	lookup         func(name string) (string, bool) // looks up an environment variable
	exists         func(file string) bool
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
