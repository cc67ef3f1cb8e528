package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestEachRunOfARelayIsLaterThanTheOneBefore(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		first, err := s.BeginRun(ctx, "rly_a", "")
		must(t, err)
		second, err := s.BeginRun(ctx, "rly_a", "")
		must(t, err)
		if second.Epoch <= first.Epoch {
			t.Errorf("epochs %d, then %d", first.Epoch, second.Epoch)
		}
		other, err := s.BeginRun(ctx, "rly_b", "")
		must(t, err)
		must(t, s.BeatRun(ctx, second))
		if err := s.BeatRun(ctx, first); !errors.Is(err, ErrNotFound) {
			t.Errorf("beat of a run that was succeeded: %v", err)
		}
		must(t, s.EndRun(ctx, first)) // says nothing of its successor
		must(t, s.EndRun(ctx, other))
		beats, err := s.Beats(ctx)
		must(t, err)
		if len(beats) != 2 || beats[0] != (Beat{Run: second, Number: 2}) || beats[1] != (Beat{Run: other}) {
			t.Errorf("got %+v", beats)
		}
	})
}

func TestTheStoreKnowsWhenARelayWasLastAlive(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		at, err := s.LastAlive(t.Context())
		must(t, err)
		if !at.IsZero() {
			t.Errorf("before any relay: %s", at)
		}
		run, err := s.BeginRun(t.Context(), "rly_a", "")
		must(t, err)
		must(t, s.EndRun(t.Context(), run))
		at, err = s.LastAlive(t.Context())
		must(t, err)
		if since := s.Now().Sub(at); since < 0 || since > time.Minute {
			t.Errorf("%s ago", since)
		}
	})
}

func TestRelaysThatAreLongGoneAreForgotten(t *testing.T) {
	now := time.Now()
	s, err := Open(t.Context(), Options{DSN: "sqlite:" + t.TempDir() + "/relay.db", Clock: func() time.Time { return now }})
	must(t, err)
	defer s.Close()
	w := home(s)
	agent := addAgent(t, w, "Plant 2")
	in := addInstance(t, s, w, agent.ID)
	gone, err := s.BeginRun(t.Context(), "rly_gone", "")
	must(t, err)
	_, err = w.SetPresence(t.Context(), Presence{Run: gone, Counter: 1, AgentID: agent.ID, InstanceID: in.ID, Online: true, ConnectedAt: now})
	must(t, err)
	now = now.Add(forgotten + time.Second)
	_, err = s.BeginRun(t.Context(), "rly_new", "")
	must(t, err)
	if relays, rows := rowCount(t, s, "relays"), rowCount(t, s, "presence"); relays != 1 || rows != 0 {
		t.Errorf("%d relays and %d rows are on file", relays, rows)
	}
}

// TestALateWordOfAnOldConnectionLoses: writes arrive in another order than
// they were made in.
func TestALateWordOfAnOldConnectionLoses(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		in := addInstance(t, s, w, agent.ID)
		a1, a2, b1 := Run{"rly_a", 1}, Run{"rly_a", 2}, Run{"rly_b", 1}
		for i, c := range []struct {
			run     Run
			counter int64
			online  bool
			fresh   bool
			held    string // by whom it is said to be held afterwards
		}{
			{a1, 1, true, true, "[rly_a/1]"},
			{a1, 3, true, true, "[rly_a/1]"},
			{a1, 2, false, false, "[rly_a/1]"}, // made before, written after
			{b1, 1, true, true, "[rly_a/1 rly_b/1]"},
			{a1, 4, false, true, "[rly_b/1]"}, // A lets go, B holds
			{a1, 4, true, false, "[rly_b/1]"}, // the same word again
			{a2, 1, true, true, "[rly_a/2 rly_b/1]"},
			{a1, 9, false, false, "[rly_a/2 rly_b/1]"}, // of the run before
			{b1, 2, false, true, "[rly_a/2]"},
		} {
			fresh, err := w.SetPresence(t.Context(), Presence{Run: c.run, Counter: c.counter, AgentID: agent.ID, InstanceID: in.ID,
				Online: c.online, ConnectedAt: noon, Latency: 34 * time.Millisecond})
			must(t, err)
			if fresh != c.fresh {
				t.Errorf("%d: fresh %v", i, fresh)
			}
			present, err := w.Present(t.Context(), []string{agent.ID}, []Run{a1, a2, b1})
			must(t, err)
			var held []string
			for _, p := range present {
				held = append(held, fmt.Sprintf("%s/%d", p.RelayID, p.Epoch))
				if p.InstanceID != in.ID || p.AgentID != agent.ID || p.WorkspaceID != w.ID() || p.Latency != 34*time.Millisecond || !p.ConnectedAt.Equal(noon.Truncate(time.Microsecond)) {
					t.Errorf("%d: got %+v", i, p)
				}
			}
			if fmt.Sprint(held) != c.held {
				t.Errorf("%d: held by %v, want %s", i, held, c.held)
			}
		}
		must(t, w.DeleteInstance(t.Context(), agent.ID, in.ID))
		if n := rowCount(t, s, "presence"); n != 0 {
			t.Errorf("%d rows of an instance that was removed", n)
		}
	})
}

func TestWhatADeadRelayHeldIsTakenUpByOne(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		w := home(s)
		agent := addAgent(t, w, "Plant 2")
		dead, living := Run{"rly_dead", 1}, Run{"rly_b", 1}
		const instances = 7
		for range instances {
			in := addInstance(t, s, w, agent.ID)
			for _, run := range []Run{dead, living} {
				_, err := w.SetPresence(ctx, Presence{Run: run, Counter: 1, AgentID: agent.ID, InstanceID: in.ID, Online: true, ConnectedAt: noon})
				must(t, err)
			}
		}
		var mu sync.Mutex
		taken := map[string]int{}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					gone, err := s.Abandon(ctx, []Run{living}, 2)
					if err != nil {
						t.Error(err)
						return
					}
					if len(gone) == 0 {
						return
					}
					mu.Lock()
					for _, p := range gone {
						taken[p.InstanceID]++
						if p.Run != dead {
							t.Errorf("taken from %+v", p.Run)
						}
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, n := range taken {
			if n != 1 {
				t.Errorf("%s was taken %d times", id, n)
			}
		}
		if len(taken) != instances {
			t.Errorf("%d of %d were taken", len(taken), instances)
		}
		// It was only cut off from the database, and is back.
		present, err := w.Present(ctx, []string{agent.ID}, []Run{dead})
		must(t, err)
		if len(present) != instances {
			t.Errorf("%d of its instances count again", len(present))
		}
		// Nobody who lives: all that is held is taken up.
		gone, err := s.Abandon(ctx, nil, 100)
		must(t, err)
		if len(gone) != instances {
			t.Errorf("with no relay that lives, %d of %d instances are taken up", len(gone), instances)
		}
	})
}
