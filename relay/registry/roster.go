package registry

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sallyport/relay/event"
	"sallyport/relay/store"
)

const (
	// beatEvery is how often a relay says in the store that it is alive.
	beatEvery = 5 * time.Second
	// lapse is how long the others wait for a beat before they take it for
	// dead, and what it held for gone.
	lapse = 4 * beatEvery
	// abandonedAtOnce bounds how long one round keeps the store busy.
	abandonedAtOnce = 100
)

// roster is which relays share this one's store now. A relay that was killed
// can't say so; that its beats have ceased does.
type roster struct {
	run     store.Run
	counter atomic.Int64 // of what this run has said of instances

	mu        sync.Mutex // guards the following
	heard     map[store.Run]heard
	others    []store.Run          // the living, without this one
	addresses map[store.Run]string // of others, at which they take requests of relays
}

// heard is the last beat of a run, and when it was new.
type heard struct {
	number int64
	at     time.Time
}

// hear takes in the beats that the store has now. A run whose beat has not
// changed for a while, by this relay's own clock, is dead; so the clocks of
// the relays may differ.
func (r *roster) hear(beats []store.Beat, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.heard
	r.heard, r.others, r.addresses = make(map[store.Run]heard, len(beats)), nil, make(map[store.Run]string)
	for _, b := range beats {
		last, known := before[b.Run]
		if !known || last.number != b.Number || now.Before(last.at) {
			last = heard{b.Number, now}
		}
		r.heard[b.Run] = last
		if b.Number > 0 && b.RelayID != r.run.RelayID && now.Sub(last.at) < lapse {
			r.others = append(r.others, b.Run)
			r.addresses[b.Run] = b.PeerAddress
		}
	}
}

// elsewhere lists the other relays that live.
func (r *roster) elsewhere() []store.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.others
}

// Begin takes up this run of the relay in the store, where other relays see
// it. It comes before the first tunnel; Leave ends it.
func (r *Registry) Begin(ctx context.Context) error {
	run, err := r.Store.BeginRun(ctx, r.RelayID, r.PeerAddress)
	if err != nil {
		return err
	}
	r.roster.run = run
	return r.listen(ctx)
}

// Leave says that this relay has stopped, so that nobody waits for its beats.
func (r *Registry) Leave(ctx context.Context) error { return r.Store.EndRun(ctx, r.roster.run) }

// Relays is how many relays share the store now, this one included.
func (r *Registry) Relays() int { return 1 + len(r.roster.elsewhere()) }

// Attend keeps this relay on the roster, and notes what has become of the
// others, until ctx ends.
func (r *Registry) Attend(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		if err := r.attendOnce(ctx); err != nil && ctx.Err() == nil {
			r.Log.Error("the roster of relays can't be kept", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// attendOnce is one round of Attend.
func (r *Registry) attendOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	err := r.Store.BeatRun(ctx, r.roster.run)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("another relay has started under this relay's id: give each relay a data directory of its own, or remove relay-id from a copied one")
	}
	if err != nil {
		return err
	}
	if err := r.listen(ctx); err != nil {
		return err
	}
	return r.abandon(ctx)
}

func (r *Registry) listen(ctx context.Context) error {
	beats, err := r.Store.Beats(ctx)
	if err != nil {
		return err
	}
	r.roster.hear(beats, r.Clock())
	return nil
}

// abandon writes down for relays that are dead, or have begun anew, that what
// they held is gone. What ctx leaves no time for, the next round finds.
func (r *Registry) abandon(ctx context.Context) error {
	living := append([]store.Run{r.roster.run}, r.roster.elsewhere()...)
	for {
		gone, err := r.Store.Abandon(ctx, living, abandonedAtOnce)
		if err != nil {
			return err
		}
		if err := r.recordAll(ctx, gone); err != nil {
			return err
		}
		if len(gone) < abandonedAtOnce || ctx.Err() != nil {
			return nil
		}
	}
}

// recordAll writes down that these are gone: at once, so that they share
// transactions, and whether or not ctx ends meanwhile, since nobody else will.
func (r *Registry) recordAll(ctx context.Context, gone []store.Presence) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatEvery)
	defer cancel()
	errs := make([]error, len(gone))
	var recording sync.WaitGroup
	for i, p := range gone {
		recording.Go(func() {
			if errs[i] = r.recordAbandoned(ctx, p); errs[i] == nil {
				r.publish(p.WorkspaceID, event.AgentChanged, p.AgentID)
			}
		})
	}
	recording.Wait()
	return errors.Join(errs...)
}

func (r *Registry) recordAbandoned(ctx context.Context, p store.Presence) error {
	row, _, err := r.Store.InstanceByID(ctx, p.AgentID, p.InstanceID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	at := row.LastSeenAt
	if at.IsZero() {
		at = p.ConnectedAt
	}
	err = r.Store.Workspace(p.WorkspaceID).Together(ctx, func(ctx context.Context, w *store.Workspace) error {
		if err := w.InstanceSeen(ctx, p.AgentID, p.InstanceID, at); err != nil {
			return err
		}
		return r.recordOffline(ctx, w, row, at, "the relay that held its tunnels has gone")
	})
	if errors.Is(err, store.ErrReference) {
		return nil // removed meanwhile
	}
	return err
}
