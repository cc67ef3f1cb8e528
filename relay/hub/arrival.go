package hub

import (
	"context"
	"slices"
	"time"

	"sallyport/proto"
)

// arrival is an instance whose enrolment is being looked up, or was, and whose
// tunnel is not on the list yet. What is revoked in between would otherwise
// slip through: Disconnect finds no tunnel to end.
type arrival struct {
	agentID, instanceID string
	revoked             bool // guarded by the hub's mu
}

func (h *Hub) arriving(hello *proto.Hello) *arrival {
	a := &arrival{agentID: hello.AgentID, instanceID: hello.InstanceID}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrivals[a] = struct{}{}
	return a
}

// arrived ends an arrival, well or not; nil is none.
func (h *Hub) arrived(a *arrival) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.arrivals, a)
}

// revokeArrivals marks those of an instance, or with "" of all instances of
// the agent; mu is held.
func (h *Hub) revokeArrivals(agentID, instanceID string) {
	for a := range h.arrivals {
		if a.agentID == agentID && (instanceID == "" || a.instanceID == instanceID) {
			a.revoked = true
		}
	}
}

// siblingFor is how long the enrolment of one tunnel does for another tunnel of
// the same instance. After a restart all instances come back with all of their
// tunnels at once, and half of the look-ups are saved.
const siblingFor = 10 * time.Second

// enrolled looks an enrolment up, in the directory unless another tunnel of the
// instance has just done so.
func (h *Hub) enrolled(ctx context.Context, hello *proto.Hello) (Enrolled, error) {
	h.mu.Lock()
	if a := h.agents[hello.AgentID]; a != nil {
		now := h.opts.Clock()
		i := slices.IndexFunc(a.tunnels, func(t *tunnel) bool {
			retired := func() bool { _, retired := t.busy(); return retired }
			return t.hello.InstanceID == hello.InstanceID && now.Sub(t.connectedAt).Abs() < siblingFor && !retired()
		})
		if i >= 0 {
			defer h.mu.Unlock()
			return a.tunnels[i].enrolled, nil
		}
	}
	h.mu.Unlock()
	return h.opts.Directory.Enrolled(ctx, hello.AgentID, hello.InstanceID)
}
