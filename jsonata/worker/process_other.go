//go:build !linux

package worker

import (
	"os"
	"os/exec"
	"time"
)

func ownProgram() (string, error) { return os.Executable() }

func detach(*exec.Cmd) {}

// limitMemory does nothing: only Linux has a reliable limit. The garbage collector and the deadline
// limit memory elsewhere.
func limitMemory(uint64) error { return nil }

var began = time.Now()

// processorTime returns the time since the start of the process: not every system counts its
// processor time.
func processorTime() time.Duration { return time.Since(began) }
