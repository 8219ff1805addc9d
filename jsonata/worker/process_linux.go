package worker

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// ownProgram names the running program, even if its file is replaced.
func ownProgram() (string, error) { return "/proc/self/exe", nil }

// detach makes the worker ignore a terminal's signals, and not inherit the files that this process
// was started with. Files that it opened itself are never inherited.
func detach(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	files, _ := os.ReadDir("/proc/self/fd") // without /proc, ownProgram does not exist either
	for _, f := range files {
		if fd, err := strconv.Atoi(f.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// limitMemory makes the system end this process if it maps that many bytes in addition to its
// present ones. It is also the first to be killed if the machine or container runs out of memory.
func limitMemory(more uint64) error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0o600) // not every system allows it
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("memory in use: %w", err)
	}
	first, _, _ := bytes.Cut(statm, []byte(" "))
	pages, err := strconv.ParseUint(string(first), 10, 64)
	if err != nil {
		return fmt.Errorf("memory in use: %w", err)
	}
	maximum := pages*uint64(os.Getpagesize()) + more //nolint:gosec // G115: some thousand
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &now); err != nil {
		return fmt.Errorf("memory limit: %w", err)
	}
	maximum = min(maximum, now.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: maximum, Max: maximum}); err != nil {
		return fmt.Errorf("memory limit: %w", err)
	}
	return nil
}

// processorTime returns the processor time of this process.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // cannot fail
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
