package peer

import (
	"context"
	"sync"
)

// noticesAhead is how many notices wait for a relay that falls behind, and
// eventsAhead how many of them may be there before an event. What is more is lost:
// who waits for an agent looks into the store by himself, a little later, and pages
// show what is so with the next event.
const (
	noticesAhead = 1024
	eventsAhead  = noticesAhead / 2
)

// callers are the relays that are connected to this one.
type callers struct {
	mu      sync.Mutex           // guards the following
	open    map[chan notice]bool // true: events for it were lost
	leaving bool
	ends    chan struct{} // closed when leaving
	empty   chan struct{} // closed when open becomes empty; nil: nobody waits
}

// enter begins to tell a relay of what happens here; false: it comes too late.
func (c *callers) enter() (chan notice, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return nil, false
	}
	if c.open == nil {
		c.open = make(map[chan notice]bool)
	}
	news := make(chan notice, noticesAhead+1) // one more, for the last
	c.open[news] = false
	return news, true
}

func (c *callers) leave(news chan notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, news)
	if len(c.open) == 0 && c.empty != nil {
		close(c.empty)
		c.empty = nil
	}
}

// tell tells all of them. It never waits.
func (c *callers) tell(n notice) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return
	}
	if c.leaving = n.Leaving; c.leaving && c.ends != nil {
		close(c.ends)
	}
	most := noticesAhead
	if n.Event != nil {
		most = eventsAhead
	}
	for news, lost := range c.open {
		if len(news) < most || n.Leaving {
			n.Missed = lost
			news <- n
			lost = false
		} else if n.Event != nil {
			lost = true
		}
		c.open[news] = lost
	}
}

// over is closed when this relay is about to stop, and what would last for ever has
// to end.
func (c *callers) over() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = make(chan struct{})
		if c.leaving {
			close(c.ends)
		}
	}
	return c.ends
}

// gone waits until none is connected.
func (c *callers) gone(ctx context.Context) error {
	c.mu.Lock()
	if len(c.open) == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.empty == nil {
		c.empty = make(chan struct{})
	}
	empty := c.empty
	c.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
