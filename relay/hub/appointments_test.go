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
	perSecond := map[time.Duration]int{}
	for range 20 * firstRate {
		perSecond[a.make(now).Truncate(time.Second)]++
	}
	for second := time.Second; second <= 20*time.Second; second += time.Second {
		if n := perSecond[second]; n != firstRate {
			t.Errorf("%d are told to come in second %s", n, second)
		}
	}
	for range 100 * firstRate {
		if at := a.make(now); at > latestAppointment {
			t.Fatalf("%s", at)
		}
	}
	if at := a.make(now.Add(time.Hour)); at != time.Second {
		t.Errorf("after the crowd is gone: %s", at)
	}
}

// TestAppointmentsFollowWhatTheRelayManages, but one slow second is believed
// by half only.
func TestAppointmentsFollowWhatTheRelayManages(t *testing.T) {
	for _, perSecond := range []int{200, 1000, 2000} {
		var a appointments
		now := time.Now()
		for range 4 * perSecond {
			now = now.Add(time.Second / time.Duration(perSecond))
			a.make(now) // there is always somebody else
			a.took(now)
		}
		now = now.Add(time.Hour)
		first := a.make(now)
		told := max(perSecond, firstRate/4) // after two slow seconds
		for range told - 1 {
			a.make(now)
		}
		if span := (a.make(now) - first).Seconds(); span < .9 || span > 1.1 {
			t.Errorf("at %d a second, as many are told to come within %.2f s", perSecond, span)
		}
	}
}
