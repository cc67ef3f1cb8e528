package hub

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// agent is an agent that holds tunnels here, or has held some since the relay
// started, or was asked for.
type agent struct {
	id        string
	name      string
	tunnels   []*tunnel    // in the order in which they came
	next      int          // where the search for a tunnel begins
	waiting   []*waiter    // for a place on a tunnel, in the order in which they came
	lastSeen  time.Time    // of tunnels that are gone, here or at another relay
	askedAt   time.Time    // when the directory was asked about it
	heldBy    string       // as the directory said then; see Known
	forsaken  bool         // no instance of it was enrolled when one was removed last
	queued    atomic.Int32 // len(waiting), for who does not hold the hub's mu
	recording sync.Mutex
	recorded  map[string]*proto.Paused // by instance: what the directory was told last, none where it is gone; guarded by recording
}

// errStopped and errRevoked are why a tunnel is not put to use.
var (
	errStopped = errors.New("the relay was stopped")
	errRevoked = errors.New("the enrolment was revoked")
)

// register makes a tunnel usable. A tunnel of another run of the same
// instance, or in the same slot, is a left-over and makes room.
func (h *Hub) register(t *tunnel, a *arrival) error {
	superseded, draining, err := h.enter(t, a)
	for _, old := range superseded {
		h.log.Info("tunnel superseded", zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID),
			zap.Int("slot", old.hello.Slot), zap.Bool("sameRun", old.hello.Run == t.hello.Run))
		if old.hello.Run == t.hello.Run {
			old.leave("another tunnel of the same machine took its place")
		} else {
			old.conn.SayAtClose(proto.CloseSuperseded, t.hello.Hostname+" at "+t.remote)
			old.leave("the agent was started anew, or a copy of it elsewhere, and took its place")
		}
	}
	if draining { // its handshake was under way when Leave asked the others
		t.tell(&proto.Drain{WithinMs: int(lateSpread.Milliseconds()), Reason: drainReason})
	}
	return err
}

// enter puts the tunnel on the list, and says which it takes the place of, and
// whether it comes too late to be asked by Leave.
func (h *Hub) enter(t *tunnel, arrived *arrival) (superseded []*tunnel, draining bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, false, errStopped
	case arrived.revoked:
		return nil, false, errRevoked
	}
	h.sequence++
	t.sequence = h.sequence
	a := h.agent(t.hello.AgentID)
	a.name = strings.TrimSpace(t.enrolled.AgentName)
	for _, old := range a.tunnels {
		if old.hello.InstanceID != t.hello.InstanceID {
			continue
		}
		if old.hello.Run != t.hello.Run || old.hello.Slot == t.hello.Slot {
			old.retire() // whoever looks from now on finds its successor
			superseded = append(superseded, old)
		}
	}
	t.agent, a.forsaken = a, false
	a.tunnels = append(a.tunnels, t)
	if !t.replaced {
		h.staying++
	}
	h.serve(a)
	h.askForLogs(a.id)
	return superseded, h.draining, nil
}

func (h *Hub) unregister(t *tunnel) {
	t.retire()
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.agents[t.hello.AgentID]
	a.tunnels = slices.DeleteFunc(a.tunnels, func(other *tunnel) bool { return other == t })
	if !t.replaced {
		h.staying--
		h.checkMoved()
	}
	if seen := t.lastSeen(); seen.After(a.lastSeen) {
		a.lastSeen = seen
	}
	h.reconsider(a)
	h.askForLogs(a.id)
	received, sent := t.conn.Traffic()
	h.metrics.ended(received, sent)
}

// Instances are the machines that hold a tunnel of the agent now, in the order
// in which they came.
func (h *Hub) Instances(agentID string) []Instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.agents[agentID]
	if a == nil {
		return nil
	}
	return instancesOf(a.tunnels)
}

