package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// process is a server in a process of its own.
type process struct {
	cmd     *exec.Cmd
	stdin   io.Closer
	address string // host and port
	log     *logReader
	readers sync.WaitGroup
}

// startProcess starts a command, hands it the setup, and waits for the line with its address.
func startProcess(cmd *exec.Cmd, s setup) (*process, error) {
	p := &process{cmd: cmd, log: &logReader{}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.readers.Go(func() { _, _ = io.Copy(p.log, stderr) })
	// A process that has ended before it reads its setup is found by the line that is missing.
	_ = json.NewEncoder(stdin).Encode(s)
	lines := bufio.NewReader(stdout)
	line, _ := lines.ReadString('\n')
	found := regexp.MustCompile(`http://(\S+)`).FindStringSubmatch(line)
	p.readers.Go(func() { _, _ = io.Copy(io.Discard, lines) })
	if found == nil {
		p.stop()
		return nil, fmt.Errorf("%s does not listen: %s%s", cmd, line, p.log.tail())
	}
	p.address = found[1]
	return p, nil
}

// stop ends the process and waits until its whole log is read. How it exits does not matter.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	p.readers.Wait()
	_ = p.cmd.Wait()
}

// logReader counts lines, and keeps the end for a message.
type logReader struct {
	lines atomic.Int64
	mu    sync.Mutex
	last  []byte
}

func (l *logReader) Write(data []byte) (int, error) {
	l.lines.Add(int64(bytes.Count(data, []byte("\n"))))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last[:0], data[max(0, len(data)-2000):]...)
	return len(data), nil
}

func (l *logReader) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.last)
}

// runRole runs a role of this program until it ends, and decodes what it prints. It returns
// the CPU time of the process.
func runRole(ctx context.Context, program, role string, in, out any) (time.Duration, error) {
	input, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, program, role)
	cmd.Stdin = bytes.NewReader(input)
	output, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return 0, fmt.Errorf("%s: %s", role, exit.Stderr)
	}
	if err != nil {
		return 0, err
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), json.Unmarshal(output, out)
}
