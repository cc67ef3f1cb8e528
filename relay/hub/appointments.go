package hub

import "time"

// appointments are the times at which agents are told to come back that find
// no place on the doorstep. When a relay has restarted, all agents knock within
// a second or two; each is given another time, so that they are let in as fast
// as the relay can take them and are turned away once, not again and again.
type appointments struct {
	next   time.Time // the next one
	rate   float64   // how many a second the relay takes, as it has shown
	since  time.Time // when counting began
	taken  int       // how many it has taken since then
	turned bool      // somebody was turned away since then: more would have come
}

const (
	// leastRate is how many are told to come within one second at least, and
	// mostRate at most, whatever was measured. A relay on two cores manages
	// some 1500 a second; just after its start it may look slower than it is,
	// and an appointment that is too late can't be taken back.
	leastRate, mostRate = 800, 5000
	// latestAppointment is the furthest.
	latestAppointment = 30 * time.Second
)

// make is when to come again: a second from now, or after those who were told
// before.
func (a *appointments) make(now time.Time) time.Duration {
	a.turned = true
	if soonest := now.Add(time.Second); a.next.Before(soonest) {
		a.next = soonest
	}
	at := a.next.Sub(now)
	if at >= latestAppointment {
		return latestAppointment
	}
	a.next = a.next.Add(time.Duration(float64(time.Second) / max(a.rate, leastRate)))
	return at
}

// took notes that a handshake has ended, and so how fast that goes.
func (a *appointments) took(now time.Time) {
	a.taken++
	counted := now.Sub(a.since)
	if counted < time.Second {
		return
	}
	if a.turned && counted < 5*time.Second {
		a.rate = min(float64(a.taken)/counted.Seconds(), mostRate)
	}
	a.since, a.taken, a.turned = now, 0, false
}
