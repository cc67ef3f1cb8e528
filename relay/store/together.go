package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// together lets writers that wait for SQLite's only writing connection share
// one transaction: ten thousand agents that connect in one moment would
// otherwise wait for ten thousand times the disk.
type together struct {
	turn sync.Mutex // held by whoever writes for all that wait

	mu      sync.Mutex // guards the following
	waiting []*writer
}

// writer is one who waits.
type writer struct {
	do   func(context.Context, handle) error
	done bool // guarded by turn, as is err
	err  error
}

// mostTogether is how many share a transaction at most: others want to write too.
const mostTogether = 64

// togetherTimeout bounds such a transaction: it does not end with anybody's
// context, since it is everybody's.
const togetherTimeout = 10 * time.Second

// Together is like Atomically, for small writes of which many may come at once
// and none is to be left out. On SQLite they may share a transaction. Then do
// may be called twice, the first time in vain, so that all that it does must be
// done through its handle and its context; and the end of ctx ends neither the
// wait for its turn nor what others want written with it.
func (w *Workspace) Together(ctx context.Context, do func(context.Context, *Workspace) error) error {
	if w.db.pool == nil || w.store.engine != engineSQLite {
		return w.Atomically(ctx, func(w *Workspace) error { return do(ctx, w) })
	}
	me := &writer{do: func(ctx context.Context, h handle) error {
		return do(ctx, &Workspace{id: w.id, db: h, store: w.store})
	}}
	g := &w.store.together
	g.mu.Lock()
	g.waiting = append(g.waiting, me)
	g.mu.Unlock()
	g.turn.Lock()
	defer g.turn.Unlock()
	for !me.done { // who came before may have done it already
		w.store.writeTogether(ctx)
	}
	return me.err
}

// writeTogether writes what the first of those who wait want written.
func (s *Store) writeTogether(ctx context.Context) {
	g := &s.together
	g.mu.Lock()
	n := min(len(g.waiting), mostTogether)
	these := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n) // which forgets them: a crowd's array outlives it
	if len(g.waiting) == 0 {
		g.waiting = nil
	}
	g.mu.Unlock()
	err := errAlone
	if len(these) > 1 {
		err = s.withTime(ctx, func(ctx context.Context, h handle) error {
			for _, one := range these {
				if err := one.do(ctx, h); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, one := range these {
		if err != nil { // whose fault it was is seen when each is alone
			one.err = s.withTime(ctx, one.do)
		}
		one.done = true
	}
}

// withTime runs do in a transaction that has a time of its own.
func (s *Store) withTime(ctx context.Context, do func(context.Context, handle) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), togetherTimeout)
	defer cancel()
	return s.handle().atomically(ctx, func(h handle) error { return do(ctx, h) })
}

// errAlone: there is nobody to share a transaction with.
var errAlone = errors.New("alone")
