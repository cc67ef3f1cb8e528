package throttle

import (
	"fmt"
	"testing"
	"time"
)

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func (c *clock) read() time.Time { return c.now }

func TestTriesRunOutAndComeBack(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	th := New(Options{Burst: 3, Every: time.Minute, Clock: c.read})
	for i := range 3 {
		if wait := th.Take("ada"); wait != 0 {
			t.Fatalf("try %d waits %v", i, wait)
		}
	}
	if wait := th.Take("ada"); wait != time.Minute {
		t.Errorf("waits %v, want 1m", wait)
	}
	if wait := th.Take("bob"); wait != 0 {
		t.Errorf("another key waits %v", wait)
	}
	c.now = c.now.Add(30 * time.Second)
	if wait := th.Take("ada"); wait != 30*time.Second {
		t.Errorf("waits %v, want 30s", wait)
	}
	c.now = c.now.Add(30 * time.Second)
	if wait := th.Take("ada"); wait != 0 {
		t.Errorf("waits %v after a minute", wait)
	}
	c.now = c.now.Add(-time.Hour) // a clock that is set back
	if wait := th.Take("ada"); wait != time.Minute {
		t.Errorf("waits %v, want 1m", wait)
	}
}

func TestAForgivenTryIsFree(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	th := New(Options{Burst: 1, Every: time.Minute, Clock: c.read})
	for range 10 {
		if wait := th.Take("ada"); wait != 0 {
			t.Fatalf("waits %v", wait)
		}
		th.Forgive("ada")
	}
	th.Forgive("ada")
	th.Take("ada")
	if th.Take("ada") == 0 {
		t.Error("forgiving gave more than the burst")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	th := New(Options{Burst: 1, Every: time.Minute, Clock: c.read})
	for i := range maxKeys + 10 {
		th.Take(fmt.Sprint(i))
	}
	if len(th.buckets) > maxKeys {
		t.Errorf("%d keys", len(th.buckets))
	}
}

func TestAnAddressIsOneCustomer(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"192.0.2.7:5123":       "192.0.2.7",
		"[::ffff:192.0.2.7]:1": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"[2001:db8:1:2::9]:80": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"@":                    "@",
		"":                     "",
	} {
		if got := ByAddress(address); got != want {
			t.Errorf("%q: got %q, want %q", address, got, want)
		}
	}
}
