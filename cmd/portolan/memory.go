package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	loadPercent = 70              // by how much the heap may grow while loading: most of it lasts, and the peak counts
	heapFloor   = 11 << 20        // bytes that may be allocated until garbage is collected, however small the heap is
	minGarbage  = 4 << 20         // bytes for which it is worth to collect the garbage of an idle process
	memoryCheck = 5 * time.Second // how often the memory is tended
)

// tuneMemory tunes the garbage collector for loading, unless the environment does.
func (c *serveCommand) tuneMemory(p *process) *memoryTender {
	if _, set := p.lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(int64(c.MemoryLimit))
	}
	_, set := p.lookup("GOGC")
	if !set {
		debug.SetGCPercent(loadPercent)
	}
	return &memoryTender{tunes: !set}
}

// memoryTender tunes the garbage collector to the size of the heap, unless the environment sets
// GOGC, and returns unused memory to the system.
type memoryTender struct {
	tunes     bool
	cycles    uint64 // how often garbage was collected, when tend was last called
	collected uint64 // bytes that were allocated until memory was last returned
}

// run tends the memory until ctx ends.
func (m *memoryTender) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(memoryCheck):
			m.tend()
		}
	}
}

// tend lets the heap grow by its own size until garbage is collected, but at least by heapFloor. A
// process whose garbage was not collected since the last call is idle. If it was busy before, it
// returns the memory that it does not use any more.
func (m *memoryTender) tend() {
	read := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(read)
	cycles, allocated, live := read[0].Value.Uint64(), read[1].Value.Uint64(), read[2].Value.Uint64()
	if m.tunes {
		debug.SetGCPercent(int(max(100, 100*heapFloor/max(live, 1)))) //nolint:gosec // G115: at most 100*heapFloor
	}
	if cycles == m.cycles && allocated-m.collected > minGarbage {
		debug.FreeOSMemory()
		m.collected = allocated
	}
	m.cycles = cycles
}
