package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// After a burst, an idle process collects its garbage and returns the memory, once.
func TestIdleProcessReturnsMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	m := &memoryTender{}
	look := func() (forced uint32, kept uint64) {
		m.tend()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.NumForcedGC, s.HeapSys - s.HeapReleased
	}
	look()
	forced, before := look()
	burst := func() {
		for range 64 {
			runtime.KeepAlive(make([]byte, 1<<20))
		}
	}
	burst()
	runtime.GC() // the process is busy
	forced++
	if now, _ := look(); now != forced {
		t.Error("the garbage of a busy process was collected")
	}
	burst()
	if now, kept := look(); now != forced+1 || kept > before+16<<20 {
		t.Errorf("an idle process keeps %d bytes, %d before the burst; %d collections", kept, before, now-forced)
	}
	look() // sees the collection that it made
	if now, _ := look(); now != forced+1 {
		t.Error("an idle process collected garbage that it does not have")
	}
}

// A small heap may grow by heapFloor until garbage is collected, a large one by its own size.
func TestGarbageOfSmallHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent := func(tunes bool) int {
		runtime.GC()
		(&memoryTender{tunes: tunes}).tend()
		return debug.SetGCPercent(100)
	}
	var used runtime.MemStats
	got := percent(true)
	runtime.ReadMemStats(&used)
	if want := max(100, 100*heapFloor/int(used.HeapAlloc)); got < want*8/10 || got > want*12/10 {
		t.Errorf("%d %% of %d bytes, want about %d %%", got, used.HeapAlloc, want)
	}
	if got := percent(false); got != 100 {
		t.Errorf("GOGC is set, but it became %d", got)
	}
	large := make([]byte, 4*heapFloor)
	if got := percent(true); got != 100 {
		t.Errorf("%d %% of a large heap", got)
	}
	runtime.KeepAlive(large)
}
