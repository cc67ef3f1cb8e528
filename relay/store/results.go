package store

import (
	"context"
	"errors"
	"time"
)

// ResultKey is under which the result of a request is kept: each caller of each
// connection has keys of its own.
type ResultKey struct {
	ConnectionID string
	Caller       string
	Hash         []byte // of the key that the caller chose
}

// Result is what is known of a request that was entered under its key.
type Result struct {
	Run           // of the relay that sends it
	Sealed []byte // nil: it is under way, or was when its relay stopped
}

const ofResult = `workspace_id = $1 AND connection_id = $2 AND caller = $3 AND key_hash = $4`

func (w *Workspace) resultArgs(key ResultKey, more ...any) []any {
	return append([]any{w.id, key.ConnectionID, key.Caller, key.Hash}, more...)
}

// BeginResult enters a request under its key. first reports that nobody has
// before; otherwise r is what is known of that request. Of several relays that
// do so at once one is the first. ErrReference where the workspace has no such
// connection.
func (w *Workspace) BeginResult(ctx context.Context, key ResultKey, run Run, expires time.Time) (r Result, first bool, err error) {
	now := toMicros(w.store.clock())
	err = w.Together(ctx, func(ctx context.Context, w *Workspace) error {
		if err := w.db.exec(ctx, "forget the result that has expired", `
			DELETE FROM results WHERE `+ofResult+` AND expires_at <= $5`, w.resultArgs(key, now)...); err != nil {
			return err
		}
		n, err := w.db.count(ctx, "enter the request", `
			INSERT INTO results (workspace_id, connection_id, caller, key_hash, id, relay_id, epoch, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (workspace_id, connection_id, caller, key_hash) DO NOTHING`,
			w.resultArgs(key, NewID("res"), run.RelayID, run.Epoch, toMicros(expires))...)
		if first = n == 1; first || err != nil {
			r = Result{}
			return err
		}
		r, err = one(ctx, w.db.read, "read the result", func(row scanner) (r Result, err error) {
			return r, row.Scan(&r.RelayID, &r.Epoch, &r.Sealed)
		}, `SELECT relay_id, epoch, sealed FROM results WHERE `+ofResult, w.resultArgs(key)...)
		return err
	})
	if errors.Is(err, ErrNotFound) { // freed in the very moment
		err = ErrBusy
	}
	return r, first, err
}

// KeepResult stores the result of a request that the run has entered.
// ErrNotFound where there is none that waits for it.
func (w *Workspace) KeepResult(ctx context.Context, key ResultKey, run Run, sealed []byte) error {
	return w.Together(ctx, func(ctx context.Context, w *Workspace) error {
		return w.db.execOne(ctx, "keep the result", `
			UPDATE results SET sealed = $7 WHERE `+ofResult+` AND relay_id = $5 AND epoch = $6 AND sealed IS NULL`,
			w.resultArgs(key, run.RelayID, run.Epoch, sealed)...)
	})
}

// FreeResult forgets a request that the run has entered, and that came to
// nothing; none is fine.
func (w *Workspace) FreeResult(ctx context.Context, key ResultKey, run Run) error {
	return w.Together(ctx, func(ctx context.Context, w *Workspace) error {
		return w.db.exec(ctx, "free the key", `
			DELETE FROM results WHERE `+ofResult+` AND relay_id = $5 AND epoch = $6 AND sealed IS NULL`,
			w.resultArgs(key, run.RelayID, run.Epoch)...)
	})
}

// SweepResults forgets results that have expired, at most limit of them, and
// says how many they were.
func (s *Store) SweepResults(ctx context.Context, limit int) (int, error) {
	n, err := s.handle().count(ctx, "forget results that have expired", `
		DELETE FROM results WHERE id IN (SELECT id FROM results WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`,
		toMicros(s.clock()), limit)
	return int(n), err
}
