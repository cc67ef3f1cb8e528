package gcpace

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestPaceFollowsTheHeap(t *testing.T) {
	p := &pace{headroom: 64 << 20}
	for live, want := range map[uint64]int{
		0: 400, 1 << 20: 400, 16 << 20: 400, 20 << 20: 300, 32 << 20: 200, 40 << 20: 150, 64 << 20: 100, 1 << 30: 100,
	} {
		if got := p.percentFor(live); got != want {
			t.Errorf("with %d MiB in use: %d %%, want %d %%", live>>20, got, want)
		}
	}
}

func TestPaceIsChosenAnewAfterEachCollection(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	Relax(32 << 20)
	percent := func(want int) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			runtime.GC() // its finalizers run soon after
			got := debug.SetGCPercent(100)
			debug.SetGCPercent(got)
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the pace is %d %%, want %d %%", got, want)
			}
			time.Sleep(time.Millisecond)
		}
	}
	percent(400)
	held := make([]byte, 64<<20)
	percent(100)
	runtime.KeepAlive(held)
	held = nil
	percent(400)
}
