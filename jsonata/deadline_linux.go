package jsonata

import (
	"syscall"
	"time"
)

// ofThread asks for the use of the calling thread alone. The package syscall has no name for it.
const ofThread = 1

// threadTime returns the processor time of the calling thread.
func threadTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(ofThread, &used); err != nil {
		panic(err) // cannot fail
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
