package main

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// countingWriter counts writes.
type countingWriter struct {
	lockedBuffer

	writes atomic.Int32
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes.Add(1)
	return w.lockedBuffer.Write(p)
}

func (w *countingWriter) state() (lines, writes int) {
	return strings.Count(w.String(), "\n"), int(w.writes.Load())
}

func TestLogBuffer(t *testing.T) {
	var out countingWriter
	log, flush := bufferedLogger(&out, "info")
	expect := func(when string, lines, writes int) {
		t.Helper()
		if gotLines, gotWrites := out.state(); gotLines != lines || gotWrites != writes {
			t.Errorf("%s: %d lines in %d writes, want %d in %d", when, gotLines, gotWrites, lines, writes)
		}
	}
	log.Debug("left out")
	log.Info("one")
	log.Info("two")
	flush()
	expect("flushed", 2, 1)
	flush()
	expect("flushed again", 2, 1)
	log.With(slog.Int("a", 1)).WithGroup("g").Info("three")
	log.With(slog.Int("a", 1)).WithGroup("g").Warn("four")
	expect("after a warning", 4, 2)
	log.Info("five")
	for range 100 { // until the delay is over
		if lines, _ := out.state(); lines == 5 {
			break
		}
		time.Sleep(logDelay / 2)
	}
	expect("after the delay", 5, 3)
	for range 3000 {
		log.Info("many")
	}
	if lines, writes := out.state(); lines < 2000 || writes > 20 {
		t.Errorf("many: %d lines in %d writes", lines, writes)
	}
	flush()
	if lines, _ := out.state(); lines != 3005 {
		t.Errorf("at the end: %d lines", lines)
	}
}
