package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"portolan/accounts"
	"portolan/accounts/oauth"
	"portolan/engine"
	"portolan/gateway"
	"portolan/jsonata/worker"
	"portolan/sandbox"
	"portolan/server"
	"portolan/upstream"
)

type serveCommand struct {
	mappingFlags
	storeFlags

	Listen                 string         `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to listen on. This and every other flag of serve can also be set in the environment: PORTOLAN_LISTEN."`
	MetricsListen          string         `placeholder:"ADDR" help:"Address for operators only: /metrics, /debug/pprof/ and a /readyz that names problems. Off by default; with --sandbox a free loopback port."`
	Sandbox                bool           `help:"Also simulate the providers, with a demo account for each. Without --data, --database-url and --accounts, the database ends with the process."`
	AllowPublicSandbox     bool           `help:"Let --sandbox listen on an address that is not loopback, although its tokens are public."`
	Accounts               string         `placeholder:"FILE" help:"File of tokens and integrated accounts. The server then uses a database only if --data or --database-url is set."`
	PublicURL              string         `placeholder:"URL" help:"URL of this server for customers (https://portolan.example.com), for links and OAuth. Without it, links work only if the server listens on a loopback address."`
	TrustedProxy           []netip.Prefix `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For header is trusted."`
	Proxy                  proxyURL       `placeholder:"URL" help:"Proxy for calls to providers. HTTP_PROXY and similar variables are ignored."`
	AllowInsecureUpstreams bool           `help:"Let accounts set base_url, and call any address. For tests only."`
	UpstreamTimeout        time.Duration  `default:"25s" help:"Deadline of one provider call, including its repetition."`
	Drain                  time.Duration  `default:"20s" help:"How long calls in flight may take when the process is stopped."`
	ResponsePolicy         gateway.Policy `default:"warn" enum:"off,warn,fail" help:"What to do if an answer violates the response schema: off, warn or fail."`
	MaxBody                byteSize       `default:"1MiB" help:"Largest request body."`
	DecodedAnswers         byteSize       `default:"10MiB" help:"Total size of the providers' answers over 64 KiB that are decoded at a time. Others wait."`
	OverrideQueue          uint32         `default:"64" help:"How many evaluations of overrides may wait in one environment. Calls that need more are refused."`
	MemoryLimit            byteSize       `default:"512MiB" help:"Soft memory limit of the garbage collector. GOMEMLIMIT takes precedence."`
	LogLevel               string         `default:"info" enum:"debug,info,warn,error" help:"Lowest level that is logged: debug, info, warn or error."`
}

