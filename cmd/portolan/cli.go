package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line.
type cli struct {
	Serve        serveCommand        `cmd:"" help:"Serve the unified API."`
	Accounts     accountsCommand     `cmd:"" help:"Manage integrated accounts."`
	Tokens       tokensCommand       `cmd:"" help:"Manage the tokens of callers and administrators."`
	Environments environmentsCommand `cmd:"" help:"Manage environments, which separate accounts and tokens."`
	Audit        auditCommand        `cmd:"" help:"List who changed what."`
	Keys         keysCommand         `cmd:"" help:"Make and change the keys that seal secrets."`
	Lint         lintCommand         `cmd:"" help:"Check mappings and report every problem."`
	Test         testCommand         `cmd:"" help:"Run golden cases offline."`
	Plan         planCommand         `cmd:"" help:"Print the provider request that a unified request would make. Nothing is sent."`
	Sandbox      sandboxCommand      `cmd:"" help:"Serve the pretend providers alone."`
	Evaluate     evaluateCommand     `cmd:"" hidden:"" help:"Evaluate overrides for another process of this program."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

// errReported ends the program with exitFailed; why has been printed.
var errReported = errors.New("reported")

// usageError is a call that makes no sense; the exit code is exitUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (p *process) run(ctx context.Context, args []string) int {
	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("portolan"),
		kong.Description("One unified API over many providers, whose behaviour is data."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exited = code }), // after --help
		kong.Resolvers(kong.ResolverFunc(p.fromEnvironment)),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return p.failed(err)
	}
	command, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		return p.failed(usageError{err})
	}
	return p.failed(command.Run())
}

// failed reports err, if any, and gives the exit code.
func (p *process) failed(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(p.stderr, "portolan: %s\nportolan --help tells how it is used.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(p.stderr, "portolan: %s\n", err)
		return exitFailed
	}
}

// fromEnvironment lets every flag of serve come from a variable, --listen from
// PORTOLAN_LISTEN, and of the other commands those flags that they share with it. A flag
// on the command line wins.
func (p *process) fromEnvironment(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "serve" && !slices.Contains(sharedFlags(), flag.Name) {
		return nil, nil
	}
	value, set := p.lookup("PORTOLAN_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_")))
	if !set {
		return nil, nil
	}
	return value, nil
}

// sharedFlags are those that a server and the commands beside it should agree on.
func sharedFlags() []string {
	return []string{"data", "database-url", "database-wait", "master-keys-file", "mappings", "public-url", "proxy"}
}
