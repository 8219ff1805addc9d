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
	"portolan/sandbox"
	"portolan/server"
	"portolan/upstream"
)

type serveCommand struct {
	mappingFlags
	storeFlags

	Listen                 string         `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to serve at. This and every other flag of serve can also come from the environment: PORTOLAN_LISTEN."`
	Sandbox                bool           `help:"Play the providers as well, with a demo account for each. Without --data, --database-url and --accounts, what is created is kept in a database that ends with the process."`
	AllowPublicSandbox     bool           `help:"Let --sandbox listen on an address that is not loopback. Everyone knows its tokens."`
	Accounts               string         `placeholder:"FILE" help:"Tokens and integrated accounts. Without --data or --database-url there is no database then."`
	PublicURL              string         `placeholder:"URL" help:"Where customers reach this server (https://portolan.example.com), for links and OAuth. Needed unless it listens on a loopback address."`
	TrustedProxy           []netip.Prefix `placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed."`
	Proxy                  proxy          `placeholder:"URL" help:"Call providers through this proxy. HTTP_PROXY and the like are ignored."`
	AllowInsecureUpstreams bool           `help:"Let accounts have a base_url, and call any address. For tests."`
	UpstreamTimeout        time.Duration  `default:"30s" help:"Deadline of one provider call, its repetition included."`
	Drain                  time.Duration  `default:"20s" help:"How long calls in flight may take to finish when the process is stopped."`
	ResponsePolicy         gateway.Policy `default:"warn" enum:"off,warn,fail" help:"What to do about an answer that breaks the response schema: off, warn, fail."`
	MaxBody                size           `default:"1MiB" help:"Largest request body."`
	MemoryLimit            size           `default:"512MiB" help:"Memory from which on the garbage collector works harder; GOMEMLIMIT wins."`
	LogLevel               string         `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// Run serves until ctx ends. Nothing is answered before everything is loaded.
func (c *serveCommand) Run(ctx context.Context, p *process) error {
	if c.Sandbox && !c.AllowPublicSandbox && !isLoopback(c.Listen) {
		return usagef("--sandbox serves with tokens that everyone knows, and %s is not a loopback address: "+
			"listen on 127.0.0.1, or give --allow-public-sandbox", c.Listen)
	}
	overrides := newEvaluators(c.EvalTimeout)
	defer overrides.close()
	w, err := p.loadServable(c.mappingFlags, overrides.evaluate)
	if err != nil {
		return err
	}
	c.tuneMemory(p)
	log := p.logger(c.LogLevel)
	var services []service
	pretend := &pretence{}
	if c.Sandbox {
		listener, err := listen(ctx, "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()                                       // closed already where it was served
		play := sandbox.New(w.mounts(), p.now, sandbox.WithSlow(2*c.UpstreamTimeout)) // a slow provider outlasts the deadline
		services = append(services, service{newHTTPServer(play, log), listener})
		pretend = &pretence{address: listener.Addr()}
	}
	file, err := c.file(p, w)
	if err != nil {
		return err
	}
	kept, err := c.keep(ctx, p, log)
	if err != nil {
		return err
	}
	defer kept.close()
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	handler, err := c.newServer(p, w, file, kept, pretend, listener, log)
	if err != nil {
		return err
	}
	api := newHTTPServer(handler, log)
	api.WriteTimeout = 3*c.UpstreamTimeout + 30*time.Second
	c.announce(p, w, listener)
	return serve(ctx, c.Drain, log, slices.Insert(services, 0, service{api, listener})...) // the providers stop last
}

// tuneMemory trades memory for processor time, unless the environment has its own idea.
func (c *serveCommand) tuneMemory(p *process) {
	if _, set := p.lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(int64(c.MemoryLimit))
	}
	if _, set := p.lookup("GOGC"); !set {
		debug.SetGCPercent(400)
	}
}

// pretence is where pretend providers are served; the zero value is for none.
type pretence struct{ address net.Addr }

// origin is "http://127.0.0.1:4711", or "".
func (x *pretence) origin() string {
	if x.address == nil {
		return ""
	}
	return "http://" + x.address.String()
}

// lasting reports whether accounts or tokens are served that outlast the process.
func (c *serveCommand) lasting() bool { return c.given() || c.Accounts != "" }

// file holds what is in the accounts file; nothing if there is none.
func (c *serveCommand) file(p *process, w *world) (*accounts.Memory, error) {
	if c.Accounts == "" {
		return accounts.NewMemory(nil, nil)
	}
	file, err := p.readAccounts(c.Accounts, w, accounts.Options{AllowInsecureUpstreams: c.AllowInsecureUpstreams})
	if err != nil {
		return nil, err
	}
	for _, token := range file.Tokens {
		if c.Sandbox && (token.Hash == accounts.HashToken(demoToken) || token.Hash == accounts.HashToken(demoAdminToken)) {
			return nil, usagef("--accounts: the token %q is one of the sandbox's, which everyone knows: choose another", token.Name)
		}
	}
	return accounts.NewMemory(file.Tokens, accountsOf(file))
}

// directory joins what is served: the file, the database if there is one, and the demo
// accounts if the providers are played.
func (c *serveCommand) directory(file *accounts.Memory, kept *kept, demo []accounts.Account, bases map[string]string) (accounts.Directory, error) {
	var directory accounts.Directory = file
	if kept.db != nil {
		directory = union{file, played{kept.cache, bases}}
	}
	if !c.Sandbox {
		return directory, nil
	}
	memory, err := accounts.NewMemory(demoTokens(c.lasting()), demo)
	if err != nil {
		return nil, err
	}
	if c.lasting() {
		return apart{demoEnvironment, memory, directory}, nil
	}
	return union{memory, directory}, nil
}

func (c *serveCommand) newServer(p *process, w *world, file *accounts.Memory, kept *kept, pretend *pretence, listener net.Listener, log *slog.Logger) (*server.Server, error) {
	client := c.Proxy.options()
	inner := []gateway.Option{gateway.WithLogger(log), gateway.WithPolicy(c.ResponsePolicy)}
	options := []server.Option{
		server.WithLogger(log), server.WithClock(p.now), server.WithTrustedProxies(c.TrustedProxy...),
		server.WithLimits(server.Limits{Body: int64(c.MaxBody), Target: 16 << 10, Header: 64 << 10}),
	}
	if c.AllowInsecureUpstreams {
		client = append(client, upstream.WithInsecure())
	}
	if tcp, ok := pretend.address.(*net.TCPAddr); ok {
		client = append(client, upstream.WithLoopback(tcp.AddrPort()))
		options = append(options, server.WithForwarded(sandbox.FaultHeader))
	}
	caller := upstream.New(client...)
	bases := w.bases(pretend.origin())
	var demo []accounts.Account
	if c.Sandbox {
		demo = w.demoAccounts(pretend.origin())
		for i := range demo {
			demo[i].Environment = demoEnvironmentOf(c.lasting())
		}
	}
	directory, err := c.directory(file, kept, demo, bases)
	if err != nil {
		return nil, err
	}
	if kept.db != nil {
		apps, err := p.oauthApps(w, pretend.origin())
		if err != nil {
			return nil, err
		}
		public, err := c.publicOrigin(listener)
		if err != nil {
			return nil, err
		}
		var store accounts.Store = kept.db
		if !c.lasting() {
			store = newDemoStore(kept.db, demo, p.now())
		}
		inner = append(inner, gateway.WithBaseURLs(bases), gateway.WithOAuth(oauth.NewKeeper(kept.db, caller.HTTP(c.UpstreamTimeout), p.now, log), apps))
		options = append(options, server.WithStore(store))
		if public != "" {
			options = append(options, server.WithPublicURL(public))
		}
	}
	return server.New(gateway.New(w.snapshot, engine.New(caller, p.now, engine.WithTimeout(c.UpstreamTimeout)), directory, inner...), directory, options...)
}

// publicOrigin is where customers reach the server; "" where that is not known.
func (c *serveCommand) publicOrigin(l net.Listener) (string, error) {
	if c.PublicURL == "" {
		return loopbackOrigin(l), nil
	}
	return publicOrigin(c.PublicURL)
}

// announce says where the API listens and, with pretend providers, how to try it.
func (c *serveCommand) announce(p *process, w *world, listener net.Listener) {
	origin := "http://" + listener.Addr().String()
	fmt.Fprintf(p.stdout, "portolan listens on %s\n", origin)
	if !c.Sandbox {
		return
	}
	for _, provider := range w.providers {
		if curl := w.demoCurl(origin, provider); curl != "" {
			fmt.Fprintf(p.stdout, "\n# %s\n%s\n", provider.Name(), curl)
		}
	}
	if !c.lasting() {
		fmt.Fprintf(p.stdout, "\n# the accounts that are kept in the database\ncurl %s \\\n  -H %s\n",
			quoted(origin+accountsPath), quoted("Authorization: Bearer "+demoAdminToken))
	}
}

// logger writes JSON lines to stderr.
func (p *process) logger(level string) *slog.Logger { return newLogger(p.stderr, level) }

func newLogger(out io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: l}))
}
