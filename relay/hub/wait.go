package hub

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
)

// recently is how long ago an agent may have been seen for requests to be held
// until it is back: longer than a restart of the agent, of its machine's
// network or of the relay takes, and short enough that it is likely to come.
const recently = time.Minute

// MaxWait is the longest that a request waits for its agent, whatever its
// sender prefers.
const MaxWait = 5 * time.Minute

// trip is a request on its way to an answer, by as many tunnels as it takes.
type trip struct {
	hub     *Hub
	agentID string
	own     bool // by tunnels to this relay alone
	ctx     context.Context
	header  http.Header // the request's, with its options
	failed  []*tunnel   // on which it has failed
	tried   []string    // relays that reach the agent, and are of no use to the request
	tries   int         // how often it was sent
	full    *Full       // why there was no way by another relay last; nil: not for want of places
	last    *proto.Error
	held    time.Duration // for a place on a tunnel, in all
	waited  time.Duration // by the wait that has just ended; not in held yet
}

// seat is a place that was taken for a request: on a tunnel, or at another relay.
type seat struct {
	t   *tunnel
	way Way
}

// seat takes a place, for which the request may have to wait. A tunnel to this
// relay comes before another relay.
func (p *trip) seat() (seat, *proto.Error) {
	for {
		if t := p.hub.place(p.agentID, p.failed); t != nil {
			return seat{t: t}, nil
		}
		if w := p.way(); w != nil {
			return seat{way: w}, nil
		}
		t, elsewhere, err := p.wait()
		if elsewhere {
			continue
		}
		if err != nil && p.last != nil && p.last.Outcome != proto.OutcomeNotSent {
			err = p.last // an attempt before may have reached the target
		}
		return seat{t: t}, err
	}
}

// wait waits for a place on a tunnel, if that is worth it. elsewhere reports
// that the agent has shown up at another relay.
func (p *trip) wait() (t *tunnel, elsewhere bool, err *proto.Error) {
	lacks, worth := p.lacking()
	switch {
	case p.own && lacks != lackRoom:
		return nil, false, p.absent(lacks)
	case len(p.tried) > 0 && lacks == lackTunnel: // whoever has the agent has been asked
		return nil, false, p.last
	}
	if patience := p.patience(lacks); worth && patience > 0 {
		t, elsewhere, err = p.await(lacks, patience)
		if p.waited > 0 {
			p.hub.metrics.waited(err, p.waited)
		}
		p.held, p.waited = p.held+p.waited, 0
		return t, elsewhere, err
	}
	t, err = p.settle(lacks, "")
	return t, false, err
}

// lacking says what the request lacks, and whether that is worth waiting for.
func (p *trip) lacking() (lack, bool) {
	h := p.hub
	h.mu.Lock()
	lacks, seen, forsaken := lackTunnel, time.Time{}, false
	if a := h.agents[p.agentID]; a != nil {
		_, lacks = h.survey(a, p.failed)
		seen, forsaken = a.lastSeen, a.forsaken
		if len(a.tunnels) > 0 { // just ended, or leaving
			seen = h.opts.Clock()
		}
	}
	draining := h.ending()
	h.mu.Unlock()
	switch {
	case lacks == lackNothing: // but others wait for it already
		return lackRoom, true
	case lacks == lackRoom:
		return lacks, true
	case lacks == lackLife:
		return lacks, h.holds()
	case lacks == lackOther, lacks == lackLeave, !h.holds(), draining, forsaken:
		return lacks, false
	case h.recent(seen):
		return lacks, true
	}
	known, err := h.known(p.ctx, p.agentID)
	if err != nil { // the directory hangs, or is away: the agent may be about to come
		return lacks, !errors.Is(err, ErrNotEnrolled)
	}
	return lacks, h.recent(known.LastSeenAt)
}

// recent reports whether an agent that was last seen then is likely to be back
// soon: it has just been here, or was here when the last relay went, and this
// one has just come.
func (h *Hub) recent(seen time.Time) bool {
	now := h.opts.Clock()
	return now.Sub(seen) < recently ||
		!seen.IsZero() && !h.opts.LastAlive.IsZero() && now.Sub(h.started) < recently && h.opts.LastAlive.Sub(seen) < recently
}

