package main

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The memory of a server cannot be read by other processes of the same user.
func TestServeHidesItsMemory(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	start(t, "--sandbox")
	if got, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); got != 0 || err != nil {
		t.Errorf("dumpable %d, %v", got, err)
	}
}
