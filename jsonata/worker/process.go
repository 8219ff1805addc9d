package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
)

// process is a running worker.
type process struct {
	command *exec.Cmd
	pipes
	killed bool // or a kill is under way
}

// pipes are the pool's ends of a worker's pipes.
type pipes struct {
	requests  io.WriteCloser
	responses io.ReadCloser
}

// start starts a worker without this process's environment, which may contain master keys.
func start(command []string) (*process, error) {
	program, err := ownProgram()
	if err != nil {
		return nil, err
	}
	in, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	responses, out, err := os.Pipe()
	if err != nil {
		_ = requests.Close()
		return nil, err
	}
	defer func() { _ = out.Close() }()
	w := &process{
		command: &exec.Cmd{Path: program, Args: command, Env: []string{}, Stdin: in, Stdout: out},
		pipes:   pipes{requests: requests, responses: responses},
	}
	detach(w.command)
	if err := w.command.Start(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// kill kills the worker and waits until it has ended.
func (w *process) kill() {
	_ = w.command.Process.Kill()
	_ = w.command.Wait() // killed, or ended before: both are fine
	w.close()
}

// exchange sends a request and reads the response. It calls started when the worker accepts the
// request. The result has at most so many values. After an error the pipes cannot be used.
func (p *pipes) exchange(frame []byte, values int, started func()) (*response, error) {
	if err := writeFrame(p.requests, frame); err != nil {
		return nil, err
	}
	if first, err := readFrame(p.responses); err != nil {
		return nil, fmt.Errorf("the worker did not accept the request: %w", err)
	} else if len(first) > 0 {
		return nil, fmt.Errorf("the worker sent %d bytes before it accepted the request", len(first))
	}
	started()
	res, err := readFrame(p.responses)
	if err != nil {
		return nil, err
	}
	return decodeResponse(res, values)
}

func (p *pipes) close() {
	_ = p.requests.Close()
	_ = p.responses.Close()
}
