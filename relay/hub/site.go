package hub

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"sallyport/proto"
)

// pause is what an agent's site said last of a pause, and when.
type pause struct {
	proto.Paused
	at time.Time
}

// paused reports whether the site has paused the tunnel's instance.
func (t *tunnel) paused() bool {
	p := t.pause.Load()
	return p != nil && !p.Since.IsZero()
}

// told of a pause or of its end. It runs in the tunnel's reader.
func (h *Hub) toldPause(t *tunnel, p *proto.Paused) {
	t.pause.Store(&pause{*p, h.opts.Clock()})
	h.mu.Lock()
	a := t.agent // nil: it is not registered yet
	if a != nil {
		h.reconsider(a)
		h.serve(a)
	}
	h.mu.Unlock()
	if a != nil {
		h.spawn(func() { h.settle(t, "") })
	}
}

// pausedFailure is the failure of a request whose agent is paused on every
// machine that could take it.
func (h *Hub) pausedFailure(p *trip) *proto.Error {
	h.mu.Lock()
	said, name := proto.Paused{Since: h.opts.Clock()}, ""
	if a := h.agents[p.agentID]; a != nil {
		name = a.name
		for _, t := range a.tunnels {
			// Where several machines are paused: the one that goes on first.
			if q := t.pause.Load(); t.paused() && (said.Until.IsZero() || !q.Until.IsZero() && q.Until.Before(said.Until)) {
				said = q.Paused
			}
		}
	}
	h.mu.Unlock()
	e := said.Failure(fmt.Sprintf("The agent %q", name))
	e.Facts["agentId"], e.Facts["agent"] = p.agentID, name
	e.Facts[retryAfter] = seconds(retryLater)
	if !said.Until.IsZero() {
		e.Facts[retryAfter] = seconds(max(said.Until.Sub(h.opts.Clock()), time.Second))
	}
	return e
}

// samePause reports whether two words on a pause say the same; nil and the zero
// value both say that there is none.
func samePause(a, b *proto.Paused) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Since.Equal(b.Since) && a.Until.Equal(b.Until) && a.Reason == b.Reason
}

// toldOffline takes in why the instance was offline, writes it down, and says
// so. It runs in the tunnel's reader; the writing does not.
func (h *Hub) toldOffline(t *tunnel, m *proto.OfflineReport) {
	report := *m
	report.From, report.To = m.From.Add(-t.clockOffset), m.To.Add(-t.clockOffset)
	h.spawn(func() {
		t.running.Lock()
		//lint:ignore SA2001 it is held until the tunnel is registered: its coming is written down first
		t.running.Unlock()
		ctx, cancel := context.WithTimeout(h.life, directoryTimeout)
		defer cancel()
		if err := h.opts.Directory.Explained(ctx, t.hello.AgentID, t.hello.InstanceID, report); err != nil {
			h.log.Warn("why an agent was offline can't be written down", // it is sent again with the next tunnel
				zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID), zap.Error(err))
			return
		}
		h.log.Info("agent was offline", zap.String("agent", t.hello.AgentID), zap.String("instance", t.hello.InstanceID),
			zap.Time("from", report.From), zap.Time("to", report.To), zap.String("cause", string(report.Cause)), zap.String("detail", report.Detail))
		t.tell(&proto.OfflineNoted{ID: report.ID})
		h.changed(t)
	})
}
