package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"sallyport/proto"
)

// Elsewhere is the way to agents that hold their tunnels to other relays.
// Package peer implements it.
type Elsewhere interface {
	// Way takes a place for one request at another relay, which says that it
	// holds the agent, and which can be reached; nil: there is none, and full says
	// so if that is for want of places alone. tried are relays that are of no use
	// to the request any more.
	Way(ctx context.Context, agentID string, tried []string) (way Way, full *Full)
	// Reachable are those of the agents for which Way may find one now.
	Reachable(ctx context.Context, agentIDs []string) []string
	// Trouble is why a relay that holds the agent can't be reached; nil: as far
	// as is known, none holds it that can't.
	Trouble(agentID string) *Trouble
	// Announce says that the agent has opened a tunnel to this relay, and that the
	// directory knows. It does not wait.
	Announce(agentID string)
	// Others reports whether there are other relays at all.
	Others() bool
}

// Way is a place for one request at another relay. Send or Release ends it.
type Way interface {
	// Relay is the id of that relay.
	Relay() string
	// Send sends the request on, as a tunnel does; began is when that was asked
	// for, less what it was held. It leaves the body's Close to be called
	// whenever it no longer reads it. ErrNotThere is the cause of a failure by
	// which that relay says, or shows, that it is no way to the agent now.
	Send(req *http.Request, began time.Time) (*http.Response, *proto.Error)
	Release()
}

// Full is a relay to which as many requests are on their way as may be at once.
type Full struct {
	Relay string
	Limit int
}

// Trouble is a relay that holds an agent and can't be reached.
type Trouble struct {
	Relay   string // "": it is not known whether there is one
	Address string // at which it is to be reached; "": it takes no requests of other relays
	Why     string
	Hint    string
}

// ErrNotThere: a relay that was to reach the agent does not, and has sent
// nothing.
var ErrNotThere = errors.New("the agent holds no tunnel there")

// OwnRoad is the road through tunnels to this relay alone, for a request that
// another relay sends on. Where there is none it fails at once, so that the
// other one can look again; full tunnels are waited for.
func (h *Hub) OwnRoad(agentID string) http.RoundTripper {
	return agentRoad{hub: h, agentID: agentID, own: true}
}

// way is a place at another relay; nil: there is none.
func (p *trip) way() Way {
	if p.own || p.hub.opts.Elsewhere == nil || p.ctx.Err() != nil {
		return nil
	}
	var w Way
	w, p.full = p.hub.opts.Elsewhere.Way(p.ctx, p.agentID, p.tried)
	return w
}

// crammed is the failure of a request whose agent is connected to another relay,
// on the way to which it found no place; nil: that is not what it lacks.
func (h *Hub) crammed(p *trip) *proto.Error {
	if p.full == nil {
		return nil
	}
	// The caller's own time may be up, and what was so may not be any more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), directoryTimeout)
	defer cancel()
	if len(h.opts.Elsewhere.Reachable(ctx, []string{p.agentID})) == 0 {
		return nil
	}
	h.metrics.limited("relay")
	facts := map[string]string{"agentId": p.agentID, "relay": p.full.Relay, "limit": strconv.Itoa(p.full.Limit), retryAfter: seconds(time.Second)}
	name := "The agent"
	if known, err := h.known(ctx, p.agentID); err == nil {
		name, facts["agent"] = fmt.Sprintf("The agent %q", known.Name), known.Name
	}
	return &proto.Error{Code: proto.CodeTooManyRequests, Outcome: proto.OutcomeNotSent, Facts: facts,
		Detail: fmt.Sprintf("%s is connected to another relay, %s, and as many requests as may be on their way to it there at once already are (%d).", name, p.full.Relay, p.full.Limit),
		Hint:   "Send fewer requests at once."}
}

// absent is the failure of a request on an OwnRoad for which there is no tunnel.
func (p *trip) absent(lacks lack) *proto.Error {
	switch {
	case p.last != nil:
		return p.last
	case lacks == lackLeave:
		return p.hub.pausedFailure(p)
	}
	return &proto.Error{Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent, Err: ErrNotThere,
		Detail: "The agent holds no tunnel to the relay that was asked."}
}

