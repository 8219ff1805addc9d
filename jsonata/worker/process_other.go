//go:build !linux

package worker

import (
	"os"
	"os/exec"
)

func ownProgram() (string, error) { return os.Executable() }

func detach(*exec.Cmd) {}

// limitMemory does nothing: only Linux has a reliable limit. The garbage collector and the deadline
// limit memory elsewhere.
func limitMemory(uint64) error { return nil }
