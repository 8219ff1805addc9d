package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"portolan/jsonata"
)

const (
	// processMemory is how much a worker may map in addition to its memory at the start, in bytes.
	// An expression may allocate 256 MiB, and one step may double that.
	processMemory = 768 << 20
	// processHeap is the soft limit of the garbage collector, in bytes.
	processHeap = 384 << 20
	// stepGrace is how long after its deadline a request may end: the processor time of one step.
	stepGrace = 500 * time.Millisecond
	// maxCompiled is how many expressions a worker keeps compiled.
	maxCompiled = 500
	// maxRegexps is the total size of the regular expressions that a worker compiles before it ends,
	// in instructions: gnata keeps them for ever. They take up to 75 MiB.
	maxRegexps = 5 * jsonata.MaxRegexpSize
)

// errEndless means that an evaluation is still running after its deadline.
var errEndless = errors.New("an evaluation does not end")

// Serve makes this process a worker: it limits its memory and its rights, and responds on out to the
// requests on in, one after the other, until in ends or it has compiled maxRegexps. It ignores that ctx ends, because the pool ends its
// workers. After an error the process must end, because an evaluation may still be running.
func Serve(ctx context.Context, language *jsonata.Language, in io.Reader, out io.Writer) error {
	runtime.GOMAXPROCS(2) // one to evaluate, one to collect garbage and look at the time
	debug.SetMemoryLimit(processHeap)
	if err := limitMemory(processMemory); err != nil {
		return err
	}
	if err := confine(); err != nil {
		return err
	}
	return serve(context.WithoutCancel(ctx), language, in, out)
}

func serve(ctx context.Context, language *jsonata.Language, in io.Reader, out io.Writer) error {
	s := server{language: language, compiled: map[string]*jsonata.Expr{}}
	for s.regexps < maxRegexps {
		frame, err := readFrame(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
		req, err := decodeRequest(frame)
		if err != nil {
			return err
		}
		if err := writeFrame(out, nil); err != nil { // the request is accepted
			return fmt.Errorf("respond: %w", err)
		}
		res := inTime(language.EvalTimeout()+stepGrace, processorTime, func() *response { return s.respond(ctx, req) })
		if err := writeFrame(out, res.encode()); err != nil {
			return fmt.Errorf("respond: %w", err)
		}
		if res == endless {
			return errEndless
		}
	}
	return nil
}

// server is the state of a worker.
type server struct {
	language *jsonata.Language
	compiled map[string]*jsonata.Expr // by source
	regexps  int                      // total size of the regular expressions compiled so far
}

// respond compiles the request's source, unless it is compiled already, and evaluates it.
func (s *server) respond(ctx context.Context, req *request) *response {
	x := s.compiled[req.source]
	if x == nil {
		var err error
		if x, err = s.language.CompileUntrusted(ctx, req.source); err != nil {
			return responseOf(nil, false, err)
		}
		if len(s.compiled) >= maxCompiled {
			clear(s.compiled)
		}
		s.compiled[req.source] = x
		s.regexps += x.RegexpSize()
	}
	if req.compile {
		return &response{}
	}
	return responseOf(x.Eval(ctx, req.bindings))
}

// endless is the response to a request that does not end in time.
var endless = responseOf(nil, false, jsonata.ErrOverrun)

// inTime returns what do returns, or endless if used, the processor time of this process, grows by
// limit. A process that waits for a processor gets more time.
func inTime(limit time.Duration, used func() time.Duration, do func() *response) *response {
	done := make(chan *response, 1)
	end := used() + limit
	go func() { done <- do() }()
	for {
		late := time.NewTimer(end - used())
		select {
		case res := <-done:
			late.Stop()
			return res
		case <-late.C:
			if used() >= end {
				return endless
			}
		}
	}
}
