package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sallyport/relay/account"
	"sallyport/relay/event"
	"sallyport/relay/session"
	"sallyport/relay/store"
)

var _ session.Store = (*Registry)(nil)

// sessionRow is the associated data of a sealed session.
func sessionRow(connectionID string) string { return "sessions/" + connectionID }

// LoadSession implements session.Store.
func (r *Registry) LoadSession(ctx context.Context, workspaceID, connectionID string) (session.Session, error) {
	sealed, err := r.Store.Workspace(workspaceID).Session(ctx, connectionID)
	if errors.Is(err, store.ErrNotFound) {
		return session.Session{}, session.ErrNone
	}
	if err != nil {
		return session.Session{}, err
	}
	plain, err := r.Vault.Open(sealed, sessionRow(connectionID))
	if err != nil {
		return session.Session{}, err
	}
	var s session.Session
	if err := json.Unmarshal(plain, &s); err != nil {
		return session.Session{}, fmt.Errorf("read the session of %s: %w", connectionID, err)
	}
	return s, nil
}

// SaveSession implements session.Store.
func (r *Registry) SaveSession(ctx context.Context, workspaceID string, s session.Session) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write the session of %s: %w", s.ConnectionID, err)
	}
	sealed, err := r.Vault.Seal(plain, sessionRow(s.ConnectionID))
	if err != nil {
		return err
	}
	return r.Store.Workspace(workspaceID).SaveSession(ctx, s.ConnectionID, sealed, r.Clock())
}

// DeleteSession implements session.Store.
func (r *Registry) DeleteSession(ctx context.Context, workspaceID, connectionID string) error {
	return r.Store.Workspace(workspaceID).DeleteSession(ctx, connectionID)
}

// SignOut forgets a connection's session; the next request signs in anew.
func (r *Registry) SignOut(ctx context.Context, actor account.Actor, id string) error {
	if err := mayEdit(actor, "sign connections out"); err != nil {
		return err
	}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return err
		}
		if err := w.DeleteSession(ctx, id); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"connection.sign_out", "connection", id, row.Name, ""})
	})
	if err == nil {
		err = r.dropHeld(ctx, actor.WorkspaceID, id)
	}
	if err != nil {
		return fault(err, "connection")
	}
	r.publish(actor.WorkspaceID, event.ConnectionChanged, id)
	return nil
}

// SignedIn notes that a person signed a connection in.
func (r *Registry) SignedIn(ctx context.Context, actor account.Actor, id string) error {
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"connection.sign_in", "connection", id, row.Name, "with the application, by a browser"})
	})
	if err != nil {
		return fault(err, "connection")
	}
	r.publish(actor.WorkspaceID, event.ConnectionChanged, id)
	return nil
}

// dropHeld has a session forgotten that may be held in memory.
func (r *Registry) dropHeld(ctx context.Context, workspaceID, connectionID string) error {
	if r.DropSession == nil {
		return nil
	}
	// The change is made; who asked for it may leave now.
	return r.DropSession(context.WithoutCancel(ctx), workspaceID, connectionID)
}
