package store

import (
	"context"
	"errors"
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
	do   func(handle) error
	done bool // guarded by turn, as is err
	err  error
}

// mostTogether is how many share a transaction at most: others want to write too.
const mostTogether = 64

// togetherTimeout bounds a transaction that is shared; it ends with nobody's
// context, since it is everybody's.
const togetherTimeout = 10 * time.Second

// Together is like Atomically, for small writes of which many may come at once.
// On SQLite they may share a transaction; then do may be called twice, the
// first time in vain, so that all that it does must be done through its handle.
func (w *Workspace) Together(ctx context.Context, do func(*Workspace) error) error {
	if w.db.pool == nil || w.store.engine != engineSQLite {
		return w.Atomically(ctx, do)
	}
	me := &writer{do: func(h handle) error { return do(&Workspace{id: w.id, db: h, store: w.store}) }}
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
	these := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), togetherTimeout)
	defer cancel()
	err := errAlone
	if len(these) > 1 {
		err = s.handle().atomically(ctx, func(h handle) error {
			for _, one := range these {
				if err := one.do(h); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, one := range these {
		if err != nil { // whose fault it was is seen when each is alone
			one.err = s.handle().atomically(ctx, one.do)
		}
		one.done = true
	}
}

// errAlone: there is nobody to share a transaction with.
var errAlone = errors.New("alone")
