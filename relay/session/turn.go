package session

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"go.uber.org/zap"
)

// Turns let one Keeper at a time sign a connection in, of all that share a
// store, and tell each how the last sign-ins went. Package registry implements
// it.
type Turns interface {
	// TakeTurn makes holder the one who signs in, if nobody does, or if who does
	// has given no sign since dead was read. It returns what is so then.
	TakeTurn(ctx context.Context, workspaceID, connectionID, holder string, dead Turn) (Turn, error)
	// KeepTurn gives a sign.
	KeepTurn(ctx context.Context, workspaceID, connectionID, holder string) error
	// EndTurn ends it and keeps how it went.
	EndTurn(ctx context.Context, workspaceID, connectionID, holder, state string) error
	// LastTurn is what is so now; the zero Turn where nobody ever signed in.
	LastTurn(ctx context.Context, workspaceID, connectionID string) (Turn, error)
	// ForgetTurns forgets how sign-ins went.
	ForgetTurns(ctx context.Context, workspaceID, connectionID string) error
}

// Turn is who signs a connection in.
type Turn struct {
	Holder string // "": nobody
	Beat   int64  // grows while the holder is at it
	State  string // how sign-ins went, for the next holder
}

const (
	// turnSign is how often a holder gives a sign.
	turnSign = 2 * time.Second
	// turnDead is after how long without a sign a holder is taken for dead, by
	// the clock of the one who waits: those of several machines need not agree.
	turnDead = 10 * time.Second
	// turnLook is how often one who waits looks.
	turnLook = 100 * time.Millisecond
)

// held turn of a flight; the zero value is of a Keeper that is alone, or whose
// store can't be asked: a session is worth more than that it is the only one.
type ownTurn struct {
	k       *Keeper
	at      key
	holder  string
	stop    context.CancelFunc
	stopped chan struct{}
}

// takeTurn waits until this flight may sign in, and takes up what other relays
// know of the connection's sign-ins. It gives up with ctx.
func (k *Keeper) takeTurn(ctx context.Context, at key, e *entry) (*ownTurn, error) {
	if k.turns == nil {
		return &ownTurn{}, nil
	}
	holder := rand.Text()
	var dead, seen Turn
	since := time.Now()
	for {
		now, err := k.turns.TakeTurn(ctx, at.workspaceID, at.connectionID, holder, dead)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			k.log.Warn("whether another relay signs in is not known", zap.String("connection", at.connectionID), zap.Error(err))
			return &ownTurn{}, nil
		case now.Holder == holder:
			k.learn(e, now.State)
			return k.keepTurn(at, holder), nil
		case now.Holder != seen.Holder || now.Beat != seen.Beat:
			seen, since = now, time.Now()
		case time.Since(since) > turnDead:
			k.log.Warn("a relay has stopped in the middle of a sign-in", zap.String("connection", at.connectionID))
			dead = seen
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(turnLook):
		}
	}
}

// learn takes up how sign-ins went elsewhere.
func (k *Keeper) learn(e *entry, state string) {
	if state == "" {
		return
	}
	var other backoff
	if err := json.Unmarshal([]byte(state), &other); err != nil {
		k.log.Warn("how sign-ins went can't be read", zap.Error(err))
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e.backoff = e.backoff.newer(other)
}

// keepTurn gives signs until the turn is ended.
func (k *Keeper) keepTurn(at key, holder string) *ownTurn {
	ctx, cancel := context.WithCancel(k.ctx)
	t := &ownTurn{k: k, at: at, holder: holder, stop: cancel, stopped: make(chan struct{})}
	go func() {
		defer close(t.stopped)
		tick := time.NewTicker(turnSign)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// An error here, such as a turn that was taken away, changes
				// nothing about the sign-in under way.
				_ = k.turns.KeepTurn(ctx, at.workspaceID, at.connectionID, holder)
			}
		}
	}()
	return t
}

// end gives the turn to the next, with what is known of sign-ins by now. A
// relay that stops does it too, so that nobody waits for it.
func (t *ownTurn) end(how backoff) {
	if t.k == nil {
		return
	}
	t.stop()
	<-t.stopped
	state, err := json.Marshal(how)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		err = t.k.turns.EndTurn(ctx, t.at.workspaceID, t.at.connectionID, t.holder, string(state))
	}
	if err != nil {
		t.k.log.Warn("how the sign-in went can't be stored", zap.String("connection", t.at.connectionID), zap.Error(err))
	}
}
