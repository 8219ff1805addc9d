package jsonata

import (
	"context"
	"errors"
	"runtime/metrics"
)

// maxAllocated is how much the process may allocate during one evaluation of an override, in
// bytes. It is far above the need of an evaluation, because other requests count too.
const maxAllocated = 256 << 20

// ErrMemory is the error of an evaluation that took too much memory.
var ErrMemory = errors.New("expression uses too much memory")

// memoryMeter is a context that also ends if the process has allocated too much since it began.
// gnata calls Err before every step, so a text that is doubled repeatedly is stopped in time. The
// allocations of one step count after it.
type memoryMeter struct {
	context.Context
	start  uint64
	sample [1]metrics.Sample
	calls  int // of Err
	over   bool
}

func withMemoryMeter(ctx context.Context) context.Context {
	m := &memoryMeter{Context: ctx}
	m.sample[0].Name = "/gc/heap/allocs:bytes"
	m.start = m.allocated()
	return m
}

func (m *memoryMeter) allocated() uint64 {
	metrics.Read(m.sample[:])
	return m.sample[0].Value.Uint64()
}

// Err returns the error of the inner context, or ErrMemory.
func (m *memoryMeter) Err() error {
	if err := m.Context.Err(); err != nil {
		return err
	}
	// Reading the metric costs a microsecond. Doubling a value takes at least four steps.
	if m.calls++; !m.over && m.calls%4 == 0 {
		m.over = m.allocated()-m.start > maxAllocated
	}
	if m.over {
		return ErrMemory
	}
	return nil
}
