package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"sallyport/proto"
)

// errTunnelGone: the tunnel ended or retired before the request was sent.
var errTunnelGone = errors.New("tunnel is gone")

// attempts is how many tunnels a request is tried on at most.
const attempts = 3

// answerGrace is how much longer than the request's own limit the relay waits
// for an agent, which enforces that limit itself and says more about it.
const answerGrace = 5 * time.Second

// Road is the on-premise road: it sends requests through the tunnels of an
// agent, as package relay/road describes. The agent need not be online yet.
func (h *Hub) Road(agentID string) http.RoundTripper { return agentRoad{h, agentID} }

type agentRoad struct {
	hub     *Hub
	agentID string
}

// RoundTrip sends the request down a stream of one of the agent's tunnels. By
// itself it tries again, on another tunnel, only what is safe: what certainly
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
	h, ctx := r.hub, req.Context()
	body := newUpload(req)
	defer func() { body.close() }()
	var failed []*tunnel
	var last *proto.Error
	perhaps := false // an attempt before may have reached the target
	for {
		t := h.pick(r.agentID, failed)
		if t == nil && last != nil {
			return nil, last
		}
		if t == nil {
			return nil, h.offline(ctx, r.agentID)
		}
		if last != nil {
			h.metrics.retries.Inc()
		}
		err := t.take(ctx)
		if err == nil {
			var resp *http.Response
			if resp, last = t.send(ctx, req, body, began); last == nil {
				return resp, nil
			}
		} else if errors.Is(err, errTunnelGone) {
			last = lost(t, proto.OutcomeNotSent, err)
		} else {
			last = givenUp(err, t, proto.OutcomeNotSent)
		}
		if perhaps {
			last = doubted(last, t)
		}
		perhaps = last.Outcome != proto.OutcomeNotSent
		failed = append(failed, t)
		if len(failed) == attempts || !mayRepeat(req, last) || ctx.Err() != nil {
			return nil, last
		}
		next, err := body.again()
		if err != nil {
			return nil, last
		}
		body = next
	}
}

// doubted is the failure e of an attempt, said of the whole request where an
// attempt before it may have reached the target.
func doubted(e *proto.Error, t *tunnel) *proto.Error {
	switch {
	case e.Outcome != proto.OutcomeNotSent:
	case e.Code == proto.CodeTunnelLost:
		return lost(t, proto.OutcomeUnknown, e.Err)
	default:
		e.Outcome = proto.OutcomeUnknown
	}
	return e
}

// mayRepeat reports whether the request may be sent once more after it failed
// with e.
func mayRepeat(req *http.Request, e *proto.Error) bool {
	return e.Code == proto.CodeTunnelLost && (e.Outcome == proto.OutcomeNotSent || proto.Idempotent(req.Method))
}

// deadline adds to ctx the limit that the request's options name, with grace.
func deadline(ctx context.Context, req *http.Request) (context.Context, context.CancelFunc) {
	ms, err := strconv.ParseInt(req.Header.Get(proto.HeaderTimeout), 10, 64)
	if err != nil || ms <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond+answerGrace)
}

// offline is the failure of a request whose agent holds no tunnel.
func (h *Hub) offline(ctx context.Context, agentID string) *proto.Error {
	e := &proto.Error{
		Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent,
		Detail: "The agent is not connected to this relay.",
		Hint:   "Check that sallyport-agent runs on its machine, and that the machine can reach this relay.",
		Facts:  map[string]string{"agentId": agentID},
	}
	known, err := h.known(ctx, agentID)
	if err != nil {
		e.Err = err
		return e
	}
	e.Facts["agent"] = known.Name
	e.Detail = fmt.Sprintf("The agent %q has never been connected.", known.Name)
	if seen := known.LastSeenAt; !seen.IsZero() {
		e.Facts["lastSeen"] = seen.UTC().Format(time.RFC3339)
		e.Detail = fmt.Sprintf("The agent %q is offline; it was last seen at %s.", known.Name, e.Facts["lastSeen"])
	}
	return e
}

// lost is the failure of a request whose tunnel ended.
func lost(t *tunnel, outcome proto.Outcome, err error) *proto.Error {
	e := &proto.Error{
		Code: proto.CodeTunnelLost, Outcome: outcome, Err: err,
		Facts: map[string]string{"agent": t.enrolled.AgentName, "hostname": t.hello.Hostname},
	}
	switch outcome {
	case proto.OutcomeNotSent:
		e.Detail = fmt.Sprintf("The tunnel to the agent %q ended before the request was sent.", t.enrolled.AgentName)
		e.Hint = "Nothing was sent: try again."
	case proto.OutcomeSent:
		e.Detail = fmt.Sprintf("The tunnel to the agent %q broke while the answer was arriving.", t.enrolled.AgentName)
		e.Hint = "The application has acted on the request; only its answer is incomplete."
	default:
		e.Detail = fmt.Sprintf("The tunnel to the agent %q broke while the request was under way.", t.enrolled.AgentName)
		e.Hint = "The application may have acted on the request: check before sending it again."
	}
	return e
}

// givenUp is the failure of a request whose caller went away, or whose time
// was up.
func givenUp(cause error, t *tunnel, outcome proto.Outcome) *proto.Error {
	if errors.Is(cause, context.DeadlineExceeded) {
		return &proto.Error{
			Code: proto.CodeTargetTimeout, Reason: proto.ReasonTimeout, Outcome: outcome, Err: cause,
			Facts:  map[string]string{"stage": "wait", "agent": t.enrolled.AgentName},
			Detail: fmt.Sprintf("No answer came through the agent %q in time.", t.enrolled.AgentName),
		}
	}
	return &proto.Error{
		Code: proto.CodeCanceled, Outcome: outcome, Err: cause,
		Detail: "The request was cancelled by its caller.",
	}
}
