package store

import (
	"context"
	"time"
)

// Session returns the sealed session of a connection. ErrNotFound: none.
func (w *Workspace) Session(ctx context.Context, connectionID string) ([]byte, error) {
	return one(ctx, w.db.read, "read the session", func(row scanner) (sealed []byte, err error) {
		return sealed, row.Scan(&sealed)
	}, `SELECT sealed FROM sessions WHERE workspace_id = $1 AND connection_id = $2`, w.id, connectionID)
}

// SaveSession stores the sealed session of a connection in place of the one
// before; zero endsAt: it does not end by itself. ErrReference where the
// workspace has no such connection.
func (w *Workspace) SaveSession(ctx context.Context, connectionID string, sealed []byte, at, endsAt time.Time) error {
	return w.db.execOne(ctx, "save the session", `
		INSERT INTO sessions (connection_id, workspace_id, sealed, updated_at, ends_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (connection_id) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at, ends_at = excluded.ends_at
		WHERE sessions.workspace_id = excluded.workspace_id`,
		connectionID, w.id, sealed, toMicros(at), orNull(endsAt))
}

// DeleteSession forgets the session of a connection; none is fine.
func (w *Workspace) DeleteSession(ctx context.Context, connectionID string) error {
	return w.db.exec(ctx, "forget the session", `
		DELETE FROM sessions WHERE workspace_id = $1 AND connection_id = $2`, w.id, connectionID)
}

// SessionKey names a session: each connection has one at most.
type SessionKey struct{ WorkspaceID, ConnectionID string }

// EndedSessions lists up to limit sessions, of all workspaces, that were over
// before the given time, the longest ended ones first.
func (s *Store) EndedSessions(ctx context.Context, before time.Time, limit int) ([]SessionKey, error) {
	return all(ctx, s.read, "find the sessions that have ended", func(row scanner) (k SessionKey, err error) {
		return k, row.Scan(&k.WorkspaceID, &k.ConnectionID)
	}, `SELECT workspace_id, connection_id FROM sessions WHERE ends_at < $1 ORDER BY ends_at LIMIT $2`, toMicros(before), limit)
}

// SignIn is who signs a connection in now, and how its last sign-ins went.
type SignIn struct {
	Holder string // "": nobody
	Beat   int64  // grows while the holder is at it
	State  string // JSON; "": nothing is known
}

// TakeSignIn makes holder the one who signs the connection in, if nobody does,
// or if who does has given no sign since dead was read. It returns what is so
// then: the turn was taken if its Holder is the one given. ErrReference where
// the workspace has no such connection.
func (w *Workspace) TakeSignIn(ctx context.Context, connectionID, holder string, dead SignIn) (SignIn, error) {
	err := w.db.exec(ctx, "take the turn to sign in", `
		INSERT INTO sign_ins (connection_id, workspace_id, holder, beat, state) VALUES ($1, $2, $3, 1, '')
		ON CONFLICT (connection_id) DO UPDATE SET holder = excluded.holder, beat = sign_ins.beat + 1
		WHERE sign_ins.workspace_id = excluded.workspace_id
			AND (sign_ins.holder = '' OR (sign_ins.holder = $4 AND sign_ins.beat = $5))`,
		connectionID, w.id, holder, dead.Holder, dead.Beat)
	if err != nil {
		return SignIn{}, err
	}
	return w.SignIn(ctx, connectionID)
}

// SignIn reads it. ErrNotFound: the connection was never signed in.
func (w *Workspace) SignIn(ctx context.Context, connectionID string) (SignIn, error) {
	return one(ctx, w.db.read, "read the sign-in", func(row scanner) (s SignIn, err error) {
		return s, row.Scan(&s.Holder, &s.Beat, &s.State)
	}, `SELECT holder, beat, state FROM sign_ins WHERE workspace_id = $1 AND connection_id = $2`, w.id, connectionID)
}

// BeatSignIn says that the holder is still at it. ErrNotFound where another has
// taken its turn.
func (w *Workspace) BeatSignIn(ctx context.Context, connectionID, holder string) error {
	return w.db.execOne(ctx, "go on signing in", `
		UPDATE sign_ins SET beat = beat + 1 WHERE workspace_id = $1 AND connection_id = $2 AND holder = $3`,
		w.id, connectionID, holder)
}

// FreeSignIn ends the holder's turn and keeps how it went. ErrNotFound where
// another has taken its turn.
func (w *Workspace) FreeSignIn(ctx context.Context, connectionID, holder, state string) error {
	return w.db.execOne(ctx, "end the turn to sign in", `
		UPDATE sign_ins SET holder = '', beat = beat + 1, state = $4 WHERE workspace_id = $1 AND connection_id = $2 AND holder = $3`,
		w.id, connectionID, holder, state)
}

// ForgetSignIns forgets how sign-ins went; who is at it stays.
func (w *Workspace) ForgetSignIns(ctx context.Context, connectionID string) error {
	return w.db.exec(ctx, "forget how sign-ins went", `
		UPDATE sign_ins SET state = '' WHERE workspace_id = $1 AND connection_id = $2`, w.id, connectionID)
}
