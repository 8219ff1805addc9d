package jsonata

import (
	"context"
	"errors"
	"runtime/metrics"
)

// maxAllocated is how much the process may allocate during one evaluation of an override,
// in bytes. It is far above what any evaluation needs, because other requests count too.
const maxAllocated = 256 << 20

// ErrMemory is an evaluation that took too much memory.
var ErrMemory = errors.New("expression uses too much memory")

// memoryMeter is a context that also ends when the process has allocated too much since it
// was made. The evaluator asks for a context's error before every step of an expression,
// so text that doubles and doubles is stopped in time; what one step allocates is not seen
// before it is done.
type memoryMeter struct {
	context.Context
	start  uint64
	sample [1]metrics.Sample
	asked  int
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

// Err is that of the context below, or ErrMemory.
func (m *memoryMeter) Err() error {
	if err := m.Context.Err(); err != nil {
		return err
	}
	// Looking costs a microsecond, and a value cannot double in fewer than four steps.
	if m.asked++; !m.over && m.asked%4 == 0 {
		m.over = m.allocated()-m.start > maxAllocated
	}
	if m.over {
		return ErrMemory
	}
	return nil
}
