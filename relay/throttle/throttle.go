// Package throttle slows down guessing. Packages account and registry use it
// where something is proved by a secret that a stranger may try: passwords,
// enrolment codes; package hub for connects that prove nothing, and package
// health for test notices. It keeps its counts in memory; a restart forgives.
package throttle

import (
	"net/netip"
	"sync"
	"time"
)

// Options of a Throttle.
type Options struct {
	Burst int           // tries that are free at first
	Every time.Duration // one more try becomes free in this time
	Clock func() time.Time
}

// maxKeys bounds the memory that strangers can make a Throttle use.
const maxKeys = 20_000

// Throttle is a token bucket for each key.
type Throttle struct {
	burst float64
	every time.Duration
	clock func() time.Time

	mu      sync.Mutex // guards buckets
	buckets map[string]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens was right
}

// New makes a Throttle.
func New(o Options) *Throttle {
	return &Throttle{burst: float64(o.Burst), every: o.Every, clock: o.Clock, buckets: make(map[string]bucket)}
}

// Take counts a try of key. It returns 0 where the try may go ahead, and else
// how long to wait before the next one. No key is nobody: not counted.
func (t *Throttle) Take(key string) time.Duration {
	if key == "" {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	tokens := t.tokens(key, now)
	if tokens < 1 {
		return time.Duration((1 - tokens) * float64(t.every))
	}
	if len(t.buckets) >= maxKeys {
		t.sweep(now)
	}
	t.buckets[key] = bucket{tokens: tokens - 1, at: now}
	return 0
}

// Forgive gives back the try that Take counted, because it was no guess.
func (t *Throttle) Forgive(key string) {
	if key == "" {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	t.buckets[key] = bucket{tokens: min(t.burst, t.tokens(key, now)+1), at: now}
}

// tokens is how many tries of key are free at the time now. mu is held.
func (t *Throttle) tokens(key string, now time.Time) float64 {
	b, ok := t.buckets[key]
	if !ok {
		return t.burst
	}
	// A clock that was set back must not take anything away.
	since := max(0, now.Sub(b.at))
	return min(t.burst, b.tokens+float64(since)/float64(t.every))
}

// sweep forgets full buckets, which are as good as none; where that frees
// nothing, strangers flood us with keys, and it forgets all. mu is held.
func (t *Throttle) sweep(now time.Time) {
	for key := range t.buckets {
		if t.tokens(key, now) >= t.burst {
			delete(t.buckets, key)
		}
	}
	if len(t.buckets) >= maxKeys {
		clear(t.buckets)
	}
}

// ByAddress is the key of a caller's network address, with or without a port.
// One IPv6 customer has at least a /64, so that is what counts as one caller.
func ByAddress(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		port, err := netip.ParseAddrPort(address)
		if err != nil {
			return address
		}
		ip = port.Addr()
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return prefix.String()
}
