package hub

import (
	"testing"
	"time"
)

// TestAppointmentsAreSpread: of a crowd, each second's worth is told another
// time, and nobody a time that is far off.
func TestAppointmentsAreSpread(t *testing.T) {
	var a appointments
	now := time.Now()
	told := map[time.Duration]int{}
	for range 20 * perSecond {
		told[a.make(now, perSecond).Truncate(time.Second)]++
	}
	for second := time.Second; second <= 20*time.Second; second += time.Second {
		if n := told[second]; n != perSecond {
			t.Errorf("%d are told to come in second %s", n, second)
		}
	}
	clear(told)
	for range 100 * perSecond {
		at := a.make(now, perSecond)
		if at > latestAppointment {
			t.Fatalf("%s", at)
		}
		told[at.Truncate(time.Second)]++
	}
	if n := told[latestAppointment]; n > perSecond {
		t.Errorf("%d are told to come in the last second", n)
	}
	if at := a.make(now.Add(time.Hour), perSecond); at != time.Second {
		t.Errorf("after the crowd is gone: %s", at)
	}
}

// TestSlowRelayTellsFewerToCome each second, but not so few that they never do.
func TestSlowRelayTellsFewerToCome(t *testing.T) {
	for rate, want := range map[float64]int{200: 200, 0: leastPerSecond, 5000: perSecond} {
		var a appointments
		now, told := time.Now(), 0
		for range 2 * perSecond {
			if a.make(now, rate).Truncate(time.Second) == 2*time.Second {
				told++
			}
		}
		if told < want-1 || told > want+1 {
			t.Errorf("at a rate of %v, %d are told to come within a second, want %d", rate, told, want)
		}
	}
}
