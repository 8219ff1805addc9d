package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"portolan/jsonata"
)

// The system ends what one step makes of little, before it is made.
func TestWorkerMemoryIsLimited(t *testing.T) {
	p := newTestPool(t, time.Minute)
	source := `( $s := $reduce([1..23], function($t, $i) { $t & $t }, "0123456789"); { "n": $count($split($s, "")) } )` // 1.3 GiB
	if v, _, err := p.Evaluate(t.Context(), source, nil); !errors.Is(err, jsonata.ErrMemory) {
		t.Errorf("gave %v, %v", v, err)
	}
	for range cap(p.idle) {
		if w := <-p.idle; w != nil {
			t.Error("the worker outlived it")
			w.kill()
		}
		p.idle <- nil
	}
}

// A worker has neither the environment of this process nor its files.
func TestWorkerInheritsNothing(t *testing.T) {
	t.Setenv("PORTOLAN_MASTER_KEYS", "canary")
	p := newTestPool(t, time.Minute)
	if _, _, err := p.Evaluate(t.Context(), `1`, nil); err != nil {
		t.Fatal(err)
	}
	proc := fmt.Sprintf("/proc/%d/", p.idleOne(t).command.Process.Pid)
	if environ, err := os.ReadFile(proc + "environ"); err != nil || len(environ) > 0 {
		t.Errorf("environment %q, %v", environ, err)
	}
	files, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		target, _ := os.Readlink(proc + "fd/" + f.Name())
		switch {
		case f.Name() == "2" && target == os.DevNull:
		case f.Name() < "2" && strings.HasPrefix(target, "pipe:"):
		case strings.HasPrefix(target, "anon_inode:"), strings.HasPrefix(target, "/sys/fs/cgroup/"): // of its own runtime
		default:
			t.Errorf("file %s is %s", f.Name(), target)
		}
	}
	threads, err := filepath.Glob(proc + "task/*/status")
	if err != nil || len(threads) < 2 {
		t.Fatalf("threads %q, %v", threads, err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t1\n") || !strings.Contains(string(status), "Seccomp:\t2\n") {
			t.Errorf("%s: %v %s", thread, err, status)
		}
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if strings.HasPrefix(line, "Max address space") && strings.Contains(line, "unlimited") {
			t.Error(line)
		}
	}
}

// tryConfined prints what this process can still do after confine.
func tryConfined() {
	if err := confine(); err != nil {
		fmt.Println(err)
	}
	attempts := map[string]func() error{
		"reads a file":     func() error { _, err := os.ReadFile("/proc/self/status"); return err },
		"makes a file":     func() error { _, err := os.Create("/tmp/portolan-confined"); return err },
		"removes a file":   func() error { return syscall.Unlink("/nowhere") },
		"makes a socket":   func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
		"makes a program":  func() error { return exec.Command("/bin/true").Run() },
		"ends its parent":  func() error { return syscall.Kill(syscall.Getppid(), 0) },
		"gains privileges": func() error { return syscall.Setuid(0) },
		"looks at memory":  func() error { return syscall.PtraceAttach(syscall.Getppid()) },
	}
	for what, attempt := range attempts {
		if err := attempt(); !errors.Is(err, syscall.EPERM) {
			fmt.Println(what, err)
		}
	}
	done := make(chan []byte)
	for range 100 { // threads, memory and time still work
		go func() { time.Sleep(time.Millisecond); done <- make([]byte, 1<<20) }()
	}
	for range 100 {
		<-done
	}
	runtime.GC()
	fmt.Println("done")
}

// A worker has no use of files, connections or programs, and cannot get it.
func TestConfine(t *testing.T) {
	program, err := ownProgram()
	if err != nil {
		t.Fatal(err)
	}
	out, err := (&exec.Cmd{Path: program, Args: []string{"worker", "confined"}}).CombinedOutput()
	if err != nil || string(out) != "done\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
