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
		told[a.make(now).Truncate(time.Second)]++
	}
	for second := time.Second; second <= 20*time.Second; second += time.Second {
		if n := told[second]; n != perSecond {
			t.Errorf("%d are told to come in second %s", n, second)
		}
	}
	clear(told)
	for range 100 * perSecond {
		at := a.make(now)
		if at > latestAppointment {
			t.Fatalf("%s", at)
		}
		told[at.Truncate(time.Second)]++
	}
	if n := told[latestAppointment]; n > perSecond {
		t.Errorf("%d are told to come in the last second", n)
	}
	if at := a.make(now.Add(time.Hour)); at != time.Second {
		t.Errorf("after the crowd is gone: %s", at)
	}
}
