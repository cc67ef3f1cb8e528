// Package retry says how long to wait before trying again. Package agent/link
// uses it between attempts to reach the relay. It is pure: it never sleeps and
// reads no clock, so that a test needs neither.
package retry

import "time"

// Backoff is exponential backoff with full jitter: before the n-th attempt in
// a row the wait is anything from nothing to First·2ⁿ, never over Limit. Full
// jitter, since a relay that restarts has all its agents back at once, and
// they must not come back in step.
type Backoff struct {
	First time.Duration // ceiling of the first wait
	Limit time.Duration // ceiling of any wait
	// Settled is how long a success must have lasted before the next failure
	// begins at First again. A link that breaks at once every time must not
	// be dialled in a tight loop.
	Settled time.Duration
	Rand    func() float64 // in [0, 1)

	failures int
}

// Next returns how long to wait before the next attempt.
func (b *Backoff) Next() time.Duration {
	ceiling := b.First
	for i := 0; i < b.failures && ceiling < b.Limit; i++ {
		ceiling *= 2
	}
	b.failures++
	return time.Duration(b.Rand() * float64(min(ceiling, b.Limit)))
}

// Succeeded tells how long an attempt's success has lasted, when it ends.
func (b *Backoff) Succeeded(lasted time.Duration) {
	if lasted >= b.Settled {
		b.failures = 0
	}
}
