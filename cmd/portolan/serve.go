package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"time"

	"portolan/accounts"
	"portolan/engine"
	"portolan/sandbox"
	"portolan/server"
	"portolan/upstream"
)

type serveCommand struct {
	mappingFlags

	Listen                 string        `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address to serve at. This and every other flag of serve can also come from the environment: PORTOLAN_LISTEN."`
	Sandbox                bool          `help:"Play the providers as well, with a demo account for each."`
	Accounts               string        `placeholder:"FILE" help:"Tokens and integrated accounts."`
	AllowInsecureUpstreams bool          `help:"Let accounts have a base_url, and call any address. For tests."`
	UpstreamTimeout        time.Duration `default:"30s" help:"Deadline of one provider call."`
	Drain                  time.Duration `default:"20s" help:"How long calls in flight may take to finish when the process is stopped."`
	ResponsePolicy         server.Policy `default:"warn" enum:"off,warn,fail" help:"What to do about an answer that breaks the response schema: off, warn, fail."`
	MaxBody                size          `default:"1MiB" help:"Largest request body."`
	MemoryLimit            size          `default:"512MiB" help:"Memory from which on the garbage collector works harder; GOMEMLIMIT wins."`
	LogLevel               string        `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// Run serves until ctx ends. Nothing listens before everything is loaded.
func (c *serveCommand) Run(ctx context.Context, p *process) error {
	if !c.Sandbox && c.Accounts == "" {
		return usagef("serve needs accounts: --sandbox for demo ones, --accounts FILE for your own")
	}
	w, err := p.loadServable(c.mappingFlags)
	if err != nil {
		return err
	}
	c.tuneMemory(p)
	log := p.logger(c.LogLevel)
	var services []service
	var pretend net.Listener
	if c.Sandbox {
		if pretend, err = listen(ctx, "127.0.0.1:0"); err != nil {
			return err
		}
		defer func() { _ = pretend.Close() }()                                        // closed already where it was served
		play := sandbox.New(w.mounts(), p.now, sandbox.WithSlow(2*c.UpstreamTimeout)) // a slow provider outlasts the deadline
		services = append(services, service{newHTTPServer(play, log), pretend})
	}
	store, err := c.store(p, w, pretend)
	if err != nil {
		return err
	}
	handler, err := c.newServer(p, w, store, pretend, log)
	if err != nil {
		return err
	}
	api := newHTTPServer(handler, log)
	api.WriteTimeout = 3*c.UpstreamTimeout + 30*time.Second
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
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

// store holds the accounts of the file and, where the providers are played at pretend,
// the demo ones.
func (c *serveCommand) store(p *process, w *world, pretend net.Listener) (*accounts.Memory, error) {
	var tokens []accounts.StoredToken
	var list []accounts.Account
	if c.Accounts != "" {
		file, err := p.readAccounts(c.Accounts, w, accounts.Options{AllowInsecureUpstreams: c.AllowInsecureUpstreams})
		if err != nil {
			return nil, err
		}
		tokens, list = file.Tokens, accountsOf(file)
	}
	if pretend != nil {
		tokens = append(tokens, demoTokens()...)
		list = append(list, w.demoAccounts("http://"+pretend.Addr().String())...)
	}
	return accounts.NewMemory(tokens, list)
}

func (c *serveCommand) newServer(p *process, w *world, store server.Accounts, pretend net.Listener, log *slog.Logger) (*server.Server, error) {
	client := []upstream.Option{upstream.WithTimeout(c.UpstreamTimeout), upstream.WithClock(p.now)}
	options := []server.Option{
		server.WithLogger(log), server.WithClock(p.now), server.WithPolicy(c.ResponsePolicy),
		server.WithLimits(server.Limits{Body: int64(c.MaxBody), Target: 16 << 10, Header: 64 << 10}),
	}
	if c.AllowInsecureUpstreams {
		client = append(client, upstream.WithInsecure())
	}
	if pretend != nil {
		if tcp, ok := pretend.Addr().(*net.TCPAddr); ok {
			client = append(client, upstream.WithLoopback(tcp.AddrPort()))
		}
		options = append(options, server.WithForwarded(sandbox.FaultHeader))
	}
	return server.New(w.catalog, engine.New(upstream.New(client...), p.now), w.models, store, options...)
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
}

// logger writes JSON lines to stderr.
func (p *process) logger(level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(p.stderr, &slog.HandlerOptions{Level: l}))
}
