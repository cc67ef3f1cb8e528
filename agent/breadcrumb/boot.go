package breadcrumb

import "time"

// Boot is one start of the machine.
type Boot struct {
	ID string    `json:"id,omitempty"` // of the system's own making; "": it has none, or hides it
	At time.Time `json:"at,omitzero"`  // zero: not known
}

// clockSlack is how far two readings of one start may be apart: the clock may
// have been set meanwhile.
const clockSlack = 2 * time.Minute

// same reports whether it is the same start. What is not known counts as the
// same: nobody is told of a restart that there was not.
func (b Boot) same(other Boot) bool {
	if b.ID != "" && other.ID != "" {
		return b.ID == other.ID
	}
	return b.At.IsZero() || other.At.IsZero() || b.At.Sub(other.At).Abs() < clockSlack
}
