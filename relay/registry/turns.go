package registry

import (
	"context"
	"errors"
	"time"

	"sallyport/relay/connection"
	"sallyport/relay/session"
	"sallyport/relay/store"
)

var (
	_ session.Turns  = (*Registry)(nil)
	_ session.Ending = (*Registry)(nil)
)

// TakeTurn implements session.Turns.
func (r *Registry) TakeTurn(ctx context.Context, workspaceID, connectionID, holder string, dead session.Turn) (session.Turn, error) {
	now, err := r.Store.Workspace(workspaceID).TakeSignIn(ctx, connectionID, holder, store.SignIn(dead))
	return session.Turn(now), err
}

// KeepTurn implements session.Turns.
func (r *Registry) KeepTurn(ctx context.Context, workspaceID, connectionID, holder string) error {
	return r.Store.Workspace(workspaceID).BeatSignIn(ctx, connectionID, holder)
}

// EndTurn implements session.Turns. A turn of a connection that was deleted
// meanwhile has ended already, and so has one that was taken over.
func (r *Registry) EndTurn(ctx context.Context, workspaceID, connectionID, holder, state string) error {
	err := r.Store.Workspace(workspaceID).FreeSignIn(ctx, connectionID, holder, state)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// LastTurn implements session.Turns.
func (r *Registry) LastTurn(ctx context.Context, workspaceID, connectionID string) (session.Turn, error) {
	now, err := r.Store.Workspace(workspaceID).SignIn(ctx, connectionID)
	if errors.Is(err, store.ErrNotFound) {
		return session.Turn{}, nil
	}
	return session.Turn(now), err
}

// ForgetTurns implements session.Turns.
func (r *Registry) ForgetTurns(ctx context.Context, workspaceID, connectionID string) error {
	return r.Store.Workspace(workspaceID).ForgetSignIns(ctx, connectionID)
}

// endedAtOnce is how many sessions are ended in one go; the rest waits for the
// next.
const endedAtOnce = 100

// EndedSessions implements session.Ending.
func (r *Registry) EndedSessions(ctx context.Context, before time.Time) ([]session.Dropped, error) {
	rows, err := r.Store.EndedSessions(ctx, before, endedAtOnce)
	if err != nil {
		return nil, err
	}
	ended := make([]session.Dropped, len(rows))
	for i, row := range rows {
		ended[i] = session.Dropped{WorkspaceID: row.WorkspaceID, ConnectionID: row.ConnectionID}
	}
	return ended, nil
}

// ResolveSession implements session.Ending.
func (r *Registry) ResolveSession(ctx context.Context, workspaceID, connectionID string) (*connection.Connection, error) {
	row, err := r.Store.Workspace(workspaceID).Connection(ctx, connectionID)
	if err != nil {
		return nil, err
	}
	c, err := view(row)
	if err != nil {
		return nil, err
	}
	secrets, err := r.open(row)
	if err != nil {
		return nil, err
	}
	return &connection.Connection{ID: row.ID, WorkspaceID: workspaceID, Spec: c.Spec, Secrets: secrets}, nil
}
