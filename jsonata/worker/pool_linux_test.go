package worker

import (
	"errors"
	"fmt"
	"os"
	"strings"
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