// Run serves until ctx ends. It listens after everything is loaded.
func (c *serveCommand) Run(ctx context.Context, p *process) error {
	if c.UpstreamTimeout <= 0 || c.EvalTimeout <= 0 {
		return usagef("--upstream-timeout and --eval-timeout must be longer than 0s")
	}
	if c.Sandbox && !c.AllowPublicSandbox && !isLoopback(c.Listen) {
		return usagef("the tokens of --sandbox are public, and %s is not a loopback address: "+
			"listen on 127.0.0.1, or set --allow-public-sandbox", c.Listen)
	}
	if err := hideMemory(); err != nil {
		return err
	}
	keys, err := c.databaseKeys(p)
	if err != nil {
		return err
	}
	memory := c.tuneMemory(p)
	workers := newWorkers(c.mappingFlags, worker.WithQueue(int(c.OverrideQueue)))
	defer workers.Close()
	probes := c.probeFile(keys, c.EvalTimeout)
	known := probes.read()
	b, err := p.loadChecked(c.mappingFlags, loading{workers: workers, sandbox: c.Sandbox, known: known})
	if err != nil {
		return err
	}
	log, flush := bufferedLogger(p.stderr, c.LogLevel)
	defer flush()
	var services []service
	sandboxAt := &sandboxAddress{}
	if c.Sandbox {
		listener, err := listen(ctx, "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()                                          // no effect if the server has closed it
		handler := sandbox.New(b.mounts(), p.now, sandbox.WithSlow(2*c.UpstreamTimeout)) // a slow provider exceeds the deadline
		services = append(services, service{newHTTPServer(handler, log), listener})
		sandboxAt = &sandboxAddress{address: listener.Addr()}
	}
	file, err := c.file(ctx, p, b, log)
	if err != nil {
		return err
	}
	demo := c.demoAccounts(b, sandboxAt)
	store, err := c.openStore(ctx, p, keys, demo, log)
	if err != nil {
		return err
	}
	defer store.close()
	if err := probes.update(known, b.catalog); err != nil {
		log.WarnContext(ctx, "what probing found cannot be kept for the next start", slog.String("reason", err.Error()))
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	handler, err := c.newServer(p, b, file, store, demo, sandboxAt, listener, log) //nolint:contextcheck // a handler has the context of its request
	if err != nil {
		return err
	}
	api := newHTTPServer(handler, log)
	api.WriteTimeout = 3*c.UpstreamTimeout + 30*time.Second
	operations, err := c.listenForOperators(ctx)
	if err != nil {
		return err
	}
	if operations != nil {
		defer func() { _ = operations.Close() }()
		services = append(services, service{newHTTPServer(handler.Operations(), log), operations}) //nolint:contextcheck // a handler has the context of its request
	}
	debug.FreeOSMemory() // most of what loading used is garbage
	memory.tend()
	go memory.run(ctx)
	c.announce(p, b, originOf(c.Listen, listener.Addr()), operations)
	return serve(ctx, c.Drain, log, slices.Insert(services, 0, service{api, handler.Listener(api, listener)})...) // the providers stop last
}

// listenForOperators listens on --metrics-listen; it returns nil if that is off.
func (c *serveCommand) listenForOperators(ctx context.Context) (net.Listener, error) {
	if c.Sandbox && c.MetricsListen == "" {
		c.MetricsListen = "127.0.0.1:0"
	}
	if c.MetricsListen == "" {
		return nil, nil
	}
	return listen(ctx, c.MetricsListen)
}

// sandboxAddress is the address of the sandbox; the zero value means that there is none.
type sandboxAddress struct{ address net.Addr }

// origin is "http://127.0.0.1:4711", or "".
func (a *sandboxAddress) origin() string {
	if a.address == nil {
		return ""
	}
	return "http://" + a.address.String()
}

// persistent reports whether there are accounts or tokens that outlast the process.
func (c *serveCommand) persistent() bool { return c.configured() || c.Accounts != "" }

// file returns the contents of the accounts file; empty if there is none.
func (c *serveCommand) file(ctx context.Context, p *process, b *bundle, log *slog.Logger) (*accounts.Memory, error) {
	if c.Accounts == "" {
		return accounts.NewMemory(nil, nil)
	}
	file, err := p.readAccounts(c.Accounts, b, accounts.Options{AllowInsecureUpstreams: c.AllowInsecureUpstreams})
	if err != nil {
		return nil, err
	}
	if err := p.checkSecrecy(ctx, c.Accounts, b.holdsSecrets(file), log); err != nil {
		return nil, err
	}
	for _, token := range file.Tokens {
		if c.Sandbox && (token.Hash == accounts.HashToken(demoToken) || token.Hash == accounts.HashToken(demoAdminToken)) {
			return nil, usagef("--accounts: the token %q is a token of the sandbox, which is public: choose another", token.Name)
		}
	}
	return accounts.NewMemory(file.Tokens, accountsOf(file))
}

// demoAccounts returns the demo accounts in their environment; none without --sandbox.
func (c *serveCommand) demoAccounts(b *bundle, sandboxAt *sandboxAddress) []accounts.Account {
	if !c.Sandbox {
		return nil
	}
	demo := b.demoAccounts(sandboxAt.origin())
	for i := range demo {
		demo[i].Environment = demoEnvironmentOf(c.persistent())
	}
	return demo
}

// directory joins all accounts: those of the file, of the database if there is one, and the
// demo accounts with --sandbox.
func (c *serveCommand) directory(file *accounts.Memory, store *serverStore, demo []accounts.Account, baseURLs map[string]string) (accounts.Directory, error) {
	var directory accounts.Directory = file
	if store.db != nil {
		directory = joinedDirectories{file, withBaseURLs{store.cache, baseURLs}}
	}
	if !c.Sandbox {
		return directory, nil
	}
	if !c.persistent() { // the store has the demo accounts
		demo = nil
	}
	memory, err := accounts.NewMemory(demoTokens(c.persistent()), demo)
	if err != nil {
		return nil, err
	}
	if c.persistent() {
		return separateEnvironment{demoEnvironment, memory, directory}, nil
	}
	return joinedDirectories{memory, directory}, nil
}

func (c *serveCommand) newServer(p *process, b *bundle, file *accounts.Memory, store *serverStore, demo []accounts.Account, sandboxAt *sandboxAddress, listener net.Listener, log *slog.Logger) (*server.Server, error) {
	client := c.Proxy.options()
	inner := []gateway.Option{gateway.WithLogger(log), gateway.WithPolicy(c.ResponsePolicy), gateway.WithDecodedAnswers(int64(c.DecodedAnswers))}
	options := []server.Option{
		server.WithLogger(log), server.WithClock(p.now), server.WithTrustedProxies(c.TrustedProxy...),
		server.WithLimits(server.Limits{Body: int64(c.MaxBody), Target: 16 << 10, Header: 64 << 10}),
	}
	if c.AllowInsecureUpstreams {
		client = append(client, upstream.WithInsecure())
	}
	if tcp, ok := sandboxAt.address.(*net.TCPAddr); ok {
		client = append(client, upstream.WithLoopback(tcp.AddrPort()))
		options = append(options, server.WithForwarded(sandbox.FaultHeader))
	}
	caller := upstream.New(client...)
	baseURLs := b.baseURLs(sandboxAt.origin())
	directory, err := c.directory(file, store, demo, baseURLs)
	if err != nil {
		return nil, err
	}
	if store.db != nil {
		apps, err := p.oauthApps(b, sandboxAt.origin())
		if err != nil {
			return nil, err
		}
		public, err := c.publicOrigin(listener)
		if err != nil {
			return nil, err
		}
		inner = append(inner, gateway.WithBaseURLs(baseURLs), gateway.WithOAuth(oauth.NewKeeper(store.db, caller.HTTP(c.UpstreamTimeout), p.now, log), apps))
		options = append(options, server.WithStore(store.admin))
		if public != "" {
			options = append(options, server.WithPublicURL(public))
		}
	}
	return server.New(gateway.New(b.snapshot, engine.New(caller, p.now, engine.WithTimeout(c.UpstreamTimeout)), directory, inner...), directory, options...)
}

// publicOrigin returns the URL of the server for customers; "" if it is not known.
func (c *serveCommand) publicOrigin(l net.Listener) (string, error) {
	if c.PublicURL == "" {
		return loopbackOrigin(l), nil
	}
	return publicOrigin(c.PublicURL)
}

// announce prints the address of the API and of the metrics and, with --sandbox, commands to try it.
func (c *serveCommand) announce(p *process, b *bundle, origin string, operations net.Listener) {
	fmt.Fprintf(p.stdout, "portolan listens on %s\n", origin)
	if operations != nil {
		fmt.Fprintf(p.stdout, "metrics are at %s/metrics\n", originOf(c.MetricsListen, operations.Addr()))
	}
	if !c.Sandbox {
		return
	}
	for _, provider := range b.providers {
		if curl := b.demoCurl(origin, provider); curl != "" {
			fmt.Fprintf(p.stdout, "\n# %s\n%s\n", provider.Name(), curl)
		}
	}
	if !c.persistent() {
		fmt.Fprintf(p.stdout, "\n# the accounts in the database\ncurl %s \\\n  -H %s\n",
			quoted(origin+accountsPath), quoted("Authorization: Bearer "+demoAdminToken))
	}
}

// logger returns a logger that writes JSON lines to stderr.
// logger returns a logger for warnings and errors.
func (p *process) logger() *slog.Logger { return newLogger(p.stderr, "warn") }

func newLogger(out io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l}))
}
