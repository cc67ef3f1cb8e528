package health

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/connection"
	"sallyport/relay/event"
	"sallyport/relay/probe"
	"sallyport/relay/store"
)

// longestMessage is how much of a message is kept, in bytes.
const longestMessage = 500

// settleOff notes that a connection is not to be pinged.
func (w *Watch) settleOff(ctx context.Context, claimed store.ClaimedHealth) {
	now := w.Clock()
	h := store.Health{ConnectionID: claimed.ConnectionID, State: string(Unknown), Since: claimed.Since, CheckedAt: claimed.CheckedAt,
		Message: "It is not pinged by itself: that was switched off."}
	if claimed.State != string(Unknown) || h.Since.IsZero() {
		h.Since = now
	}
	w.write(ctx, claimed, store.Settled{Lease: claimed.Lease, Was: claimed.NextAt, Health: h})
}

// settle makes of what a check found the connection's new state, with its
// history and, where it has changed, the notices.
func (w *Watch) settle(ctx context.Context, claimed store.ClaimedHealth, c *connection.Connection, row store.Connection, found probe.Check) {
	now := w.Clock()
	log := w.Log.With(zap.String("connection", claimed.ConnectionID))
	remembered, err := readMemory(claimed.Memory)
	if err != nil {
		log.Error("a connection's health begins anew", zap.Error(err))
	}
	is := condition{State: State(claimed.State), Since: claimed.Since, Message: claimed.Message, memory: remembered}
	found.Message = cutText(found.Message, longestMessage)
	was := is.State
	changed := is.observe(found, now)
	looks := look{Version: row.Version, Machines: w.machinesOf(c), Certificate: found.Certificate, Answer: found.Answer}

	s := store.Settled{Lease: claimed.Lease, Was: claimed.NextAt}
	if !found.Nothing {
		s.Result = &store.HealthResult{ConnectionID: c.ID, At: now, Result: string(stateOf(found)), LatencyMs: float64(found.Latency.Microseconds()) / 1000}
		if !found.OK {
			s.Result.Message = found.Message
		}
	}
	occasion := is.Told.after(changed && !(was == Unknown && is.State == Online), now)
	if changed || occasion != nothing {
		differs := differences(is.Worked, looks, c.Mode, w.saves(ctx, c, is.WorkedAt))
		if changed {
			s.Change = &store.HealthChange{ID: store.NewID("chg"), ConnectionID: c.ID, At: now, Was: string(was), State: string(is.State),
				Message: is.Message, Differences: asJSON(differs)}
		}
		s.Notices = w.notices(c, &is, was, differs, occasion, now)
	}
	if found.OK {
		if looks.Certificate == nil && is.Worked != nil {
			looks.Certificate = is.Worked.Certificate // an older agent took this one
		}
		is.Worked, is.WorkedAt = &looks, now
	}
	s.Health = store.Health{ConnectionID: c.ID, NextAt: is.next(found, c.HealthEvery(), now, jitter()), State: string(is.State),
		Since: is.Since, CheckedAt: now, Message: is.Message, Memory: asJSON(is.memory)}
	if !w.write(ctx, claimed, s) {
		return
	}
	if changed {
		log.Info("a connection's state has changed", zap.String("was", string(was)), zap.String("state", string(is.State)),
			zap.String("step", found.Step), zap.String("code", string(found.Code)))
		w.Events.Publish(event.Event{WorkspaceID: claimed.WorkspaceID, Type: event.HealthChanged, ID: c.ID})
	}
	if len(s.Notices) > 0 {
		w.stir()
	}
}

// write settles a claim. What a ping has found is written even if the relay is
// about to stop.
func (w *Watch) write(ctx context.Context, claimed store.ClaimedHealth, s store.Settled) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	settled, err := w.Store.Workspace(claimed.WorkspaceID).SettleHealth(ctx, s)
	if err != nil && !errors.Is(err, store.ErrReference) { // deleted meanwhile
		w.Log.Error("what a ping found can't be written down", zap.String("connection", claimed.ConnectionID), zap.Error(err))
	}
	return settled && err == nil
}

// saves are the audit trail's lines about a connection since it last worked.
func (w *Watch) saves(ctx context.Context, c *connection.Connection, since time.Time) []store.Entry {
	if since.IsZero() {
		return nil
	}
	saves, err := w.Store.Workspace(c.WorkspaceID).AuditOf(ctx, c.ID, since, 4*shownSaves)
	if err != nil {
		w.Log.Warn("the audit trail can't be read", zap.String("connection", c.ID), zap.Error(err))
	}
	return saves
}

// asJSON writes values of this package, which always can be.
func asJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// cutText cuts at a rune's edge.
func cutText(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}
