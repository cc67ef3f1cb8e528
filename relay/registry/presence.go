package registry

import (
	"context"
	"errors"
	"time"

	"sallyport/relay/store"
)

// errOutdated undoes a write that was held up: something later has been said.
var errOutdated = errors.New("outdated")

// say notes in the store whether this relay holds an instance. It reports
// false where this relay has said something later already. w is a transaction
// that has touched the instance's row, so that several relays speak of it one
// after the other.
func (r *Registry) say(ctx context.Context, w *store.Workspace, p store.Presence) (bool, error) {
	p.Run = r.roster.run
	return w.SetPresence(ctx, p)
}

// held reports whether a relay that lives, this one included, says that it
// holds the instance.
func (r *Registry) held(ctx context.Context, w *store.Workspace, agentID, instanceID string) (bool, error) {
	present, err := w.Present(ctx, []string{agentID}, append([]store.Run{r.roster.run}, r.roster.elsewhere()...))
	for _, p := range present {
		if p.InstanceID == instanceID {
			return true, err
		}
	}
	return false, err
}

// recordOffline adds to the history that an instance went offline, unless
// another relay holds it: one that moves from relay to relay was never away.
func (r *Registry) recordOffline(ctx context.Context, w *store.Workspace, in store.Instance, at time.Time, reason string) error {
	held, err := r.held(ctx, w, in.AgentID, in.ID)
	if err != nil || held {
		return err
	}
	return w.AddHistory(ctx, store.Event{ID: store.NewID("evt"), AgentID: in.AgentID, InstanceID: in.ID,
		Hostname: in.Hostname, At: at, Reason: reason})
}