func instancesOf(tunnels []*tunnel) []Instance {
	var all []Instance
	var policyAt, configAt, pausedAt []time.Time // when Policy, Config and Paused were told, for each of all
	for _, t := range tunnels {
		i := slices.IndexFunc(all, func(in Instance) bool { return in.ID == t.hello.InstanceID })
		if i < 0 {
			all = append(all, Instance{ID: t.hello.InstanceID, ConnectedAt: t.connectedAt})
			policyAt, configAt, pausedAt = append(policyAt, time.Time{}), append(configAt, time.Time{}), append(pausedAt, time.Time{})
			i = len(all) - 1
		}
		in := &all[i]
		in.Hostname, in.OS, in.Arch, in.Version = t.hello.Hostname, t.hello.OS, t.hello.Arch, t.hello.Version
		in.ClockOffset = t.clockOffset
		if seen := t.lastSeen(); seen.After(in.LastSeenAt) {
			in.LastSeenAt = seen
		}
		if rtt := t.latency(); in.Latency == 0 || rtt < in.Latency {
			in.Latency = rtt
		}
		if p, at := t.policySummary(); at.After(policyAt[i]) {
			in.Policy, policyAt[i] = p, at
		}
		if c, at := t.configState(); at.After(configAt[i]) {
			in.Config, configAt[i] = c, at
		}
		if p := t.pause.Load(); p != nil && !p.at.Before(pausedAt[i]) {
			in.Paused, pausedAt[i] = nil, p.at
			if !p.Since.IsZero() {
				in.Paused = &p.Paused
			}
		}
		inFlight, _ := t.busy()
		in.InFlight += inFlight
		in.Tunnels++
	}
	return all
}

// directoryTimeout bounds a call of the directory, which writes to a database.
const directoryTimeout = 10 * time.Second

// record tells the directory and the pages that the tunnel's instance is here.
func (h *Hub) record(t *tunnel) { h.settle(t, "") }

// recordGone tells them that the tunnel is gone, and with the last one its
// instance.
func (h *Hub) recordGone(t *tunnel, reason string) { h.settle(t, reason) }

// settle brings the directory's knowledge of an instance in line with what is
// so. One at a time for each agent, and always by what is so now: so a late
// word of a tunnel that is gone can't overwrite the news of its successor. It
// reports false where the directory did not take it.
func (h *Hub) settle(t *tunnel, reason string) bool {
	h.mu.Lock()
	a := h.agents[t.hello.AgentID]
	h.mu.Unlock()
	a.recording.Lock()
	defer a.recording.Unlock()
	h.mu.Lock()
	here := instancesOf(a.tunnels)
	h.mu.Unlock()
	i := slices.IndexFunc(here, func(in Instance) bool { return in.ID == t.hello.InstanceID })

	// Not h.life: that an instance left must be written when the hub closes, too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.life), directoryTimeout)
	defer cancel()
	var err error
	pause, told := a.recorded[t.hello.InstanceID]
	switch {
	case i >= 0 && !(told && samePause(pause, here[i].Paused)):
		if err = h.opts.Directory.Connected(ctx, a.id, here[i]); err == nil {
			a.recorded[t.hello.InstanceID] = here[i].Paused
			if h.opts.Elsewhere != nil {
				h.opts.Elsewhere.Announce(a.id)
			}
		}
	case i < 0 && told:
		if err = h.opts.Directory.Disconnected(ctx, a.id, t.hello.InstanceID, t.lastSeen(), reason); err == nil {
			delete(a.recorded, t.hello.InstanceID)
		}
	}
	h.mu.Lock()
	if err != nil {
		h.unsettled[t.hello.InstanceID] = unsettled{t, reason}
	} else {
		delete(h.unsettled, t.hello.InstanceID)
	}
	h.mu.Unlock()
	if err != nil { // it is tried again with the next note
		h.log.Error("presence can't be recorded", zap.String("agent", a.id), zap.String("instance", t.hello.InstanceID), zap.Error(err))
	}
	h.changed(t)
	return err == nil
}

// unsettled is what the directory has not taken.
type unsettled struct {
	t      *tunnel
	reason string
}

// resettle tells the directory again what it has not taken, until it fails again.
func (h *Hub) resettle() {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.unsettled))
	h.mu.Unlock()
	for _, u := range all {
		if h.life.Err() != nil || !h.settle(u.t, u.reason) {
			return
		}
	}
}
