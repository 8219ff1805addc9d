//go:build !linux || (!amd64 && !arm64)

package worker

// confine does nothing: only Linux has such filters.
func confine() error { return nil }
