package gcpace

import (
	"math"
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
		if got := p.percentFor(live, 1<<30); got != want {
			t.Errorf("with %d MiB in use: %d %%, want %d %%", live>>20, got, want)
		}
	}
}

// TestPaceFollowsHowMuchGarbageIsMade: garbage that is made slowly is collected
// every 10 s or so, and does not gather until it is as much as what is in use.
func TestPaceFollowsHowMuchGarbageIsMade(t *testing.T) {
	p := &pace{headroom: 64 << 20}
	for _, c := range []struct {
		live uint64  // MiB
		rate float64 // MiB/s
		want int
	}{
		{100, 100, 100}, {100, 10, 100}, // busy
		{100, 8, 100}, {100, 6, 75}, {100, 2, 25}, {100, 0, 25},
		{10, 0.01, 50}, {1, 0.01, 400}, // 4 MiB may always gather
		{10, 100, 400},
	} {
		if got := p.percentFor(c.live<<20, c.rate*(1<<20)); got != c.want {
			t.Errorf("with %d MiB in use, and %v more made each second: %d %%, want %d %%", c.live, c.rate, got, c.want)
		}
	}
}

// TestRateIsNotMeasuredInAMoment, unless much was made in it.
func TestRateIsNotMeasuredInAMoment(t *testing.T) {
	now := time.Now()
	p, made := &pace{at: now}, uint64(0)
	for _, c := range []struct {
		after time.Duration
		made  uint64 // bytes, since the last
		want  float64
	}{{20 * time.Second, 20e6, 1e6}, {time.Millisecond, 1e5, 1e6}, {100 * time.Millisecond, 50e6, 50.1e6 / 0.101}, {10 * time.Second, 0, 0}} {
		now, made = now.Add(c.after), made+c.made
		if p.measure(now, made); math.Abs(p.rate-c.want) > 1 {
			t.Errorf("%d bytes in %s: %.0f a second, want %.0f", c.made, c.after, p.rate, c.want)
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
			garbage = make([]byte, 1<<20) // the program is busy
			runtime.GC()                  // its finalizers run soon after
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

// TestWhatABusyTimeLeftIsGivenBack, in look, which comes every 20 s.
func TestWhatABusyTimeLeftIsGivenBack(t *testing.T) {
	before := debug.SetGCPercent(1000) // nothing is collected by itself
	defer debug.SetGCPercent(before)
	runtime.GC()
	for range 64 {
		garbage = make([]byte, 1<<20)
	}
	held := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapSys - m.HeapReleased
	}
	p, was := &pace{}, held()
	p.look()
	if now := held(); now < was-was/4 {
		t.Errorf("before it was known to be quiet: %d MiB are held, of %d", now>>20, was>>20)
	}
	p.look()
	if now := held(); now > was/2 {
		t.Errorf("once it was quiet: %d MiB are held, of %d", now>>20, was>>20)
	}
}

var garbage []byte
