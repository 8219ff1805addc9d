package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, which is the same on every Linux.
const tick = time.Second / 100

// usage is what a process and its children use.
type usage struct {
	cpu time.Duration
	rss int64 // bytes
}

// usageOf reads the usage of the live processes below pid, itself included, from /proc, or
// from ps where there is no /proc.
func usageOf(ctx context.Context, pid int) (usage, error) {
	rows, err := procRows()
	if errors.Is(err, fs.ErrNotExist) {
		rows, err = psRows(ctx)
	}
	if err != nil {
		return usage{}, err
	}
	if _, ok := rows[pid]; !ok {
		return usage{}, fmt.Errorf("process %d has ended", pid)
	}
	var sum usage
	for id, row := range rows {
		for ancestor := id; ancestor != 0; ancestor = rows[ancestor].parent {
			if ancestor == pid {
				sum.cpu += row.cpu
				sum.rss += row.rss
				break
			}
		}
	}
	return sum, nil
}

type row struct {
	usage
	parent int
}

func procRows() (map[int]row, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, err
	}
	paths, err := filepath.Glob("/proc/[1-9]*/stat")
	if err != nil {
		return nil, err
	}
	rows := map[int]row{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil {
			return nil, err
		}
		// The second field is a name in parentheses, which may hold spaces.
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 22 {
			return nil, fmt.Errorf("%s has %d fields", path, len(fields))
		}
		n, err := integers(fields[1], fields[11], fields[12], fields[21]) // ppid, utime, stime, rss in pages
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		rows[pid] = row{usage{time.Duration(n[1]+n[2]) * tick, n[3] * int64(os.Getpagesize())}, int(n[0])}
	}
	return rows, nil
}

func psRows(ctx context.Context) (map[int]row, error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=,rss=,time=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	rows := map[int]row{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return nil, fmt.Errorf("ps prints %q", line)
		}
		n, err := integers(fields[:3]...)
		if err != nil {
			return nil, fmt.Errorf("ps: %w", err)
		}
		cpu, err := psTime(fields[3])
		if err != nil {
			return nil, fmt.Errorf("ps: %w", err)
		}
		rows[int(n[0])] = row{usage{cpu, n[2] << 10}, int(n[1])}
	}
	return rows, nil
}

// psTime reads "[[days-]hours:]minutes:seconds[.hundredths]".
func psTime(text string) (time.Duration, error) {
	total := 0.0
	if days, rest, ok := strings.Cut(text, "-"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil {
			return 0, err
		}
		total, text = n*24*60*60, rest
	}
	seconds := 0.0
	for part := range strings.SplitSeq(text, ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, err
		}
		seconds = seconds*60 + n
	}
	return time.Duration((total + seconds) * float64(time.Second)), nil
}

func integers(texts ...string) ([]int64, error) {
	out := make([]int64, len(texts))
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}

// machineTime is the CPU time that the machine has spent on processes, and that its host took
// away. It reports false where /proc does not tell. Interrupts are left out: the network's are
// caused by the benchmark, and belong to no process.
func machineTime() (time.Duration, bool) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, false
	}
	n, err := integers(fields[1], fields[2], fields[3], fields[8]) // user, nice, system, steal
	if err != nil {
		return 0, false
	}
	return time.Duration(n[0]+n[1]+n[2]+n[3]) * tick, true
}

// machine describes where the benchmark runs.
func machine(ctx context.Context) string {
	model := "unknown CPU"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(data), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.Trim(line, "\t :")
		}
	} else if out, err := exec.CommandContext(ctx, "sysctl", "-n", "machdep.cpu.brand_string").Output(); err == nil {
		model = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%s, %d cores, %s %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
