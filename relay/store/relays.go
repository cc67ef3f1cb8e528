package store

import (
	"context"
	"time"
)

// Run is one run of a relay. Epoch is greater than that of every earlier run
// of the same relay.
type Run struct {
	RelayID string
	Epoch   int64
}

// Beat is what a relay has last said of itself. Whoever sees Number grow knows
// that it lives; the clocks of several machines need not agree for that.
type Beat struct {
	Run
	Number      int64  // 0: it has stopped in order
	PeerAddress string // where other relays reach it; "": it takes no requests of theirs
}

// forgotten is how long a relay is kept on file after its last beat.
const forgotten = 7 * 24 * time.Hour

// BeginRun takes up a new run of a relay, which other relays reach at
// peerAddress, or "". What earlier runs wrote of their tunnels holds no more.
func (s *Store) BeginRun(ctx context.Context, relayID, peerAddress string) (Run, error) {
	now := s.clock()
	run := Run{RelayID: relayID}
	err := s.handle().atomically(ctx, func(h handle) error {
		old := toMicros(now.Add(-forgotten))
		if err := h.exec(ctx, "forget relays that are long gone", `DELETE FROM relays WHERE seen_at < $1 AND id <> $2`, old, relayID); err != nil {
			return err
		}
		if err := h.exec(ctx, "forget what they held", `DELETE FROM presence WHERE relay_id <> $1 AND relay_id NOT IN (SELECT id FROM relays)`, relayID); err != nil {
			return err
		}
		var err error
		run.Epoch, err = one(ctx, h.write, "begin a run of the relay", func(row scanner) (epoch int64, err error) {
			return epoch, row.Scan(&epoch)
		}, `INSERT INTO relays (id, epoch, beat, started_at, seen_at, peer_address) VALUES ($1, 1, 1, $2, $2, $3)
			ON CONFLICT (id) DO UPDATE SET epoch = relays.epoch + 1, beat = 1, started_at = excluded.started_at, seen_at = excluded.seen_at,
				peer_address = excluded.peer_address
			RETURNING epoch`, relayID, toMicros(now), peerAddress)
		return err
	})
	return run, err
}

// BeatRun says that the run goes on. ErrNotFound where a later run of the same
// relay has begun.
func (s *Store) BeatRun(ctx context.Context, run Run) error {
	return s.handle().execOne(ctx, "say that the relay is alive",
		`UPDATE relays SET beat = beat + 1, seen_at = $3 WHERE id = $1 AND epoch = $2`, run.RelayID, run.Epoch, toMicros(s.clock()))
}

// EndRun says that the run has ended in order.
func (s *Store) EndRun(ctx context.Context, run Run) error {
	return s.handle().exec(ctx, "say that the relay has stopped",
		`UPDATE relays SET beat = 0, seen_at = $3 WHERE id = $1 AND epoch = $2`, run.RelayID, run.Epoch, toMicros(s.clock()))
}

// LastAlive is when a relay of this store was last alive, by its own clock.
// Zero: never.
func (s *Store) LastAlive(ctx context.Context) (time.Time, error) {
	return one(ctx, s.read, "find when a relay was last alive", func(row scanner) (at time.Time, err error) {
		return at, row.Scan(optional{&at})
	}, `SELECT MAX(seen_at) FROM relays`)
}

// Beats lists the last beat of every relay on file.
func (s *Store) Beats(ctx context.Context) ([]Beat, error) {
	return all(ctx, s.read, "list the relays", func(row scanner) (b Beat, err error) {
		return b, row.Scan(&b.RelayID, &b.Epoch, &b.Number, &b.PeerAddress)
	}, `SELECT id, epoch, beat, peer_address FROM relays ORDER BY id`)
}
