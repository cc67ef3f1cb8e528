package health

import "time"

// noticesAnHour is how many changes of one connection are told within an hour.
// One that flaps is then told of once, when the hour allows it.
const noticesAnHour = 6

// told is how often somebody was told of a connection lately.
type told struct {
	At        []time.Time `json:"at,omitempty"`   // within the last hour
	Held      int         `json:"held,omitempty"` // changes since that were not told
	HeldSince time.Time   `json:"heldSince,omitzero"`
}

// may reports whether another notice may go out now, and counts it if so.
func (t *told) may(now time.Time) bool {
	kept := t.At[:0:0]
	for _, at := range t.At {
		if now.Sub(at) < time.Hour && !at.After(now) {
			kept = append(kept, at)
		}
	}
	t.At = kept
	if len(t.At) >= noticesAnHour {
		return false
	}
	t.At = append(t.At, now)
	return true
}

// hold counts a change that is not told.
func (t *told) hold(now time.Time) {
	if t.Held == 0 {
		t.HeldSince = now
	}
	t.Held++
}

// occasion is what there is to tell after a check.
type occasion int

const (
	nothing  occasion = iota
	aChange           // that was just found
	aSummary          // of changes that were not told
)

// after decides what is told after a check that changed the state, or did not.
func (t *told) after(changed bool, now time.Time) occasion {
	switch {
	case t.Held > 0:
		if changed {
			t.hold(now)
		}
		if t.may(now) {
			return aSummary // the caller reads Held and then calls release
		}
		return nothing
	case !changed:
		return nothing
	case t.may(now):
		return aChange
	}
	t.hold(now)
	return nothing
}

// release forgets what was held: it is told now.
func (t *told) release() { t.Held, t.HeldSince = 0, time.Time{} }
