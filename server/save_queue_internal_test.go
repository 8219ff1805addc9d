package server

import (
	"context"
	"errors"
	"testing"
)

// A canceled caller leaves the queue, and the queue of an environment without saves is removed.
func TestSavesAreCancelled(t *testing.T) {
	s := newSaves()
	leave, err := s.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * maxSaves {
		if _, err := s.enter(gone, "a"); !errors.Is(err, context.Canceled) {
			t.Fatalf("a canceled caller: %v", err)
		}
	}
	other, err := s.enter(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	if len(s.environments) != 1 {
		t.Errorf("%d environments, want only a", len(s.environments))
	}
	leave()
	if len(s.environments) != 0 {
		t.Errorf("%d environments are left", len(s.environments))
	}
}
