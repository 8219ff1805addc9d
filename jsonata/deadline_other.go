//go:build !linux

package jsonata

import "time"

var began = time.Now()

// threadTime returns the time since the start of the process: only Linux counts the processor
// time of a thread.
func threadTime() time.Duration { return time.Since(began) }
