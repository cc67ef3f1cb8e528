package hub

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
)

// attempts is how many tunnels a request is tried on at most.
const attempts = 3

// answerGrace is how much longer than the request's own limit the relay waits
// for an agent, which enforces that limit itself and says more about it.
const answerGrace = 5 * time.Second

// Road is the on-premise road: it sends requests through the tunnels of an
// agent, as package relay/road describes. The agent need not be online yet.
func (h *Hub) Road(agentID string) http.RoundTripper { return agentRoad{hub: h, agentID: agentID} }

type agentRoad struct {
	hub     *Hub
	agentID string
	own     bool // by tunnels to this relay alone
}

// RoundTrip sends the request down a stream of one of the agent's tunnels, or on
// to another relay where the agent holds none here that could take it. By
// itself it tries again, on another one, only what is safe: what certainly
// has not been sent, and idempotent methods whose body can be had again.
func (r agentRoad) RoundTrip(req *http.Request) (*http.Response, error) {
	h, began := r.hub, time.Now()
	resp, err := r.try(req, began)
	if err != nil {
		h.metrics.answered(string(err.Code), time.Since(began))
		return nil, err
	}
	h.metrics.answered("ok", time.Since(began))
	return resp, nil
}

func (r agentRoad) try(req *http.Request, began time.Time) (*http.Response, *proto.Error) {
	body := newUpload(req)
	defer func() { body.close() }()
	p := trip{hub: r.hub, agentID: r.agentID, own: r.own, ctx: req.Context(), header: req.Header}
	for {
		at, err := p.seat()
		if err != nil {
			return nil, heldFor(err, p.held)
		}
		if p.last != nil {
			r.hub.metrics.retries.Inc()
		}
		resp, failure := p.send(at, req, body, began.Add(p.held))
		if failure == nil {
			p.tell(resp.Header)
			return resp, nil
		}
		astray := p.fail(at, failure)
		if p.tries == attempts || !astray && !mayRepeat(req, p.last) || p.ctx.Err() != nil {
			return nil, heldFor(p.last, p.held)
		}
		next, again := body.again()
		if again != nil {
			return nil, heldFor(p.last, p.held)
		}
		body = next
	}
}

// send sends the request once.
func (p *trip) send(at seat, req *http.Request, body *upload, began time.Time) (*http.Response, *proto.Error) {
	if at.way != nil {
		return p.detour(at.way, p.shortened(req), body, began)
	}
	return at.t.send(p.ctx, p.shortened(req), body, began)
}

// fail notes that the request has failed. It reports whether it only went
// astray: it came to a relay that is no way to the agent, as if it had not been
// sent there.
func (p *trip) fail(at seat, e *proto.Error) (astray bool) {
	astray = errors.Is(e, ErrNotThere)
	switch doubt := p.last != nil && p.last.Outcome != proto.OutcomeNotSent; {
	case doubt && at.t != nil:
		e = doubted(e, at.t)
	case doubt && e.Outcome == proto.OutcomeNotSent:
		e = p.last
	}
	p.last = e
	switch {
	case at.t != nil:
		p.failed = append(p.failed, at.t)
		p.tries++
	case !astray:
		p.tries++
		if e.Code != proto.CodeTunnelLost { // it has the agent, and can't use it
			p.tried = append(p.tried, at.way.Relay())
		}
	}
	return astray
}

// shortened is the request with the time that it was held taken off its limit.
func (p *trip) shortened(req *http.Request) *http.Request {
	limit, ok := milliseconds(req.Header, proto.HeaderTimeout)
	if p.held == 0 || !ok || limit == 0 {
		return req
	}
	short := *req
	short.Header = maps.Clone(req.Header)
	left := max(limit-p.held, time.Millisecond)
	short.Header[proto.HeaderTimeout] = []string{strconv.FormatInt(left.Milliseconds(), 10)}
	return &short
}

// tell adds to an answer's timing how long the request was held.
func (p *trip) tell(answer http.Header) {
	if p.held == 0 {
		return
	}
	timing, err := proto.ParseTiming(answer.Get(proto.HeaderTiming))
	if err != nil {
		return // written by send: it can be read
	}
	timing.Held += p.held
	answer[proto.HeaderTiming] = []string{proto.FormatTiming(timing)}
}

// heldFor adds to a failure how long the request was held.
func heldFor(e *proto.Error, held time.Duration) *proto.Error {
	if held == 0 {
		return e
	}
	told := *e
	told.Timing = &proto.Timing{}
	if e.Timing != nil {
		*told.Timing = *e.Timing
	}
	told.Timing.Held += held
	return &told
}

// mayRepeat reports whether the request may be sent once more after it failed
// with e.
func mayRepeat(req *http.Request, e *proto.Error) bool {
	if e.Reason == proto.ReasonAgentTooOld || e.Code == proto.CodeAgentPaused { // another machine's may be newer, or not be paused
		return true
	}
	if e.Code == proto.CodeTooManyRequests { // that the agent itself has no room, unless its site's rules say so
		return e.Outcome == proto.OutcomeNotSent && e.Reason != proto.ReasonRuleRate
	}
	return e.Code == proto.CodeTunnelLost && (e.Outcome == proto.OutcomeNotSent || proto.Idempotent(req.Method))
}

// deadline adds to ctx the limit that the request's options name, with grace.
func deadline(ctx context.Context, req *http.Request) (context.Context, context.CancelFunc) {
	limit, ok := milliseconds(req.Header, proto.HeaderTimeout)
	if !ok || limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit+answerGrace)
}
