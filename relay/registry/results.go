package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/result"
	"sallyport/relay/store"
)

// resultRow is the associated data of a sealed result.
func resultRow(key store.ResultKey) string {
	return "results/" + key.ConnectionID + "/" + key.Caller + "/" + hex.EncodeToString(key.Hash)
}

// storedKey is how the key is stored: what a caller has chosen may say more than
// it should.
func storedKey(key result.Key) store.ResultKey {
	sum := sha256.Sum256([]byte(key.Key))
	return store.ResultKey{ConnectionID: key.ConnectionID, Caller: key.Caller, Hash: sum[:]}
}

// BeginResult enters a request under its key, for package gateway. It returns nil
// where nobody has before; otherwise what is known of that request; a *proto.Error
// with not_found where the connection is gone. One that this
// run has entered and not finished is lost: the gateway knows of those that are
// under way.
func (r *Registry) BeginResult(ctx context.Context, key result.Key) (*result.Known, error) {
	stored := storedKey(key)
	known, first, err := r.Store.Workspace(key.WorkspaceID).BeginResult(ctx, stored, r.roster.run, r.Clock().Add(result.Kept))
	switch {
	case errors.Is(err, store.ErrReference): // deleted since it was resolved
		return nil, fault(store.ErrNotFound, "connection")
	case err != nil:
		return nil, err
	case first:
		return nil, nil
	case known.Sealed == nil:
		return &result.Known{Running: slices.Contains(r.roster.elsewhere(), known.Run)}, nil
	}
	plain, err := r.Vault.Open(known.Sealed, resultRow(stored))
	if err != nil {
		return nil, err
	}
	var kept result.Result
	if err := json.Unmarshal(plain, &kept); err != nil {
		return nil, fmt.Errorf("read a result of %s: %w", key.ConnectionID, err)
	}
	return &result.Known{Result: &kept}, nil
}

// KeepResult stores the result of a request that was entered here.
func (r *Registry) KeepResult(ctx context.Context, key result.Key, became result.Result) error {
	plain, err := json.Marshal(became)
	if err != nil {
		return fmt.Errorf("write a result of %s: %w", key.ConnectionID, err)
	}
	stored := storedKey(key)
	sealed, err := r.Vault.Seal(plain, resultRow(stored))
	if err != nil {
		return err
	}
	err = r.Store.Workspace(key.WorkspaceID).KeepResult(ctx, stored, r.roster.run, sealed)
	if errors.Is(err, store.ErrNotFound) {
		return nil // the connection was deleted meanwhile, and with it what is kept of it
	}
	return err
}

// FreeResult forgets a request that came to nothing.
func (r *Registry) FreeResult(ctx context.Context, key result.Key) error {
	return r.Store.Workspace(key.WorkspaceID).FreeResult(ctx, storedKey(key), r.roster.run)
}

const (
	// sweepEvery is how often results that have expired are forgotten; nobody
	// gets them any more in any case.
	sweepEvery = 10 * time.Minute
	// sweptAtOnce bounds how long one statement keeps the store busy.
	sweptAtOnce = 500
)

// SweepResults forgets results that have expired, until ctx ends.
func (r *Registry) SweepResults(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for n := sweptAtOnce; n == sweptAtOnce && ctx.Err() == nil; {
			var err error
			if n, err = r.Store.SweepResults(ctx, sweptAtOnce); err != nil && ctx.Err() == nil {
				r.Log.Error("results that have expired can't be forgotten", zap.Error(err))
			}
		}
	}
}
