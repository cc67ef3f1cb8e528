package hub

import (
	"slices"
	"time"
)

// waiter is a request that waits for a place on a tunnel of its agent: the
// agent is away, or its tunnels are full, or so silent that they may be dead.
type waiter struct {
	failed []*tunnel // on which the request has failed already
	own    bool      // by tunnels to this relay alone
	turn   chan turn // takes one
}

// turn is what a waiter waited for.
type turn struct {
	t         *tunnel // a place on it is taken; nil: nobody will come
	elsewhere bool    // the agent has shown up at another relay; t is nil
	why       string  // where t is nil
}

// lack is why a request has no place on a tunnel.
type lack int

const (
	lackNothing lack = iota // there is a place
	lackTunnel              // no tunnel is up
	lackLife                // those that are up are silent, and may be dead
	lackRoom                // those that live have all their places taken
	lackLeave               // the site has paused those that live
	lackOther               // the request has failed on all that are up
)

// silentFor is how long a tunnel may be silent before it is thought to be
// dead: a heartbeat and what it may be late. It is given up a little later.
func silentFor(heartbeat time.Duration) time.Duration { return heartbeat * 3 / 2 }

// holds reports whether requests are held while their agent is away.
func (h *Hub) holds() bool { return h.opts.AgentWait > 0 }

// place takes a place on the agent's best tunnel. nil: there is none, or
// others are waiting for one.
func (h *Hub) place(agentID string, failed []*tunnel) *tunnel {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.agents[agentID]
	if a == nil || len(a.waiting) > 0 {
		return nil
	}
	return h.take(a, failed, !h.holds())
}

// take takes a place on the tunnel of the agent that has the least to do,
// other than those that have failed. One that may be dead is taken only by the
// desperate, where there is no other. nil: there is no place. mu is held.
func (h *Hub) take(a *agent, failed []*tunnel, desperate bool) *tunnel {
	for {
		best, lacks := h.survey(a, failed)
		if lacks != lackNothing && !(lacks == lackLife && desperate) || best == nil {
			return nil
		}
		if best.take() {
			return best
		}
	}
}

// survey finds the tunnel with the least to do that has a place, or says what
// is lacking; with lackLife, the best of those that may be dead. Among equals, of
// which none is much nearer, it is one with a stream at hand, so that the others
// stay at rest and no stream has to be opened, whose first upload would wait for
// the agent's window; else each in its turn. mu is held.
func (h *Hub) survey(a *agent, failed []*tunnel) (*tunnel, lack) {
	a.next++
	var best, doubtful *tunnel
	lives, silent, spent, paused := false, false, false, false
	bestSo, leastDoubtful := standing{load: h.opts.MaxStreams}, h.opts.MaxStreams
	for i := range a.tunnels {
		t := a.tunnels[(a.next+i)%len(a.tunnels)]
		load, retired := t.busy()
		switch {
		case retired || t.session.IsClosed():
		case slices.Contains(failed, t):
			spent = true
		case t.paused():
			paused = true
		case t.conn.Silent() > silentFor(h.opts.Heartbeat):
			silent = true
			if load < leastDoubtful {
				doubtful, leastDoubtful = t, load
			}
		default:
			lives = true
			if s := (standing{load, t.kept.any(), t.latency()}); load < h.opts.MaxStreams && s.better(bestSo) {
				best, bestSo = t, s
			}
		}
	}
	switch {
	case best != nil:
		return best, lackNothing
	case lives:
		return nil, lackRoom
	case silent:
		return doubtful, lackLife
	case spent:
		return nil, lackOther
	case paused:
		return nil, lackLeave
	}
	return nil, lackTunnel
}

// enqueue lets w wait for its turn, which may come at once. It reports false
// where so many wait already that no more can. mu is held.
func (h *Hub) enqueue(a *agent, w *waiter) bool {
	if len(a.waiting) >= h.opts.MaxWaiting || h.waiting >= h.opts.MaxWaiting*waitingInAll {
		return false
	}
	h.setWaiting(a, append(a.waiting, w))
	h.serve(a)
	return true
}

// waitingInAll is for how many agents at once the queues may be full: each
// request that waits costs the relay 30 KiB, or 50 with a body.
const waitingInAll = 10

// setWaiting keeps count of a queue that changes; mu is held.
func (h *Hub) setWaiting(a *agent, waiting []*waiter) {
	h.waiting += len(waiting) - int(a.queued.Load())
	a.waiting = waiting
	a.queued.Store(int32(len(waiting)))
}

// dequeue ends a wait whose turn has not come. It reports false where it has,
// and is to be had from w. mu is held.
func (h *Hub) dequeue(a *agent, w *waiter) bool {
	i := slices.Index(a.waiting, w)
	if i < 0 {
		return false
	}
	h.setWaiting(a, slices.Delete(a.waiting, i, i+1))
	return true
}

// serve gives places to those who wait, in the order in which they came. It is
// called whenever a tunnel has come up, a place has become free, or a silent
// tunnel may have spoken. mu is held.
func (h *Hub) serve(a *agent) {
	for i := 0; i < len(a.waiting); {
		w := a.waiting[i]
		t := h.take(a, w.failed, !h.holds())
		if t == nil && len(w.failed) == 0 {
			return // and none for those behind
		}
		if t == nil {
			i++
			continue
		}
		h.setWaiting(a, slices.Delete(a.waiting, i, i+1))
		w.turn <- turn{t: t}
	}
}

// freed is called when a place on a tunnel of the agent has become free.
func (h *Hub) freed(a *agent) {
	// Who enqueues looks for a place afterwards. So either he is counted here,
	// or he finds the place.
	if a.queued.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serve(a)
}

// dismiss ends the wait of all who wait for the agent: it will not come. mu is
// held.
func (h *Hub) dismiss(a *agent, why string) {
	h.tell(a, turn{why: why}, func(*waiter) bool { return true })
}

// stopping is why nobody waits for an agent at a relay that takes no more
// tunnels.
const stopping = "this relay is about to stop"

// reconsider dismisses those who wait for the agent where it can't come back
// in time, or has been paused. mu is held.
func (h *Hub) reconsider(a *agent) {
	if len(a.waiting) == 0 {
		return
	}
	_, lacks := h.survey(a, nil)
	switch {
	case lacks == lackLeave:
		h.dismiss(a, "")
	case lacks != lackTunnel:
	case h.ending():
		h.dismiss(a, stopping)
	case !h.holds():
		h.dismiss(a, "")
	default: // who asked for another relay can look again
		h.tell(a, turn{}, func(w *waiter) bool { return w.own })
	}
}
