// Package event tells the parts of one relay what has just changed, so that
// pages and GET /api/v1/events are live. It keeps nothing: a subscriber that
// was away reads the current state first. Package peer carries events to the
// other relays.
package event

import "sync"

// Types of events.
const (
	AgentChanged      = "agent"      // an agent or one of its instances: presence, name, latency
	ConnectionChanged = "connection" // a connection was created, changed, tested or deleted
	HealthChanged     = "health"     // a connection's state has changed; ID is the connection's
)

// Event says that something in a workspace has changed; ID is the thing's.
type Event struct {
	WorkspaceID string `json:"-"`
	Type        string `json:"type"`
	ID          string `json:"id"`
}

// Bus carries events from publishers to subscribers. The zero value is ready.
type Bus struct {
	mu   sync.Mutex // guards the following
	subs map[*Subscription]struct{}
	also func(Event) // told of what is published here; nil: nobody
}

// Subscription receives the events of one workspace until it is closed.
type Subscription struct {
	// C delivers events. It is never closed. A subscriber that falls behind
	// loses events, and finds Missed closed.
	C      <-chan Event
	c      chan Event
	bus    *Bus
	ws     string
	missed chan struct{}
	once   sync.Once
}

// queue is how many events a subscriber may be behind: a burst of a thousand
// reconnecting agents is coalesced by readers, but must not block publishers.
const queue = 256

// Subscribe begins to receive the events of a workspace.
func (b *Bus) Subscribe(workspaceID string) *Subscription {
	c := make(chan Event, queue)
	s := &Subscription{C: c, c: c, bus: b, ws: workspaceID, missed: make(chan struct{})}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = make(map[*Subscription]struct{})
	}
	b.subs[s] = struct{}{}
	return s
}

// Also has f told of every event that is published at this relay, and not of those
// that were at another. It must not block. nil: nobody.
func (b *Bus) Also(f func(Event)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.also = f
}

// Publish delivers e to all subscribers of its workspace. It never blocks.
func (b *Bus) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deliver(e)
	if b.also != nil {
		b.also(e)
	}
}

// Pass delivers an event that was published at another relay. It never blocks.
func (b *Bus) Pass(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deliver(e)
}

// Lose has all subscribers find that they have missed events: of other relays.
func (b *Bus) Lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		s.once.Do(func() { close(s.missed) })
	}
}

// deliver delivers e; mu is held.
func (b *Bus) deliver(e Event) {
	for s := range b.subs {
		if s.ws != e.WorkspaceID {
			continue
		}
		select {
		case s.c <- e:
		default:
			s.once.Do(func() { close(s.missed) })
		}
	}
}

// Missed is closed when an event was dropped: close the subscription,
// subscribe anew and read the whole state.
func (s *Subscription) Missed() <-chan struct{} { return s.missed }

// Close ends the subscription.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	delete(s.bus.subs, s)
}
