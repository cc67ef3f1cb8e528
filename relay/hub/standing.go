package hub

import "time"

// standing is how well a tunnel is placed to take the next request.
type standing struct {
	load int           // requests under way
	warm bool          // it has a stream at hand
	rtt  time.Duration // smoothed; 0: not measured
}

// notable is by how much longer a round trip must be to matter: less is noise,
// and what a new stream costs an upload is a round trip itself.
const notable = 10 * time.Millisecond

// better reports whether a tunnel is the better choice: the one with less to do,
// then one that is much nearer, for instance where an agent has machines at two
// sites, and then the one with a stream at hand.
func (s standing) better(than standing) bool {
	switch {
	case s.load != than.load:
		return s.load < than.load
	case s.farther(than) || than.farther(s):
		return than.farther(s)
	}
	return s.warm && !than.warm
}

// farther reports whether a round trip is more than twice as long.
func (s standing) farther(than standing) bool {
	return than.rtt > 0 && s.rtt > 2*than.rtt && s.rtt-than.rtt > notable
}
