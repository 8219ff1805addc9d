package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// settings say how long the benchmark takes.
type settings struct {
	repository string
	withNode   bool
	rounds     int
	warm       time.Duration // of every turn
	one, many  time.Duration // measured time of a turn with one client, and with many
	first      time.Duration // of the turn that warms a contestant up
}

// manyClients is the number of clients under load.
const manyClients = 16

// contestant is a server that does the job, or a part of it.
type contestant struct {
	name     string
	process  *process
	exchange exchange // what it is asked
	token    string
	logs     bool // a line for every call
	calls    int64
}

// sample is the outcome of one turn.
type sample struct {
	measured
	cpu    time.Duration // a call, of the contestant's process and its children
	rss    int64         // bytes at the end
	others float64       // share of the machine that went elsewhere
	known  bool          // whether others is
}

// round holds the turns of one contestant in one round.
type round struct{ one, many sample }

type bench struct {
	settings
	job         *job
	program     string // this program
	progress    io.Writer
	provider    *process
	contestants []*contestant
	turns       int64
}

// runBench runs the whole benchmark. It fails if a single answer is wrong.
func runBench(ctx context.Context, s settings, progress io.Writer) (*result, error) {
	b := &bench{settings: s, progress: progress}
	var err error
	if b.program, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.job, err = readJob(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "portolan-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer b.stop()
	if err := b.start(ctx, dir); err != nil {
		return nil, err
	}
	out := &result{at: time.Now(), machine: machine(ctx), rounds: make([][]round, len(b.contestants))}
	for _, c := range b.contestants {
		out.names = append(out.names, c.name)
		if _, err := b.turn(ctx, c, manyClients, b.first); err != nil {
			return nil, err
		}
	}
	for n := range b.rounds {
		b.say("round %d of %d", n+1, b.rounds)
		for i := range b.contestants {
			if n%2 == 1 { // nobody is always the first
				i = len(b.contestants) - 1 - i
			}
			c := b.contestants[i]
			one, err := b.turn(ctx, c, 1, b.one)
			if err != nil {
				return nil, err
			}
			many, err := b.turn(ctx, c, manyClients, b.many)
			if err != nil {
				return nil, err
			}
			out.rounds[i] = append(out.rounds[i], round{one, many})
		}
	}
	b.stop()
	for _, c := range b.contestants {
		out.calls += c.calls
		if lines := c.process.log.lines.Load(); c.logs && lines < c.calls {
			return nil, fmt.Errorf("%s has logged %d lines for %d calls", c.name, lines, c.calls)
		}
	}
	return out, nil
}

// start starts the provider, and then everybody who needs its address.
func (b *bench) start(ctx context.Context, dir string) error {
	b.say("building portolan")
	p, err := buildPortolan(ctx, b.repository, dir)
	if err != nil {
		return err
	}
	if b.provider, err = startProcess(b.role(ctx, providerRole), setup{}); err != nil {
		return err
	}
	s := setup{
		Provider: "http://" + b.provider.address, BasePath: b.job.Provider.BasePath,
		Account: b.job.Account.ID, Context: b.job.Account.Context,
	}
	if s.Token, err = p.prepare(ctx, b.repository, b.job, s.Provider); err != nil {
		return err
	}
	if err := b.add(&contestant{name: "hand-written", exchange: b.job.Unified, token: s.Token, logs: true}, b.role(ctx, byHandRole), s); err != nil {
		return err
	}
	if err := b.add(&contestant{name: "ReverseProxy", exchange: b.job.Provider}, b.role(ctx, proxyRole), s); err != nil {
		return err
	}
	if err := b.add(&contestant{name: "Portolan", exchange: b.job.Unified, token: s.Token, logs: true}, p.server(ctx), s); err != nil {
		return err
	}
	if !b.withNode {
		return nil
	}
	node, err := installNode(ctx, dir, filepath.Join(b.repository, "mappings", b.job.Integration, b.job.Model+".yaml"))
	if err != nil {
		b.say("without Node: %v", err)
		return nil
	}
	return b.add(&contestant{name: "Node", exchange: b.job.Unified, token: s.Token, logs: true}, node, s)
}

func (b *bench) role(ctx context.Context, role string) *exec.Cmd {
	return exec.CommandContext(ctx, b.program, role)
}

func (b *bench) add(c *contestant, cmd *exec.Cmd, s setup) error {
	var err error
	if c.process, err = startProcess(cmd, s); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	b.contestants = append(b.contestants, c)
	return nil
}

// stop ends what was started; a second time it does nothing.
func (b *bench) stop() {
	for _, c := range b.contestants {
		c.process.stop()
	}
	if b.provider != nil {
		b.provider.stop()
	}
}

// turn puts a load on one contestant, while the others wait.
func (b *bench) turn(ctx context.Context, c *contestant, clients int, d time.Duration) (sample, error) {
	l := load{
		Address: c.process.address, Exchange: c.exchange, Token: c.token,
		Clients: clients, First: b.turns << 32, Warm: b.warm, Measured: d,
	}
	b.turns++
	before, err := b.measure(ctx, c)
	if err != nil {
		return sample{}, err
	}
	var out sample
	loader, err := runRole(ctx, b.program, loaderRole, l, &out.measured)
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", c.name, err, c.process.log.tail())
	}
	after, err := b.measure(ctx, c)
	if err != nil {
		return sample{}, err
	}
	c.calls += int64(out.AllCalls)
	out.cpu = (after.contestant.cpu - before.contestant.cpu) / time.Duration(out.AllCalls)
	out.rss = after.contestant.rss
	elsewhere := after.machine - before.machine - (after.ours.cpu - before.ours.cpu) - loader
	out.others = max(0, float64(elsewhere)/float64(after.at.Sub(before.at))/float64(runtime.NumCPU()))
	out.known = after.known
	return out, nil
}

// reading is what has been used so far.
type reading struct {
	at         time.Time
	contestant usage
	ours       usage // of the benchmark and everything that it started
	machine    time.Duration
	known      bool
}

func (b *bench) measure(ctx context.Context, c *contestant) (reading, error) {
	var r reading
	var err error
	if r.contestant, err = usageOf(ctx, c.process.cmd.Process.Pid); err != nil {
		return r, fmt.Errorf("%s: %w", c.name, err)
	}
	if r.ours, err = usageOf(ctx, os.Getpid()); err != nil {
		return r, err
	}
	r.machine, r.known = machineTime()
	r.at = time.Now()
	return r, nil
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...)
}
