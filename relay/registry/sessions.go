package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"sallyport/proto"
	"sallyport/relay/account"
	"sallyport/relay/connection"
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
	return r.unseal(sealed, connectionID)
}

func (r *Registry) unseal(sealed []byte, connectionID string) (session.Session, error) {
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
	return r.Store.Workspace(workspaceID).SaveSession(ctx, s.ConnectionID, sealed, r.Clock(), s.EndsAt)
}

// DeleteSession implements session.Store.
func (r *Registry) DeleteSession(ctx context.Context, workspaceID, connectionID string) error {
	return r.Store.Workspace(workspaceID).DeleteSession(ctx, connectionID)
}

// SignInAsked checks that the actor may have a connection signed in, and notes
// that he asked for it.
func (r *Registry) SignInAsked(ctx context.Context, actor account.Actor, c *connection.Connection) error {
	if err := mayEdit(actor, "sign connections in"); err != nil {
		return err
	}
	if !c.Auth.Type.SignsIn() {
		return &proto.Error{Code: proto.CodeValidation, Detail: "This connection does not sign in: its authentication type is " + string(c.Auth.Type) + ".",
			Hint: "Send a request through it, or test it."}
	}
	return fault(r.audit(ctx, r.workspace(actor), actor, change{"connection.sign_in", "connection", c.ID, c.Name, ""}), "connection")
}

// SignOut forgets a connection's session; the next request signs in anew.
func (r *Registry) SignOut(ctx context.Context, actor account.Actor, id string) error {
	if err := mayEdit(actor, "sign connections out"); err != nil {
		return err
	}
	last := session.Dropped{WorkspaceID: actor.WorkspaceID, ConnectionID: id}
	err := r.workspace(actor).Atomically(ctx, func(w *store.Workspace) error {
		row, err := w.Connection(ctx, id)
		if err != nil {
			return err
		}
		last = r.dropping(ctx, w, row)
		if err := w.DeleteSession(ctx, id); err != nil {
			return err
		}
		return r.audit(ctx, w, actor, change{"connection.sign_out", "connection", id, row.Name, ""})
	})
	if err == nil {
		err = r.dropHeld(ctx, last)
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
func (r *Registry) dropHeld(ctx context.Context, d session.Dropped) error {
	if r.DropSession == nil {
		return nil
	}
	// The change is made; who asked for it may leave now.
	return r.DropSession(context.WithoutCancel(ctx), d)
}

// dropping is what whoever drops a connection's session has to know to sign it
// out, read within the transaction that forgets it: the connection as it was,
// and the session. What can't be read is left out; then the application is not
// told.
func (r *Registry) dropping(ctx context.Context, w *store.Workspace, row store.Connection) session.Dropped {
	d := session.Dropped{WorkspaceID: w.ID(), ConnectionID: row.ID}
	c, err := view(row)
	if err != nil || !c.Auth.SignsOut() {
		return d
	}
	secrets, err := r.open(row)
	if err != nil {
		return d
	}
	d.Connection = &connection.Connection{ID: row.ID, WorkspaceID: w.ID(), Spec: c.Spec, Secrets: secrets}
	sealed, err := w.Session(ctx, row.ID)
	if err != nil {
		return d
	}
	if s, err := r.unseal(sealed, row.ID); err == nil {
		d.Session = &s
	}
	return d
}
