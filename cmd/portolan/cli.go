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
	Keys         keysCommand         `cmd:"" help:"Manage the keys that encrypt secrets."`
	Lint         lintCommand         `cmd:"" help:"Check mappings and report every problem."`
	Test         testCommand         `cmd:"" help:"Run golden cases offline."`
	Plan         planCommand         `cmd:"" help:"Print the provider request for a unified request, without sending it."`
	Schema       schemaCommand       `cmd:"" help:"Print a JSON Schema: of a mapping file, a unified method or an admin request."`
	Sandbox      sandboxCommand      `cmd:"" help:"Serve only the sandbox providers."`
	Completion   completionCommand   `cmd:"" help:"Print the completion script of a shell."`
	Worker       workerCommand       `cmd:"" hidden:"" help:"Evaluate overrides for another process of this program."`
	Version      versionCommand      `cmd:"" help:"Print the version; so does portolan --version."`
	Licenses     licensesCommand     `cmd:"" help:"Print the licenses of everything that this program is built from."`
	Help         helpCommand         `cmd:"" help:"Describe a command, or list all."`
}

// errReported ends the program with exitFailed; the reason has been printed.
var errReported = errors.New("reported")

// usageError is a command line that cannot be accepted; the exit code is exitUsage.
type usageError struct {
	error

	command *kong.Node // the command whose usage is printed; nil: not known yet
}

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...), nil} }

func (p *process) run(ctx context.Context, args []string) int {
	exited := -1
	parser, err := kong.New(&cli{},
		kong.Name("portolan"),
		kong.Description("One unified API over many providers, whose behaviour is data."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { exited = code }), // after --help
		kong.Resolvers(kong.ResolverFunc(p.fromEnvironment)),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return p.failed(err)
	}
	if len(args) > 0 && args[0] == "--version" { // not a flag, because accounts update has a flag --version
		args = append([]string{"version"}, args[1:]...)
	}
	command, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		return p.failed(usageOf(err))
	}
	err = command.Run()
	if exited >= 0 {
		return exited
	}
	if usage, ok := errors.AsType[usageError](err); ok && usage.command == nil {
		err = usageError{err, command.Selected()}
	}
	return p.failed(err)
}

// failed reports err, if any, and returns the exit code.
func (p *process) failed(err error) int {
	usage, wrongUsage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errReported):
		return exitFailed
	case wrongUsage:
		fmt.Fprintf(p.stderr, "portolan: %s\n", err)
		printUsage(p.stderr, usage.command)
		return exitUsage
	default:
		fmt.Fprintf(p.stderr, "portolan: %s\n", err)
		return exitFailed
	}
}

// fromEnvironment sets the flags of serve, and the same flags of other commands, from variables such
// as PORTOLAN_LISTEN. A flag on the command line takes precedence.
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

// sharedFlags are the flags that must be the same for a server and the other commands.
func sharedFlags() []string {
	return []string{"data", "database-url", "database-wait", "master-keys-file", "mappings", "public-url", "proxy"}
}
