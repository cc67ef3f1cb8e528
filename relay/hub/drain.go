package hub

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// Leave refuses new tunnels and asks the agents to open others, at another
// relay, each within the span that it returns. Those that are here stay in
// use, until Close, for whatever requests there still are. Requests that are
// held for an agent which is away fail, since it can't come back here.
func (h *Hub) Leave() time.Duration {
	h.mu.Lock()
	asked := h.draining
	h.draining = true
	for _, a := range h.agents {
		h.reconsider(a)
	}
	tunnels := h.allTunnels()
	h.checkMoved()
	h.mu.Unlock()
	spread := drainSpread(len(tunnels))
	if asked {
		return spread
	}
	h.log.Info("draining tunnels", zap.Int("tunnels", len(tunnels)), zap.Duration("spread", spread))
	drain := &proto.Drain{WithinMs: int(spread.Milliseconds()), Reason: drainReason}
	for _, t := range tunnels {
		t.tell(drain)
	}
	return spread
}

// drainReason is what agents are told.
const drainReason = "the relay is about to stop"

// lateSpread is the time over which tunnels are to be replaced that came up
// just after Leave.
const lateSpread = time.Second

// drainSpread is the time over which so many tunnels are to be replaced. Some
// 100 agents a second is what a relay on two cores takes without being felt.
func drainSpread(tunnels int) time.Duration {
	return min(time.Duration(tunnels)*5*time.Millisecond, time.Minute)
}

// Moved waits, after Leave, until every agent has opened other tunnels. Where
// there is no other relay it waits for as long as ctx lasts.
func (h *Hub) Moved(ctx context.Context) error {
	select {
	case <-h.moved:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Drain is Leave, and waits until no request is under way; Close then cuts off
// nobody.
func (h *Hub) Drain(ctx context.Context) error {
	h.Leave()
	return h.flight.landed(ctx)
}

// keep notes that the agent has another tunnel in the place of this one, and
// reports whether this one stays in use all the same: a request that this
// relay has begun may need a few more.
func (h *Hub) keep(t *tunnel) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !t.replaced {
		t.replaced = true
		if t.sequence > 0 { // else it was not counted yet
			h.staying--
			h.checkMoved()
		}
	}
	return h.draining
}

// checkMoved closes moved when it is time; mu is held.
func (h *Hub) checkMoved() {
	if !h.draining || h.staying > 0 {
		return
	}
	select {
	case <-h.moved:
	default:
		close(h.moved)
	}
}

// flight counts the requests under way in all tunnels.
type flight struct {
	mu   sync.Mutex // guards the following
	n    int
	zero chan struct{} // closed when n becomes 0; nil where nobody waits
}

func (f *flight) start() {
	f.mu.Lock()
	f.n++
	f.mu.Unlock()
}

func (f *flight) done() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.zero != nil {
		close(f.zero)
		f.zero = nil
	}
}

func (f *flight) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// landed waits until none is under way.
func (f *flight) landed(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.zero == nil {
		f.zero = make(chan struct{})
	}
	zero := f.zero
	f.mu.Unlock()
	select {
	case <-zero:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
