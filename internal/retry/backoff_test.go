package retry_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/retry"
)

func TestCeilingDoublesUpToTheLimitAndStartsAgain(t *testing.T) {
	b := retry.Backoff{First: time.Second, Limit: 60 * time.Second, Settled: 30 * time.Second, Rand: func() float64 { return 0.5 }}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if got := b.Next(); got != want*time.Second/2 {
			t.Errorf("wait %d: %s, want half of %d s", i, got, want)
		}
	}
	b.Succeeded(29 * time.Second)
	if got := b.Next(); got != 30*time.Second {
		t.Errorf("after a short success: %s", got)
	}
	b.Succeeded(30 * time.Second)
	if got := b.Next(); got != time.Second/2 {
		t.Errorf("after a long success: %s", got)
	}
}

func TestWaitIsNeverOverTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := retry.Backoff{First: time.Second, Limit: time.Minute, Rand: func() float64 { return rapid.Float64Range(0, 0.999999).Draw(t, "rand") }}
		for range rapid.IntRange(1, 200).Draw(t, "attempts") {
			if wait := b.Next(); wait < 0 || wait > time.Minute {
				t.Fatalf("%s", wait)
			}
		}
	})
}
