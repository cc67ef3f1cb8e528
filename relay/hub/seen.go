package hub

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// knownFor is how long an answer of the directory about an agent is good, or that
// it gave none: many requests for agents that are away must not all ask the
// database. knownTimeout is how long one waits for it.
const (
	knownFor     = 2 * time.Second
	knownTimeout = time.Second
)

// errUnanswered: the directory has just not answered the same question.
var errUnanswered = errors.New("the directory does not answer")

// note tells the directory, now and then, which instances are connected, and what
// it did not take before. Whose enrolment has ended is shown out: another relay
// may have removed a machine, and not have reached this one to say so.
func (h *Hub) note() {
	ticker := time.NewTicker(h.opts.NoteEvery)
	defer ticker.Stop()
	for {
		select {
		case <-h.life.Done():
			return
		case <-ticker.C:
		}
		at := h.opts.Clock()
		for workspaceID, instances := range h.connected() {
			ctx, cancel := context.WithTimeout(h.life, directoryTimeout)
			ended, err := h.opts.Directory.Seen(ctx, workspaceID, instances, at)
			if err != nil && h.life.Err() == nil {
				h.log.Warn("presence can't be noted", zap.Int("instances", len(instances)), zap.Error(err))
			}
			cancel()
			h.showOut(ended)
		}
		h.resettle()
	}
}

// showOut ends the tunnels of instances whose enrolment was found to have ended.
func (h *Hub) showOut(instanceIDs []string) {
	if len(instanceIDs) == 0 {
		return
	}
	agentOf := make(map[string]string, len(instanceIDs))
	for _, id := range instanceIDs {
		agentOf[id] = "" // until it is found
	}
	h.mu.Lock()
	for _, a := range h.agents {
		for _, t := range a.tunnels {
			if _, ended := agentOf[t.hello.InstanceID]; ended {
				agentOf[t.hello.InstanceID] = a.id
			}
		}
	}
	h.mu.Unlock()
	for instanceID, agentID := range agentOf {
		if agentID == "" { // it has left meanwhile
			continue
		}
		h.log.Info("machine shown out, its enrolment has ended", zap.String("agent", agentID), zap.String("instance", instanceID))
		h.Disconnect(agentID, instanceID, "its enrolment was removed")
	}
}

// connected lists by workspace the instances that show signs of life.
func (h *Hub) connected() map[string][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string][]string)
	for _, a := range h.agents {
		for i, t := range a.tunnels {
			sibling := func(other *tunnel) bool { return other.hello.InstanceID == t.hello.InstanceID }
			if t.conn.Silent() < idleTimeout(h.opts.Heartbeat) && !slices.ContainsFunc(a.tunnels[:i], sibling) {
				all[t.enrolled.WorkspaceID] = append(all[t.enrolled.WorkspaceID], t.hello.InstanceID)
			}
		}
	}
	return all
}

// known is what is known of an agent that holds no tunnel here: by what this
// relay saw itself, and by the directory, which knows of other relays and of
// times before this one started. ErrNotEnrolled where the agent is none.
func (h *Hub) known(ctx context.Context, agentID string) (Known, error) {
	h.mu.Lock()
	a := h.agents[agentID]
	now := h.opts.Clock()
	if a != nil && now.Sub(a.askedAt).Abs() < knownFor {
		defer h.mu.Unlock()
		return a.recollection(), nil
	}
	if a.blank() && now.Sub(h.unanswered).Abs() < knownFor {
		h.mu.Unlock()
		return Known{}, errUnanswered
	}
	h.mu.Unlock()

	asking, cancel := context.WithTimeout(ctx, knownTimeout)
	defer cancel()
	answer, err := h.opts.Directory.Known(asking, agentID)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case errors.Is(err, ErrNotEnrolled):
		return Known{}, err
	case err != nil:
		if ctx.Err() == nil {
			h.unanswered = h.opts.Clock()
		}
		// What this relay saw itself will do.
		h.log.Warn("agent can't be looked up", zap.String("agent", agentID), zap.Error(err))
		if a = h.agents[agentID]; a.blank() {
			return Known{}, err
		}
		a.heldBy = ""
	default:
		a = h.agent(agentID)
		a.name = strings.TrimSpace(answer.Name)
		if answer.LastSeenAt.After(a.lastSeen) {
			a.lastSeen = answer.LastSeenAt
		}
		a.heldBy = answer.HeldBy
	}
	a.askedAt = now
	return a.recollection(), nil
}

// recollection is what the hub remembers of the agent; the hub's mu is held.
func (a *agent) recollection() Known {
	return Known{Name: a.name, LastSeenAt: a.lastSeen, HeldBy: a.heldBy}
}

// blank reports whether this relay remembers nothing of the agent: it has not been
// here, and the directory has not said what it knows. The hub's mu is held.
func (a *agent) blank() bool { return a == nil || a.name == "" }

// agent is the hub's entry for an agent that is enrolled; mu is held.
func (h *Hub) agent(agentID string) *agent {
	a := h.agents[agentID]
	if a == nil {
		a = &agent{id: agentID, recorded: make(map[string]*proto.Paused)}
		h.agents[agentID] = a
	}
	return a
}
