package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const testKeys = "k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// launch is start in a separate process, which stop ends with SIGKILL.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	command.Args[0] = "portolan" // TestMain runs the program under this name
	r := &running{stderr: &lockedBuffer{}, exit: make(chan int, 1)}
	command.Stderr = r.stderr
	stdout, out := io.Pipe()
	command.Stdout = out
	r.stdout = bufio.NewReader(stdout)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r.pid = command.Process.Pid
	r.stop = func() { _ = command.Process.Kill() }
	go func() {
		_ = command.Wait()
		_ = out.Close()
		r.exit <- command.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		r.stop()
		_ = stdout.Close()
		if t.Failed() {
			t.Logf("log of %s:\n%s", r.origin, r.stderr)
		}
	})
	r.origin = r.listensOn(t)
	go func() { _, _ = io.Copy(io.Discard, r.stdout) }()
	return r
}

func (r *running) listensOn(t *testing.T) string {
	t.Helper()
	line, err := r.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("does not start: %v\n%s", err, r.stderr)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, "portolan listens on "))
}

// command runs a command that must succeed, and returns its stdout.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	if code := run(t.Context(), args, strings.NewReader(""), &out, &problems); code != exitOK {
		t.Fatalf("portolan %s: exit %d\n%s", strings.Join(args, " "), code, &problems)
	}
	return strings.TrimSpace(out.String())
}

// ask sends body as JSON, unless it is nil, and returns the answer. header has further headers as
// names and values.
func (r *running) ask(t *testing.T, method, target, token string, body any, header ...string) (*http.Response, map[string]any) {
	t.Helper()
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, r.origin+target, sent)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return &http.Response{}, nil
	}
	defer func() { _ = res.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		t.Errorf("%s %s: %s: %v", method, target, res.Status, err)
	}
	return res, answer
}

// exchange sends req and returns the answer and its body.
func exchange(t *testing.T, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// must is ask; the answer must have this status.
func (r *running) must(t *testing.T, want int, method, target, token string, body any) map[string]any {
	t.Helper()
	res, answer := r.ask(t, method, target, token, body)
	if res.StatusCode != want {
		t.Fatalf("%s %s: %d %v\n%s", method, target, res.StatusCode, answer, r.stderr)
	}
	return answer
}