// explain adds to the failure of a request whose agent holds no tunnel here that
// another relay holds it, which can't be reached; heldBy is the one that the
// directory named.
func (h *Hub) explain(e *proto.Error, agentID, heldBy string) {
	var t *Trouble
	switch {
	case h.opts.Elsewhere != nil:
		t = h.opts.Elsewhere.Trouble(agentID)
	case heldBy != "":
		t = &Trouble{Relay: heldBy, Why: "this one does not reach", Hint: "Nothing was sent. Set peer-listen on every relay that shares the database."}
	}
	if t == nil {
		return
	}
	e.Hint, e.Facts[retryAfter] = t.Hint, seconds(retrySoon)
	name := "The agent"
	if e.Facts["agent"] != "" {
		name = fmt.Sprintf("The agent %q", e.Facts["agent"])
	}
	if t.Relay == "" {
		e.Detail = fmt.Sprintf("%s is not connected to this relay; whether it is to another one is not known, since %s.", name, t.Why)
		return
	}
	e.Reason, e.Facts["relay"] = ReasonRelayUnreachable, t.Relay
	e.Detail = fmt.Sprintf("%s is connected to another relay, %s, which %s.", name, t.Relay, t.Why)
	if t.Address != "" {
		e.Facts["address"] = t.Address
		e.Detail = fmt.Sprintf("%s is connected to another relay, %s, which can't be reached at %s: %s.", name, t.Relay, t.Address, t.Why)
	}
}

// ReasonRelayUnreachable: agent_offline, since the relay that holds the agent
// can't be reached. Facts: relay, address.
const ReasonRelayUnreachable proto.Reason = "relay_unreachable"

// detour sends the request on by way of another relay.
func (p *trip) detour(w Way, req *http.Request, body *upload, began time.Time) (*http.Response, *proto.Error) {
	out := *req
	out.Header = maps.Clone(req.Header)
	out.Header[proto.HeaderWait] = []string{strconv.FormatInt(max(p.patience(lackRoom), 0).Milliseconds(), 10)}
	out.GetBody = nil // who sends it on never sends it twice
	var lent *lentBody
	if body.body != nil {
		lent = &lentBody{of: body.body}
		out.Body = lent
	}
	resp, failure := w.Send(&out, began)
	if lent != nil {
		// Untouched, it serves for the next attempt.
		body.touched = lent.settle(failure != nil)
	}
	return resp, failure
}

// lentBody is a request's body that may come back unread.
type lentBody struct {
	of io.ReadCloser

	mu      sync.Mutex // guards the following
	read    bool       // some of it, perhaps
	closed  bool       // by who reads
	settled bool       // what becomes of it is decided: Close closes it
	back    bool       // it is no longer the reader's to close
}

func (b *lentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.back || b.closed {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	b.read = true
	b.mu.Unlock()
	return b.of.Read(p)
}

func (b *lentBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := !b.closed
	b.closed = true
	if b.settled && !b.back && first {
		return b.of.Close()
	}
	return nil
}

// settle decides what becomes of the body, once the request has failed or is
// answered, and reports whether it is spent. Spent, it is closed with the
// reader's Close, or at once if that was called already.
func (b *lentBody) settle(failed bool) (spent bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled = true
	if failed && !b.read {
		b.back = true
		return false
	}
	if b.closed {
		_ = b.of.Close()
	}
	return true
}

// scoutEvery is how often it is looked whether agents that are waited for have
// shown up at another relay, and scoutTimeout bounds each look: a directory that
// hangs may answer the next one.
const (
	scoutEvery   = 250 * time.Millisecond
	scoutTimeout = 2 * time.Second
)

// scout looks for agents at other relays that requests here wait for.
func (h *Hub) scout() {
	ticker := time.NewTicker(scoutEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.life.Done():
			return
		case <-ticker.C:
		case <-h.nudged:
		}
		ids := h.awaited()
		if len(ids) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(h.life, scoutTimeout)
		for _, id := range h.opts.Elsewhere.Reachable(ctx, ids) {
			h.redirect(id)
		}
		cancel()
	}
}

// Nudge looks at once whether agents that are waited for have shown up at
// another relay, of which there is news.
func (h *Hub) Nudge() {
	select {
	case h.nudged <- struct{}{}:
	default: // it is about to
	}
}

// awaited are the agents that somebody waits for.
func (h *Hub) awaited() (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == 0 {
		return nil
	}
	for id, a := range h.agents {
		if len(a.waiting) > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// redirect has those who wait for the agent try another relay.
func (h *Hub) redirect(agentID string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.agents[agentID]
	if a == nil {
		return
	}
	h.tell(a, turn{elsewhere: true}, func(w *waiter) bool { return !w.own })
}

// tell gives a turn to those who wait for the agent and are meant; mu is held.
func (h *Hub) tell(a *agent, what turn, meant func(*waiter) bool) {
	var told []*waiter
	stay := slices.DeleteFunc(slices.Clone(a.waiting), func(w *waiter) bool {
		if !meant(w) {
			return false
		}
		told = append(told, w)
		return true
	})
	h.setWaiting(a, stay)
	for _, w := range told {
		w.turn <- what
	}
}

// ending reports whether this relay stops, and no other may take over what is
// held here; mu is held.
func (h *Hub) ending() bool {
	return h.draining && (h.opts.Elsewhere == nil || !h.opts.Elsewhere.Others())
}
