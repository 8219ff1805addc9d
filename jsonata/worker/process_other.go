//go:build !linux

package worker

import (
	"os"
	"os/exec"
)

func ownProgram() (string, error) { return os.Executable() }

func detach(*exec.Cmd) {}

// limitMemory leaves it to the garbage collector and to the deadline: elsewhere the system
// has no limit that holds.
func limitMemory(uint64) error { return nil }
