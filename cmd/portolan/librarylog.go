package main

import "log/slog"

// libraryLog is the output of the standard logger. The HTTP transport writes there what a provider
// sent between two answers, which may be data of any account, so that only its length is logged.
type libraryLog struct{ log *slog.Logger }

// Write logs the length of p.
func (w libraryLog) Write(p []byte) (int, error) {
	w.log.Warn("message of a library left out: it may quote a provider", slog.Int("bytes", len(p)))
	return len(p), nil
}
