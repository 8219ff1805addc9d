package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	logDelay = 50 * time.Millisecond // the longest that a line below WARN waits
	logBytes = 32 << 10              // it does not wait if as many bytes do
)

// logBuffer writes log lines in batches, because a write for each call costs more than the line.
type logBuffer struct {
	mu      sync.Mutex
	out     io.Writer
	waiting []byte
	timer   *time.Timer // writes what is waiting; nil: nothing was written yet
}

// bufferedLogger returns a logger whose lines are written at the latest after logDelay, with the
// next line of at least WARN, or by flush.
func bufferedLogger(out io.Writer, level string) (log *slog.Logger, flush func()) {
	b := &logBuffer{out: out}
	return slog.New(flushingHandler{newLogger(b, level).Handler(), b}), b.flush
}

// Write adds a line. It never fails.
func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		if b.timer == nil {
			b.timer = time.AfterFunc(logDelay, b.flush)
		} else {
			b.timer.Reset(logDelay)
		}
	}
	if b.waiting = append(b.waiting, line...); len(b.waiting) >= logBytes {
		b.write()
	}
	return len(line), nil
}

func (b *logBuffer) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write()
}

func (b *logBuffer) write() {
	if len(b.waiting) > 0 {
		_, _ = b.out.Write(b.waiting)
		b.waiting = b.waiting[:0]
	}
}

// flushingHandler flushes after each record of at least WARN.
type flushingHandler struct {
	slog.Handler

	buffer *logBuffer
}

// Handle writes the record.
func (h flushingHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.buffer.flush()
	}
	return err
}

// WithAttrs returns a handler for records with attrs.
func (h flushingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return flushingHandler{h.Handler.WithAttrs(attrs), h.buffer}
}

// WithGroup returns a handler for records in a group.
func (h flushingHandler) WithGroup(name string) slog.Handler {
	return flushingHandler{h.Handler.WithGroup(name), h.buffer}
}
