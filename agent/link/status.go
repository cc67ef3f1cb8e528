package link

import (
	"errors"
	"slices"
	"sync"
	"time"

	"sallyport/proto"
)

// States of a Link.
const (
	StateConnecting = "connecting" // no attempt has ended yet
	StateOnline     = "online"     // at least one tunnel is up
	StateRefused    = "refused"    // the relay refuses this machine, and time won't heal it
	StateOffline    = "offline"    // the relay can't be reached, or the link has stopped
)

// Status is what the agent's status command shows of the link.
type Status struct {
	State     string         `json:"state"`
	Since     time.Time      `json:"since"` // of the state
	AgentName string         `json:"agentName,omitempty"`
	Tunnels   []TunnelStatus `json:"tunnels"`
	LatencyMs float64        `json:"latencyMs,omitempty"` // of the best tunnel
	// LastError is why the last attempt failed or the last tunnel ended; kept
	// until a tunnel is up.
	LastError string `json:"lastError,omitempty"`
	// EarlierError is what went wrong last, and EarlierErrorAt when, while the
	// link is online; "": nothing has.
	EarlierError   string    `json:"earlierError,omitempty"`
	EarlierErrorAt time.Time `json:"earlierErrorAt,omitzero"`
	// Refusal is the code of LastError where the relay refused.
	Refusal string `json:"refusal,omitempty"`
	// RetryAt is when the relay is dialled next; absent while online.
	RetryAt time.Time `json:"retryAt,omitzero"`
	// ClockOffsetMs is how far this machine's clock is ahead of the relay's.
	ClockOffsetMs int64 `json:"clockOffsetMs,omitempty"`
}

// TunnelStatus is one tunnel that is up.
type TunnelStatus struct {
	ID        string    `json:"id"`
	Since     time.Time `json:"since"`
	LatencyMs float64   `json:"latencyMs"`
	InFlight  int       `json:"inFlight"`
}

// Status tells how the link is now.
func (l *Link) Status() Status { return l.status.read() }

// statusBoard is where the slots note how they fare.
type statusBoard struct {
	clock func() time.Time

	mu        sync.Mutex // guards the following
	slots     []slotStatus
	state     string
	since     time.Time
	name      string
	ahead     int64
	earlier   error // what went wrong last, in whichever slot; nil: nothing has
	earlierAt time.Time
}

// slotStatus is how one slot fares.
type slotStatus struct {
	state   string
	tunnel  *tunnel
	err     error
	retryAt time.Time
}

func newStatusBoard(slots int, clock func() time.Time) *statusBoard {
	b := &statusBoard{clock: clock, slots: make([]slotStatus, slots), state: StateConnecting, since: clock()}
	for i := range b.slots {
		b.slots[i].state = StateConnecting
	}
	return b
}

// set changes a slot and sees what that makes of the whole.
func (b *statusBoard) set(slot int, change func(*slotStatus)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.slots[slot])
	state := StateOffline
	for _, better := range []string{StateConnecting, StateRefused, StateOnline} {
		if slices.ContainsFunc(b.slots, func(s slotStatus) bool { return s.state == better }) {
			state = better
		}
	}
	if state != b.state {
		b.state, b.since = state, b.clock()
	}
}

// connecting notes that an attempt begins. What is known of the last one stays
// until this one has ended.
func (b *statusBoard) connecting(slot int) {
	b.set(slot, func(s *slotStatus) { s.retryAt = time.Time{} })
}

func (b *statusBoard) online(t *tunnel) {
	b.set(t.slot, func(s *slotStatus) { *s = slotStatus{state: StateOnline, tunnel: t} })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.name, b.ahead = t.welcome.AgentName, t.welcome.ClockOffsetMs
}

func (b *statusBoard) failed(slot int, err error, retryAt time.Time) {
	b.set(slot, func(s *slotStatus) {
		if s.tunnel != nil && err != nil && !s.tunnel.over() {
			// It waits to be replaced, and is still in use.
			s.err, s.retryAt = err, retryAt
			return
		}
		*s = slotStatus{state: StateOffline, err: err, retryAt: retryAt}
		if refusal(err) != "" {
			s.state = StateRefused
		}
	})
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.earlier, b.earlierAt = err, b.clock()
	}
}

func (b *statusBoard) stopped(slot int) {
	b.set(slot, func(s *slotStatus) { *s = slotStatus{state: StateOffline} })
}

// tunnels are those that are up.
func (b *statusBoard) tunnels() []*tunnel {
	b.mu.Lock()
	defer b.mu.Unlock()
	var up []*tunnel
	for _, s := range b.slots {
		if s.tunnel != nil && !s.tunnel.over() {
			up = append(up, s.tunnel)
		}
	}
	return up
}

// over reports whether the tunnel is gone; nil is none, and not gone.
func (t *tunnel) over() bool { return t != nil && t.session.IsClosed() }

// gone is closed when the tunnel is gone; nil where there is none.
func (t *tunnel) gone() <-chan struct{} {
	if t == nil {
		return nil
	}
	return t.session.Ended()
}

// refusal is the code of a refusal that time won't heal.
func refusal(err error) string {
	var refused *proto.Refused
	if errors.As(err, &refused) && !refused.Code.Heals() {
		return string(refused.Code)
	}
	return ""
}

func (b *statusBoard) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := Status{State: b.state, Since: b.since, AgentName: b.name, ClockOffsetMs: b.ahead, Tunnels: []TunnelStatus{}}
	for _, s := range b.slots {
		if s.tunnel != nil && !s.tunnel.over() {
			t := s.tunnel.snapshot()
			st.Tunnels = append(st.Tunnels, t)
			if st.LatencyMs == 0 || t.LatencyMs < st.LatencyMs {
				st.LatencyMs = t.LatencyMs
			}
		}
		if s.err != nil && st.State != StateOnline {
			st.LastError, st.Refusal = s.err.Error(), refusal(s.err)
			if st.RetryAt.IsZero() || s.retryAt.Before(st.RetryAt) {
				st.RetryAt = s.retryAt
			}
		}
	}
	if b.earlier != nil && st.State == StateOnline {
		st.EarlierError, st.EarlierErrorAt = b.earlier.Error(), b.earlierAt
	}
	return st
}
