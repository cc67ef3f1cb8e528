package hub

import (
	"math/rand/v2"
	"time"
)

// appointments are the times at which agents are told to come back that find
// no place on the doorstep. When a relay has restarted, all agents knock within
// a second or two; each is given another time, so that most are turned away
// once and not again and again.
type appointments struct {
	next time.Time // the next one
}

const (
	// perSecond is how many are told to come within one second: about as many
	// as a relay on two cores can take beside its other work. At first, measuring
	// it would not help, since all are told within a second or two in which the
	// relay looks slower than it is; where proofs have come to wait for long, it
	// is as slow as it has been of late. Who comes and finds no place after all is
	// told another time, after everybody else.
	perSecond = 1000
	// leastPerSecond is for a relay that has hardly taken anybody in of late.
	leastPerSecond = 50
	// latestAppointment is the furthest. Who can't be given one before it comes
	// at some moment of the half before it.
	latestAppointment = time.Minute
)

// make is when to come again: a second from now, or after those who were told
// before, of whom so many come in a second.
func (a *appointments) make(now time.Time, rate float64) time.Duration {
	if soonest := now.Add(time.Second); a.next.Before(soonest) {
		a.next = soonest
	}
	at := a.next.Sub(now)
	if at >= latestAppointment {
		return latestAppointment/2 + rand.N(latestAppointment/2)
	}
	a.next = a.next.Add(time.Duration(float64(time.Second) / min(max(rate, leastPerSecond), perSecond)))
	return at
}
