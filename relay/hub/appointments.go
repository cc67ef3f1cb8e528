package hub

import (
	"cmp"
	"time"
)

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
	// firstRate is how many are told to come within one second while nothing
	// better is known, and leastRate and mostRate whatever was measured. A relay
	// on two cores manages some 1500 a second.
	firstRate, leastRate, mostRate = 800, 100, 5000
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
	a.next = a.next.Add(time.Duration(float64(time.Second) / cmp.Or(a.rate, firstRate)))
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
		// Just after its start a relay may look slower than it is, and an
		// appointment that is too late can't be taken back: a second that was
		// slow is believed by half.
		shown := min(max(float64(a.taken)/counted.Seconds(), leastRate), mostRate)
		a.rate = max(shown, cmp.Or(a.rate, firstRate)/2)
	}
	a.since, a.taken, a.turned = now, 0, false
}