// patience is how long the request may still wait.
func (p *trip) patience(lacks lack) time.Duration {
	wait := p.hub.opts.AgentWait
	if lacks == lackRoom {
		wait = p.hub.opts.RoomWait
	}
	if asked, ok := milliseconds(p.header, proto.HeaderWait); ok {
		wait = min(asked, MaxWait)
	}
	if limit, ok := milliseconds(p.header, proto.HeaderTimeout); ok && limit > 0 {
		wait = min(wait, limit)
	}
	return wait - p.held
}

func milliseconds(h http.Header, name string) (time.Duration, bool) {
	value := h.Get(name)
	if value == "" {
		return 0, false
	}
	ms, err := strconv.ParseInt(value, 10, 64)
	if err != nil || ms < 0 || ms > int64(24*time.Hour/time.Millisecond) {
		return 0, false
	}
	return time.Duration(ms) * time.Millisecond, true
}

// await waits for a place, for as long as the patience lasts.
func (p *trip) await(lacks lack, patience time.Duration) (t *tunnel, elsewhere bool, e *proto.Error) {
	h, w := p.hub, &waiter{failed: p.failed, own: p.own, turn: make(chan turn, 1)}
	h.mu.Lock()
	if h.closed || h.ending() && lacks == lackTunnel {
		h.mu.Unlock()
		t, e = p.settle(lacks, stopping)
		return t, false, e
	}
	a := h.agent(p.agentID)
	if !h.enqueue(a, w) {
		h.mu.Unlock()
		return nil, false, h.crowded(p, lacks)
	}
	h.mu.Unlock()

	began := time.Now()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var got turn
	select {
	case got = <-w.turn:
	case <-timer.C:
		got = p.leave(a, w)
	case <-p.ctx.Done():
		got = p.leave(a, w)
	}
	p.waited = time.Since(began)
	if p.ctx.Err() != nil && got.t != nil {
		got.t.release()
		got.t = nil
	}
	switch {
	case got.t != nil:
		return got.t, false, nil
	case p.ctx.Err() != nil && !errors.Is(context.Cause(p.ctx), context.DeadlineExceeded):
		return nil, false, givenUp(context.Cause(p.ctx), nil, proto.OutcomeNotSent)
	case got.elsewhere && p.ctx.Err() == nil:
		return nil, true, nil
	}
	h.mu.Lock()
	_, lacks = h.survey(a, p.failed)
	h.mu.Unlock()
	if p.own && lacks == lackTunnel {
		return nil, false, p.absent(lacks)
	}
	t, e = p.settle(lacks, got.why)
	return t, false, e
}

// leave ends the wait, unless the turn has just come.
func (p *trip) leave(a *agent, w *waiter) turn {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.hub.dequeue(a, w) {
		return turn{}
	}
	return <-w.turn
}

// settle is for a request that does not wait, or not any longer: it gets what
// may be dead where there is nothing else, or the reason why it gets nothing.
// why is why nobody will come, if that is known.
func (p *trip) settle(lacks lack, why string) (*tunnel, *proto.Error) {
	h := p.hub
	switch lacks {
	case lackOther:
		return nil, p.last
	case lackLeave:
		return nil, h.pausedFailure(p)
	case lackNothing: // a place has become free in this moment
		if t := h.place(p.agentID, p.failed); t != nil {
			if p.ctx.Err() == nil {
				return t, nil
			}
			t.release()
		}
		return nil, h.full(p) // others were first
	case lackRoom:
		return nil, h.full(p)
	case lackLife:
		if p.ctx.Err() != nil {
			break
		}
		h.mu.Lock()
		t := h.take(h.agent(p.agentID), p.failed, true)
		h.mu.Unlock()
		if t != nil {
			return t, nil
		}
	}
	return nil, h.offline(p, why)
}

// Await implements road.Patient.
func (r agentRoad) Await(ctx context.Context, wait time.Duration) (time.Duration, error) {
	var header http.Header
	if wait >= 0 {
		header = http.Header{proto.HeaderWait: {strconv.FormatInt(wait.Milliseconds(), 10)}}
	}
	p := trip{hub: r.hub, agentID: r.agentID, own: r.own, ctx: ctx, header: header}
	at, err := p.seat()
	switch {
	case err != nil:
		return p.held, err
	case at.way != nil:
		at.way.Release()
	default:
		at.t.release()
	}
	return p.held, nil
}

// MostWait implements road.Patient.
func (r agentRoad) MostWait() time.Duration {
	if !r.hub.holds() {
		return 0
	}
	return MaxWait
}
