package health

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/proto"
	"sallyport/relay/probe"
)

// State is how a connection does.
type State string

const (
	Unknown State = "unknown" // never pinged, not to be pinged, or nothing to ask
	Online  State = "online"
	Failing State = "failing"
	Offline State = "offline" // its agent is away, paused, or was lost on the way
)

const (
	// confirmations is how many checks in a row must speak against a state before
	// it changes for the worse. A success is believed at once.
	confirmations = 2
	// confirmAfter is how soon a first failure is looked at again.
	confirmAfter = 10 * time.Second
	// refusedMost is the longest pause between pings of a connection whose sign-in
	// is refused: nobody is waiting, and an application may count wrong passwords
	// for longer than package session, which serves people, holds back.
	refusedMost = time.Hour
)

// condition is a connection's state, and what has to be remembered for the next.
type condition struct {
	State   State
	Since   time.Time // zero: it was never pinged
	Message string    // of the last check
	memory
}

// memory is kept as JSON.
type memory struct {
	// Doubt is what the last checks found, where the state is still another, and
	// Doubted how many of them did, since DoubtSince.
	Doubt      State     `json:"doubt,omitempty"`
	Doubted    int       `json:"doubted,omitempty"`
	DoubtSince time.Time `json:"doubtSince,omitzero"`
	// Refused counts checks in a row that ended in a sign-in.
	Refused int `json:"refused,omitempty"`
	// Worked is what the connection looked like when it last worked.
	Worked   *look     `json:"worked,omitempty"`
	WorkedAt time.Time `json:"workedAt,omitzero"`
	Told     told      `json:"told,omitzero"`
}

// readMemory of a connection; none is fine.
func readMemory(text []byte) (m memory, err error) {
	if len(text) == 0 {
		return m, nil
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return memory{}, fmt.Errorf("read what is remembered of the connection's health: %w", err)
	}
	return m, nil
}

// stateOf is the state that a check speaks for.
func stateOf(found probe.Check) State {
	switch {
	case found.OK:
		return Online
	case found.Nothing:
		return Unknown
	case found.Step == probe.StepAgent:
		return Offline
	}
	return Failing
}

// observe takes in what a check found, and reports whether the state has
// changed by it.
func (c *condition) observe(found probe.Check, now time.Time) (changed bool) {
	is := stateOf(found)
	c.Message = found.Message
	if found.Code == proto.CodeSignInFailed {
		c.Refused++
	} else {
		c.Refused = 0
	}
	if is == c.State && !c.Since.IsZero() {
		c.Doubt, c.Doubted, c.DoubtSince = "", 0, time.Time{}
		return false
	}
	if c.Doubt != is {
		c.Doubt, c.Doubted, c.DoubtSince = is, 0, now
	}
	c.Doubted++
	if (is == Failing || is == Offline) && c.Doubted < confirmations {
		return false
	}
	changed = is != c.State
	c.State, c.Since = is, c.DoubtSince
	c.Doubt, c.Doubted, c.DoubtSince = "", 0, time.Time{}
	return changed
}

// next is when the connection is to be pinged again after a check, if it is to
// be pinged so often. jitter is in [0, 1): it keeps connections from falling
// into step.
func (c *condition) next(found probe.Check, every time.Duration, now time.Time, jitter float64) time.Time {
	wait := time.Duration(float64(every) * (0.9 + 0.2*jitter))
	switch {
	case c.Refused > 0: // never tried anew at once: a wrong password stays wrong
		for i := 1; i < c.Refused && wait < refusedMost; i++ {
			wait *= 2
		}
		wait = max(every, min(wait, refusedMost))
	case c.Doubted > 0:
		wait = min(wait, confirmAfter)
	}
	at := now.Add(wait)
	if found.NextSignIn.After(at) {
		at = found.NextSignIn
	}
	return at
}
