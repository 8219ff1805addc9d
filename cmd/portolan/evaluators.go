package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"portolan/jsonata"
)

const (
	// evaluatorStart is how long an evaluator may take to begin with what it is asked, its
	// own start included. A busy machine is no fault.
	evaluatorStart = 15 * time.Second
	// evaluatorGrace is how much longer than its deadline an evaluation may take, before its
	// process is killed. Mostly that ends it itself, and earlier.
	evaluatorGrace = 2 * time.Second
	// evaluatorAttempts is how many evaluators are asked: one may have died since the last time.
	evaluatorAttempts = 2
)

// evaluators are processes of this program that evaluate overrides, at most one a
// processor, each started when it is first needed. They have no environment and no files
// but their pipes. It is safe for concurrent use.
type evaluators struct {
	timeout time.Duration   // of one evaluation
	open    context.Context // the lifetime of all
	shut    context.CancelFunc
	idle    chan *evaluator // nil: one that can be started
}

// evaluator is one process.
type evaluator struct {
	command *exec.Cmd
	ask     *os.File
	answer  *os.File
	spent   bool // it is being killed, or was
}

func newEvaluators(timeout time.Duration) *evaluators {
	e := &evaluators{timeout: timeout, idle: make(chan *evaluator, runtime.NumCPU())}
	e.open, e.shut = context.WithCancel(context.Background())
	for range cap(e.idle) {
		e.idle <- nil
	}
	return e
}

// close ends all evaluations and waits for the end of all processes.
func (e *evaluators) close() {
	e.shut()
	for range cap(e.idle) {
		if v := <-e.idle; v != nil {
			v.end()
		}
	}
}

// Compile compiles source in one of the processes. With Evaluate, it makes a jsonata.Apart.
func (e *evaluators) Compile(ctx context.Context, source string) error {
	_, _, err := e.ask(ctx, jsonata.ApartQuestion{Source: source, Compile: true})
	return err
}

// Evaluate evaluates source in one of the processes.
func (e *evaluators) Evaluate(ctx context.Context, source string, bindings map[string]any) (any, bool, error) {
	return e.ask(ctx, jsonata.ApartQuestion{Source: source, Bindings: bindings})
}

// ask waits for a process and asks it.
func (e *evaluators) ask(ctx context.Context, question jsonata.ApartQuestion) (any, bool, error) {
	var v *evaluator
	select {
	case <-e.open.Done():
		return nil, false, jsonata.ErrApart
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	case v = <-e.idle:
	}
	defer func() { e.idle <- v }() // also gives close what it waits for
	var err error
	for range evaluatorAttempts {
		if v == nil {
			if v, err = startEvaluator(e.timeout); err != nil {
				continue
			}
		}
		var answer *jsonata.ApartAnswer
		var taken bool
		answer, taken, err = e.try(ctx, v, question)
		if v.spent = v.spent || err != nil; v.spent {
			v.end()
			v = nil
		}
		if err == nil {
			return answer.Result()
		}
		if taken || ctx.Err() != nil || e.open.Err() != nil {
			return nil, false, err
		}
	}
	return nil, false, fmt.Errorf("%w: %w", jsonata.ErrApart, err)
}

// try asks v once. After an error nothing more can be asked of it; taken says that it had
// begun.
func (e *evaluators) try(ctx context.Context, v *evaluator, question jsonata.ApartQuestion) (_ *jsonata.ApartAnswer, taken bool, err error) {
	kill := func() { _ = v.command.Process.Kill() } // what is dead already is what is wanted
	var late atomic.Bool
	timer := time.AfterFunc(evaluatorStart, func() { late.Store(true); kill() })
	keeps := []func() bool{timer.Stop, context.AfterFunc(ctx, kill), context.AfterFunc(e.open, kill)} //nolint:contextcheck // the end of all is another's
	defer func() {
		for _, keep := range keeps {
			v.spent = !keep() || v.spent // a kill that comes late must not meet the next question
		}
	}()
	answer, err := jsonata.AskApart(v.answer, v.ask, question, func() {
		taken = true
		timer.Reset(e.timeout + evaluatorGrace)
	})
	switch {
	case err == nil:
		return answer, taken, nil
	case ctx.Err() != nil:
		return nil, taken, context.Cause(ctx)
	case e.open.Err() != nil:
		return nil, taken, jsonata.ErrApart
	case taken && late.Load():
		return nil, taken, jsonata.ErrOverrun
	case taken: // it died of what it was asked
		return nil, taken, jsonata.ErrMemory
	default:
		return nil, taken, err
	}
}

// startEvaluator starts a process. Nothing of this one's environment, where master keys may
// be, is handed on.
func startEvaluator(timeout time.Duration) (*evaluator, error) {
	program, err := ownProgram()
	if err != nil {
		return nil, err
	}
	questions, ask, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = questions.Close() }()
	answer, answers, err := os.Pipe()
	if err != nil {
		_ = ask.Close()
		return nil, err
	}
	defer func() { _ = answers.Close() }()
	v := &evaluator{ask: ask, answer: answer, command: &exec.Cmd{
		Path: program, Args: []string{"portolan", "evaluate", "--eval-timeout", timeout.String()}, Env: []string{}, Stdin: questions, Stdout: answers,
	}}
	detach(v.command)
	if err := v.command.Start(); err != nil {
		v.closePipes()
		return nil, err
	}
	return v, nil
}

// end kills the process and waits for its end.
func (v *evaluator) end() {
	_ = v.command.Process.Kill()
	_ = v.command.Wait() // killed, or dead before: neither is news
	v.closePipes()
}

func (v *evaluator) closePipes() {
	_ = v.ask.Close()
	_ = v.answer.Close()
}
