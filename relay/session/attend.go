package session

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
)

// Ending finds sessions that are over by their connections' settings. Package
// registry implements it.
type Ending interface {
	// EndedSessions are sessions that were over before the given time.
	EndedSessions(ctx context.Context, before time.Time) ([]Dropped, error)
	// ResolveSession is the connection of a session, as it is now.
	ResolveSession(ctx context.Context, workspaceID, connectionID string) (*connection.Connection, error)
}

const (
	// attendEvery is how often sessions are looked for that are over.
	attendEvery = 30 * time.Second
	// endGrace is how much later than it is stored a session's end may be: the
	// store hears of its use once a minute.
	endGrace = saveEvery + 30*time.Second
)

// attend ends sessions that nobody uses, so that the application need not keep
// them, until the Keeper is closed.
func (k *Keeper) attend() {
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return
		case <-tick.C:
			k.endSessions(k.ctx)
		}
	}
}

// endSessions ends those that are over. Where several relays do it at once, the
// application hears of it twice, which does no harm.
func (k *Keeper) endSessions(ctx context.Context) {
	ended, err := k.ending.EndedSessions(ctx, k.clock().Add(-endGrace))
	if err != nil {
		k.log.Warn("sessions that are over can't be found", zap.Error(err))
		return
	}
	for _, d := range ended {
		c, err := k.ending.ResolveSession(ctx, d.WorkspaceID, d.ConnectionID)
		if err != nil {
			k.log.Warn("a session that is over can't be ended", zap.String("connection", d.ConnectionID), zap.Error(err))
			continue
		}
		if err := k.end(ctx, c); err != nil {
			k.log.Warn("a session that is over can't be forgotten", zap.String("connection", d.ConnectionID), zap.Error(err))
		}
	}
}

// end forgets the connection's session and signs it out, if it is over as this
// relay knows it.
func (k *Keeper) end(ctx context.Context, c *connection.Connection) error {
	e := k.entry(c.WorkspaceID, c.ID)
	e.saving.Lock()
	defer e.saving.Unlock()
	settings := digest(c)
	h, _ := k.load(ctx, c, settings)
	k.mu.Lock()
	if held := e.held; held != nil && (h == nil || held.session.ID == h.session.ID) {
		h = held
	}
	if h == nil || h.over(c.Auth.Session, k.clock()) == "" {
		k.mu.Unlock()
		return nil
	}
	if e.held == h {
		e.held = nil
	}
	k.mu.Unlock()
	if err := k.store.DeleteSession(ctx, c.WorkspaceID, c.ID); err != nil {
		return err
	}
	k.retire(c, h, h.over(c.Auth.Session, k.clock()))
	k.changed(c.WorkspaceID, c.ID)
	return nil
}
