package registry

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"sallyport/proto"
	"sallyport/relay/event"
	"sallyport/relay/hub"
	"sallyport/relay/store"
)

var _ hub.Directory = (*Registry)(nil)

// Enrolled implements hub.Directory.
func (r *Registry) Enrolled(ctx context.Context, agentID, instanceID string) (hub.Enrolled, error) {
	in, agentName, err := r.Store.InstanceByID(ctx, agentID, instanceID)
	if errors.Is(err, store.ErrNotFound) {
		return hub.Enrolled{}, fmt.Errorf("instance %q of agent %q: %w", instanceID, agentID, hub.ErrNotEnrolled)
	}
	if err != nil {
		return hub.Enrolled{}, err
	}
	return hub.Enrolled{WorkspaceID: in.WorkspaceID, AgentName: agentName, PublicKey: ed25519.PublicKey(in.PublicKey)}, nil
}

// Connected implements hub.Directory.
func (r *Registry) Connected(ctx context.Context, agentID string, in hub.Instance) error {
	counter := r.roster.counter.Add(1) // by when it was so, not by when it is written
	w, row, err := r.enrolledInstance(ctx, agentID, in.ID)
	if err != nil {
		return err
	}
	row.Hostname, row.OS, row.Arch, row.Version = in.Hostname, in.OS, in.Arch, in.Version
	row.ConnectedAt, row.LastSeenAt = in.ConnectedAt, in.LastSeenAt
	if row.LastSeenAt.IsZero() {
		row.LastSeenAt = row.ConnectedAt
	}
	row.PausedSince, row.PausedUntil, row.PauseReason = time.Time{}, time.Time{}, ""
	if p := in.Paused; p != nil {
		row.PausedSince, row.PausedUntil, row.PauseReason = p.Since, p.Until, p.Reason
	}
	err = w.Together(ctx, func(ctx context.Context, w *store.Workspace) error {
		if err := w.InstanceConnected(ctx, row); err != nil {
			return err
		}
		held, err := r.held(ctx, w, agentID, in.ID)
		if err != nil {
			return err
		}
		fresh, err := r.say(ctx, w, store.Presence{Counter: counter, AgentID: agentID, InstanceID: in.ID, Online: true,
			ConnectedAt: in.ConnectedAt, Latency: in.Latency})
		switch {
		case err != nil:
			return err
		case !fresh:
			return errOutdated
		case held:
			return nil
		}
		return w.AddHistory(ctx, store.Event{ID: store.NewID("evt"), AgentID: agentID, InstanceID: in.ID,
			Hostname: in.Hostname, Online: true, At: in.ConnectedAt})
	})
	switch {
	case errors.Is(err, errOutdated):
		return nil
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("instance %q of agent %q: %w", in.ID, agentID, hub.ErrNotEnrolled)
	case err != nil:
		return err
	}
	r.agentMoved(ctx, row.WorkspaceID, agentID, in.Paused == nil)
	r.publish(row.WorkspaceID, event.AgentChanged, agentID)
	return nil
}

// Disconnected implements hub.Directory. An instance that was removed
// meanwhile has no history any more, which is no error.
func (r *Registry) Disconnected(ctx context.Context, agentID, instanceID string, at time.Time, reason string) error {
	counter := r.roster.counter.Add(1)
	w, row, err := r.enrolledInstance(ctx, agentID, instanceID)
	if errors.Is(err, hub.ErrNotEnrolled) {
		return nil
	}
	if err != nil {
		return err
	}
	err = w.Together(ctx, func(ctx context.Context, w *store.Workspace) error {
		if err := w.InstanceSeen(ctx, agentID, instanceID, at); err != nil {
			return err
		}
		fresh, err := r.say(ctx, w, store.Presence{Counter: counter, AgentID: agentID, InstanceID: instanceID, ConnectedAt: row.ConnectedAt})
		switch {
		case err != nil:
			return err
		case !fresh:
			return errOutdated
		}
		return r.recordOffline(ctx, w, row, at, reason)
	})
	switch {
	case errors.Is(err, errOutdated):
		return nil
	case err != nil && !errors.Is(err, store.ErrReference):
		return err
	}
	r.agentMoved(ctx, row.WorkspaceID, agentID, false)
	r.publish(row.WorkspaceID, event.AgentChanged, agentID)
	return nil
}

// Explained implements hub.Directory. Like Disconnected, it has nothing to say of
// an instance that was removed meanwhile.
func (r *Registry) Explained(ctx context.Context, agentID, instanceID string, report proto.OfflineReport) error {
	w, row, err := r.enrolledInstance(ctx, agentID, instanceID)
	if errors.Is(err, hub.ErrNotEnrolled) {
		return nil
	}
	if err != nil {
		return err
	}
	err = w.ExplainHistory(ctx, store.Event{ID: store.NewIDAt("evt", report.From), AgentID: agentID, InstanceID: instanceID,
		Hostname: row.Hostname, At: report.From, Cause: string(report.Cause), Detail: report.Detail}, report.To, report.ID)
	if err != nil && !errors.Is(err, store.ErrReference) {
		return err
	}
	r.publish(row.WorkspaceID, event.AgentChanged, agentID)
	return nil
}

// Seen implements hub.Directory.
func (r *Registry) Seen(ctx context.Context, workspaceID string, instanceIDs []string, at time.Time) (ended []string, err error) {
	w := r.Store.Workspace(workspaceID)
	if err := w.InstancesSeen(ctx, instanceIDs, at); err != nil {
		return nil, err
	}
	return w.InstancesAbsent(ctx, instanceIDs)
}

// Known implements hub.Directory.
func (r *Registry) Known(ctx context.Context, agentID string) (hub.Known, error) {
	name, lastSeen, err := r.Store.AgentSeen(ctx, agentID)
	if errors.Is(err, store.ErrNotFound) {
		return hub.Known{}, fmt.Errorf("agent %q: %w", agentID, hub.ErrNotEnrolled)
	}
	if err != nil {
		return hub.Known{}, err
	}
	known := hub.Known{Name: name, LastSeenAt: lastSeen}
	if r.PeerAddress == "" && len(r.roster.elsewhere()) > 0 {
		known.HeldBy, err = r.holder(ctx, agentID)
	}
	return known, err
}

func (r *Registry) enrolledInstance(ctx context.Context, agentID, instanceID string) (*store.Workspace, store.Instance, error) {
	row, _, err := r.Store.InstanceByID(ctx, agentID, instanceID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, store.Instance{}, fmt.Errorf("instance %q of agent %q: %w", instanceID, agentID, hub.ErrNotEnrolled)
	}
	if err != nil {
		return nil, store.Instance{}, err
	}
	return r.Store.Workspace(row.WorkspaceID), row, nil
}
