package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sallyport/proto"
)

// retryAfter is the fact that says when to try again, in seconds, as package
// relay/gateway passes it on.
const retryAfter = "retryAfter"

// When to try again: an agent that is restarting is back in seconds, one that
// is away for longer is not.
const (
	retrySoon  = 2 * time.Second
	retryLater = 30 * time.Second
)

func seconds(d time.Duration) string { return strconv.Itoa(int((d + time.Second - 1) / time.Second)) }

// offline is the failure of a request whose agent holds no tunnel. why is why
// it was not waited for any longer, if that is not its own time.
func (h *Hub) offline(p *trip, why string) *proto.Error {
	if e := h.crammed(p); e != nil {
		return e
	}
	e := &proto.Error{
		Code: proto.CodeAgentOffline, Outcome: proto.OutcomeNotSent,
		Detail: "The agent is not connected to this relay.",
		Hint:   "Check that sallyport-agent runs on its machine, and that the machine can reach this relay.",
		Facts:  map[string]string{"agentId": p.agentID, retryAfter: seconds(retryLater)},
	}
	// The caller's own time may be up; who is offline shall be said even so.
	known, err := h.known(context.WithoutCancel(p.ctx), p.agentID)
	if err != nil {
		e.Err = err
		if name, _ := h.called(p.agentID); name != "" {
			e.Facts["agent"] = name
			e.Detail = fmt.Sprintf("The agent %q is not connected to this relay.", name)
		}
	} else {
		e.Facts["agent"] = known.Name
		e.Detail = fmt.Sprintf("The agent %q has never been connected.", known.Name)
		if seen := known.LastSeenAt; !seen.IsZero() {
			e.Facts["lastSeen"] = seen.UTC().Format(time.RFC3339)
			e.Detail = fmt.Sprintf("The agent %q is offline; it was last seen at %s.", known.Name, e.Facts["lastSeen"])
			if h.recent(seen) {
				e.Facts[retryAfter] = seconds(retrySoon)
			}
		}
	}
	h.explain(e, p.agentID, known.HeldBy)
	switch {
	case why == stopping:
		e.Detail += " The request is not held any longer, since " + why + "."
		e.Hint, e.Facts[retryAfter] = "Nothing was sent: try again in a moment.", seconds(retrySoon)
	case why != "":
		e.Detail += " The request is not held any longer, since " + why + "."
	case p.held+p.waited > 0:
		e.Detail += fmt.Sprintf(" The request was held for %s.", (p.held + p.waited).Round(100*time.Millisecond))
	}
	return e
}

// full is the failure of a request for which no place became free.
func (h *Hub) full(p *trip) *proto.Error {
	h.metrics.limited("streams")
	name, tunnels := h.called(p.agentID)
	waited := "the request does not wait"
	if held := p.held + p.waited; held > 0 {
		waited = fmt.Sprintf("none ended within %s", held.Round(100*time.Millisecond))
	}
	return &proto.Error{
		Code: proto.CodeTooManyRequests, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The agent %q is busy: each of its %d tunnels carries the %d requests that it may carry at once, and %s.",
			name, tunnels, h.opts.MaxStreams, waited),
		Hint:  "Send fewer requests at once, or enrol another machine under the agent.",
		Facts: map[string]string{"agentId": p.agentID, "agent": name, "limit": strconv.Itoa(h.opts.MaxStreams), retryAfter: seconds(time.Second)},
	}
}

// crowded is the failure of a request that is one too many to wait.
func (h *Hub) crowded(p *trip, lacks lack) *proto.Error {
	h.metrics.limited("waiting")
	name, _ := h.called(p.agentID)
	e := &proto.Error{
		Code: proto.CodeTooManyRequests, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The agent %q is busy, and as many requests as may wait for it wait already (%d).", name, h.opts.MaxWaiting),
		Hint:   "Send fewer requests at once, or enrol another machine under the agent.",
		Facts:  map[string]string{"agentId": p.agentID, "agent": name, "limit": strconv.Itoa(h.opts.MaxWaiting), retryAfter: seconds(retrySoon)},
	}
	if lacks == lackTunnel || lacks == lackLife {
		e = h.offline(p, "")
		e.Facts["limit"], e.Facts[retryAfter] = strconv.Itoa(h.opts.MaxWaiting), seconds(retrySoon)
		e.Detail += fmt.Sprintf(" As many requests as may wait for it wait already (%d).", h.opts.MaxWaiting)
	}
	return e
}

// called is what an agent that was here is called, and how many tunnels it
// holds.
func (h *Hub) called(agentID string) (name string, tunnels int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.agents[agentID]; a != nil {
		return a.name, len(a.tunnels)
	}
	return "", 0
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

// unable is the error of a request that needs secrets of the agent, whose
// program is too old to have any: it would send the marks to the target.
func (t *tunnel) unable(req *http.Request) *proto.Error {
	if req.Header[proto.HeaderFill] == nil && req.Header[proto.HeaderMask] == nil || slices.Contains(t.hello.Capabilities, proto.CapabilityFill) {
		return nil
	}
	return &proto.Error{Code: proto.CodeSecretUnavailable, Reason: proto.ReasonAgentTooOld, Outcome: proto.OutcomeNotSent,
		Detail: fmt.Sprintf("The agent %q on %s (version %s) knows no secrets of its own, which this connection uses.", t.enrolled.AgentName, t.hello.Hostname, t.hello.Version),
		Hint:   "Update the agent there, or use {{secret.NAME}} in the place of {{agent.secret.NAME}}."}
}
