package processors

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"sallyport/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestChoice(t *testing.T) {
	var c choice
	second := func(load float64, seconds int) (changes int) {
		for range seconds {
			if c.changes(load, time.Second) {
				changes++
			}
		}
		return changes
	}
	for _, step := range []struct {
		load    float64
		seconds int
		changes int
		one     bool
	}{
		{1.9, 10, 0, false},
		{0.5, 4, 0, false},
		{0.7, 1, 0, false}, // the calm is over
		{0.5, 4, 0, false},
		{0.5, 1, 1, true},
		{0.8, 10, 0, true}, // more than little, but one is enough
		{0.9, 1, 1, false},
		{0, 5, 1, true},
	} {
		if changes := second(step.load, step.seconds); changes != step.changes || c.one != step.one {
			t.Fatalf("load of %v for %d s: changed %d times, one: %v; want %d, %v", step.load, step.seconds, changes, c.one, step.changes, step.one)
		}
	}
}

func TestNumberFollowsTheLoad(t *testing.T) {
	runtime.SetDefaultGOMAXPROCS() // go test -cpu has its own
	all := runtime.GOMAXPROCS(0)
	if all == 1 {
		t.Skip("this machine has one processor")
	}
	t.Cleanup(runtime.SetDefaultGOMAXPROCS)
	synctest.Test(t, func(t *testing.T) {
		var percent atomic.Int64 // the load
		end, spent, at := make(chan struct{}), time.Duration(0), time.Now()
		go follow(zap.NewNop(), end, func() time.Duration {
			spent += time.Since(at) / 100 * time.Duration(percent.Load())
			at = time.Now()
			return spent
		})
		after := func(load int64, wait time.Duration, want int) {
			t.Helper()
			percent.Store(load)
			time.Sleep(wait)
			synctest.Wait()
			if have := runtime.GOMAXPROCS(0); have != want {
				t.Errorf("%d processors, want %d", have, want)
			}
		}
		after(30, calm-often, all)
		after(30, 2*often, 1)
		after(100, 2*often, all)
		after(0, calm+seldom, 1)
		after(100, 2*seldom, all) // it was idle, and looked at seldom
		after(10, calm+seldom, 1)
		close(end)
		after(0, 0, all)
	})
}

func TestTimeThatTheProcessHasBeenRunning(t *testing.T) {
	before, err := used()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, time.Minute, "it has run for a while", func() error {
		for x := range 1 << 20 {
			_ = x
		}
		now, err := used()
		if err == nil && now-before < 20*time.Millisecond {
			err = fmt.Errorf("for %s", now-before)
		}
		return err
	})
}

func TestEnvironmentTakesItsPlace(t *testing.T) {
	t.Setenv("GOMAXPROCS", "7")
	Follow(zap.NewNop())() // goleak: it has begun nothing
}
