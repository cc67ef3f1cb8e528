package hub

import (
	"time"

	"sallyport/proto"
)

// idleTimeout is how long no byte may arrive on a tunnel: two heartbeats and
// what a slow line needs.
func idleTimeout(heartbeat time.Duration) time.Duration { return 2*heartbeat + time.Second }

// beats is in how many groups the tunnels are pinged, so that thousands of
// pings do not leave, and their answers do not arrive, in one moment.
const beats = 8

// manyAwake is how many tunnels may be awake at once, each of which costs some
// 25 KiB, before those that are not used are laid to rest as soon as may be. A
// request to each of ten thousand agents would otherwise cost a relay half a
// gigabyte for half a minute.
const manyAwake = 1000

// beat looks after the tunnels until the hub is closed. It goes by the time that
// has passed and not by the ticks, which a process that was stopped for a moment
// has missed: a tunnel must not wait for its ping twice as long then.
func (h *Hub) beat() {
	every := h.opts.Heartbeat / beats
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	began, done, awake := time.Now(), int64(0), 0
	for {
		select {
		case <-h.life.Done():
			return
		case <-ticker.C:
		}
		due := int64(time.Since(began) / every)
		groups := dueGroups(done, due)
		done = due
		awake = h.beatOnce(groups, awake > manyAwake)
	}
}

// beatOnce pings the tunnels whose turn it is, closes the streams that they have
// kept for too long, asks those that are idle to rest, and rouses who has been
// silent for too long. In a crowd no tunnel waits for its turn to be laid to
// rest. It returns how many are awake.
func (h *Hub) beatOnce(groups [beats]bool, crowd bool) (awake int) {
	keep := keepFor
	if crowd {
		keep = keepInCrowd
	}
	before := h.opts.Clock().Add(-keep)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.agents {
		for _, t := range a.tunnels {
			if t.conn.Silent() > idleTimeout(h.opts.Heartbeat) {
				t.conn.Rouse() // nobody waits while it rests
			}
			turn := groups[t.sequence%beats]
			if turn {
				t.conn.Ping()
			}
			if !t.session.Awake() {
				continue
			}
			awake++
			if turn || crowd {
				h.layToRest(t, before, !turn)
			}
		}
		if len(a.waiting) > 0 {
			h.serve(a) // a tunnel that was silent may have spoken
		}
	}
	return awake
}

// layToRest asks a tunnel that is not used to rest, and closes the streams that
// it has kept since before a time, so that it is not used.
func (h *Hub) layToRest(t *tunnel, before time.Time, atOnce bool) {
	if n, ask := t.session.MayRest(atOnce); ask {
		t.tell(&proto.Rest{N: n})
	}
	if old := t.kept.old(before); len(old) > 0 {
		h.work.Go(func() { closeStreams(old) })
	}
}

// dueGroups are the groups whose turn came after the beat done and not later
// than the beat due.
func dueGroups(done, due int64) (groups [beats]bool) {
	for beat := max(done, due-beats) + 1; beat <= due; beat++ {
		groups[beat%beats] = true
	}
	return groups
}
